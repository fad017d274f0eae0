package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

const (
	// maxCalls is how deep calls nest.
	maxCalls = 8
	// maxChild bounds the bytes of a called plan, its own children included.
	maxChild = 1 << 20
)

// Playbooks finds the playbooks that a call may name.
type Playbooks interface {
	// Playbook returns the file of the playbook of a name.
	Playbook(name string) (*source.File, bool)
	// Names lists all names; they are proposed where an unknown one is called.
	Names() []string
}

// child is a called playbook, compiled.
type child struct {
	plan   *plan.Plan
	raw    []byte
	digest string
	// reach is how many targets of each action it and its own children may act
	// on.
	reach map[string]int
	// reverses says that something of what it does can be taken back.
	reverses bool
}

// session is one call of Compile with the playbooks that it meets on the way.
type session struct {
	playbooks Playbooks
	// stack are the names of the playbooks that are being compiled, the outermost
	// first.
	stack []string
	done  map[string]called
}

// called is what came of compiling a called playbook.
type called struct {
	child *child
	list  diag.List
	// knot is why calls do not end: a cycle, or too deep a nesting.
	knot *knot
}

type knot struct{ code, message string }

// resolveCall finds and compiles the playbook that a step calls; nil where that
// failed.
func (u *unit) resolveCall(st *ast.Step) *child {
	name, s := st.Body.String(), u.session
	if i := slices.Index(s.stack, name); i >= 0 {
		u.knot = &knot{"call-cycle", "the calls never end: " + strings.Join(append(slices.Clone(s.stack[i:]), name), " calls ")}
	} else if len(s.stack) > maxCalls {
		u.knot = &knot{"call-depth", fmt.Sprintf("calls nest deeper than %d: %s", maxCalls, strings.Join(append(slices.Clone(s.stack), name), " calls "))}
	}
	if u.knot != nil {
		u.report(u.knot.code, st.Body.Span(), "take one of the calls out", "%s", u.knot.message)
		return nil
	}
	got, ok := u.compileCalled(name)
	switch {
	case !ok:
		help := "a call names a playbook that stands beside this one, or in the configuration"
		if s.playbooks != nil {
			if near := diag.Near(name, s.playbooks.Names()); near != "" {
				help = "did you mean " + near + "?"
			}
		}
		u.report("unknown-playbook", st.Body.Span(), help, "there is no playbook %s", name)
	case got.knot != nil:
		u.knot = got.knot
		u.report(got.knot.code, st.Body.Span(), "take one of the calls out", "%s", got.knot.message)
	case got.child == nil:
		u.report("broken-call", st.Body.Span(), "mend "+name+" first; quell check tells what is wrong with it",
			"the playbook %s does not compile: %s", name, got.list.Error())
	case len(got.child.raw) > maxChild:
		u.report("broken-call", st.Body.Span(), "split it", "the plan of %s with what it calls is larger than %d bytes", name, maxChild)
	default:
		return got.child
	}
	return nil
}

// compileCalled compiles a playbook once in a session. What failed for where it
// was called from is not kept.
func (u *unit) compileCalled(name string) (called, bool) {
	s := u.session
	if c, ok := s.done[name]; ok {
		return c, true
	}
	if s.playbooks == nil {
		return called{}, false
	}
	f, ok := s.playbooks.Playbook(name)
	if !ok {
		return called{}, false
	}
	inner := newUnit(f, u.actions, s)
	inner.installed = u.installed
	p, list := inner.compile()
	c := called{list: list, knot: inner.knot}
	if c.knot != nil {
		return c, true
	}
	if p != nil && p.Playbook != name {
		p, c.list = nil, diag.List{{Code: "broken-call", Severity: diag.Error, File: f, Message: "the file is the playbook " + p.Playbook}}
	}
	if p != nil {
		raw, err := p.Encode()
		if err != nil {
			c.list = diag.List{{Code: "internal", Severity: diag.Error, File: f, Message: err.Error()}}
		} else {
			c.child = &child{plan: p, raw: raw, digest: plan.DigestOf(raw), reach: inner.bound(), reverses: inner.anyReversible()}
		}
	}
	s.done[name] = c
	return c, true
}

// call types the inputs of a called playbook.
func (u *unit) call(st *ast.Step, in *info, env expr.Env, out *plan.Step) {
	out.Child = &plan.CallBody{Playbook: st.Body.String()}
	if in.child == nil {
		u.anything(st.With, env)
		return
	}
	out.Child.Digest = in.child.digest
	out.Child.With = u.given(given{
		list: st.With, fields: in.child.inputs(), of: out.Child.Playbook, at: st.Body.Span(), key: st.WithSpan, unknown: "unknown-input",
	}, env)
	for _, a := range sortedKeys(in.child.reach) {
		if n := in.child.reach[a]; n > 0 {
			out.Child.Limits = append(out.Child.Limits, plan.Limit{Action: a, Targets: n})
		}
	}
}

func (c *child) inputs() []kind.Field {
	var out []kind.Field
	for _, i := range c.plan.Inputs {
		out = append(out, kind.Field{Name: i.Name, Type: i.Type, Optional: i.Default != nil, Sink: i.Type.Kind == kind.Secret})
	}
	return out
}

// outputs is the type of what a call gives.
func (c *child) outputs() kind.Type {
	t := kind.Type{Kind: kind.Record}
	for _, o := range c.plan.Outputs {
		t.Fields = append(t.Fields, kind.Field{Name: o.Name, Type: o.Value.Type, Optional: o.Optional})
	}
	return t
}

// children is the table of called plans, each once.
func (u *unit) children() []plan.Child {
	found := map[string]*child{}
	u.eachStep(func(st *ast.Step, in *info) {
		if in.child != nil {
			found[st.Body.String()] = in.child
		}
	})
	var out []plan.Child
	for _, name := range sortedKeys(found) {
		out = append(out, plan.Child{Playbook: name, Digest: found[name].digest, Plan: found[name].raw})
	}
	return out
}

// bound is how many targets of each action the playbook may act on: its limit,
// else what the steps can reach.
func (u *unit) bound() map[string]int {
	out := u.reach()
	for _, l := range u.draft.Limits {
		if n, ok := out[l.Action]; ok && (n == 0 || n > l.Targets) {
			out[l.Action] = l.Targets
		}
	}
	return out
}

func (u *unit) anyReversible() bool {
	found := false
	u.eachStep(func(st *ast.Step, in *info) {
		found = found || st.UndoWith != nil || (in.child != nil && in.child.reverses) ||
			(in.action != nil && in.action.Reversal != "" && in.action.Reversal != spec.Irreversible && in.action.Inverse != "")
	})
	return found
}
