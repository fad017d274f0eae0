package expr

import (
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
	s.reg.scope = nil
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

// scopeAt are the fields of the roots at a place.
func scopeAt(env Env) map[string]kind.Type {
	record := func(t kind.Type) kind.Type { t.Kind = kind.Record; return t }
	scope := map[string]kind.Type{
		rootInputs: record(env.Inputs), rootSettings: record(env.Settings), rootSteps: record(env.Steps),
		rootOutcome: record(env.Outcome), rootErrors: record(env.Errors), rootRun: runType,
	}
	for root, t := range enumTypes {
		scope[root] = t
	}
	if env.Alert {
		scope[rootAlert] = alertType
	}
	return scope
}
