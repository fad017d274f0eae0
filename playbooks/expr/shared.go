package expr

import (
	"maps"
	"sync"

	"cel.dev/cel-go/cel"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
)

// shared is what a checker leaves behind for the next: the record types that it
// met and the CEL environments over them, which cost more to make than a
// playbook to check. It holds no names of a playbook.
type shared struct {
	reg  *registry
	envs map[string]*cel.Env
	// parsed are expressions that were parsed, by their text: what a text parses
	// to does not hang on where it stands.
	parsed map[string]*cel.Ast
}

// parse parses an expression, or finds it parsed.
func (s *shared) parse(env *cel.Env, text string) (*cel.Ast, *cel.Issues) {
	if ast, ok := s.parsed[text]; ok {
		return ast, nil
	}
	ast, iss := env.Parse(text)
	if iss.Err() == nil && len(text) <= maxSharedText {
		if len(s.parsed) >= maxSharedParsed {
			clear(s.parsed)
		}
		s.parsed[text] = ast
	}
	return ast, iss
}

// sharing keeps what checkers gave back; one checker has one of them at a time.
var sharing = sync.Pool{New: func() any {
	return &shared{
		reg: newRegistry(), envs: map[string]*cel.Env{}, parsed: map[string]*cel.Ast{},
	}
}}

// The sizes above which what a checker leaves behind is dropped, so that many
// different playbooks do not pile up.
const (
	maxSharedRecords = 2000
	maxSharedEnvs    = 200
	maxSharedParsed  = 1000
	maxSharedText    = 512
)

// Close gives back what checkers share. A closed checker is not used again;
// closing twice is fine.
func (c *Checker) Close() {
	s := c.shared
	c.shared, c.reg, c.envs = nil, nil, nil
	if s == nil || len(s.reg.records) > maxSharedRecords || len(s.reg.seen) > 10*maxSharedRecords || len(s.envs) > maxSharedEnvs {
		return
	}
	clear(s.reg.scope) // it holds names of the playbook
	sharing.Put(s)
}

// The types of the roots that are the same everywhere.
var (
	enumTypes = enumRoots()
	runType   = RunType()
	alertType = alert.Type()
	errorType = kind.RecordOf(
		kind.Field{Name: "kind", Type: kind.Of(kind.String)},
		kind.Field{Name: "message", Type: kind.Of(kind.String)},
	)
	outcomeType = kind.ChoiceOf(Outcomes()...)
)

// enter makes the names of a place the scope of the registry, in the map of the
// place before.
func (c *Checker) enter(env Env) {
	scope := c.reg.scope
	if len(scope) == 0 {
		scope = map[string]kind.Type{rootRun: runType}
		maps.Copy(scope, enumTypes)
		c.reg.scope = scope
	}
	record := func(t kind.Type) kind.Type { t.Kind = kind.Record; return t }
	scope[rootInputs], scope[rootSettings], scope[rootSteps] = record(env.Inputs), record(env.Settings), record(env.Steps)
	scope[rootOutcome], scope[rootErrors] = record(env.Outcome), record(env.Errors)
	delete(scope, rootAlert)
	if env.Alert {
		scope[rootAlert] = alertType
	}
}
