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
}

// sharing keeps what checkers gave back; one checker has one of them at a time.
var sharing = sync.Pool{New: func() any { return &shared{reg: newRegistry(), envs: map[string]*cel.Env{}} }}

// The sizes above which what a checker leaves behind is dropped, so that many
// different playbooks do not pile up.
const (
	maxSharedRecords = 2000
	maxSharedEnvs    = 200
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
