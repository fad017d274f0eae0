package playtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// Mutant is a plan with one step deleted or weakened.
type Mutant struct {
	Path string `json:"path"`
	Line int    `json:"line"`
	// What was done: deleted, approval removed, …
	What string `json:"what"`
	// By is the test that noticed; empty where none did.
	By string `json:"killed_by,omitempty"`
	// Because is the author's reason why no test can notice it.
	Because string `json:"because,omitempty"`
	plan    *plan.Plan
}

// String names the mutant, as the list accepted of a test file does.
func (m Mutant) String() string { return m.Path + ": " + m.What }

// Mutants makes all mutants of a plan. Those whose plan cannot be loaded are left
// out: nobody could run them.
func Mutants(p *plan.Plan) ([]Mutant, error) {
	raw, err := p.Encode()
	if err != nil {
		return nil, err
	}
	var out []Mutant
	add := func(path string, line int, what string, change func(*plan.Plan) bool) error {
		c, err := plan.Decode(raw)
		if err != nil {
			return err
		}
		if !change(c) {
			return nil
		}
		if _, err := expr.Load(c); err != nil {
			return nil //nolint:nilerr // not a plan any more
		}
		out = append(out, Mutant{Path: path, Line: line, What: what, plan: c})
		return nil
	}
	walk(p, func(st *plan.Step) {
		if err != nil {
			return
		}
		path := st.Path
		err = add(path, st.Line, "deleted", func(c *plan.Plan) bool { return drop(c, path) })
		for _, w := range weakenings(st) {
			if err == nil {
				err = add(path, st.Line, w.what, func(c *plan.Plan) bool {
					changed := false
					walk(c, func(m *plan.Step) {
						if m.Path == path {
							w.do(c, m)
							changed = true
						}
					})
					return changed
				})
			}
		}
	})
	for i, l := range p.Limits {
		if err == nil {
			err = add(l.Action, 0, fmt.Sprintf("limit raised from %d to %d", l.Targets, l.Targets+1), func(c *plan.Plan) bool {
				c.Limits[i].Targets++
				return true
			})
		}
	}
	return out, err
}

// drop deletes the step of a path.
func drop(p *plan.Plan, path string) bool {
	found := false
	var in func([]plan.Step) []plan.Step
	in = func(steps []plan.Step) []plan.Step {
		steps = slices.DeleteFunc(steps, func(s plan.Step) bool {
			found = found || s.Path == path
			return s.Path == path
		})
		for i := range steps {
			s := &steps[i]
			s.Steps = in(s.Steps)
			if s.Choose != nil {
				for k := range s.Choose.Cases {
					s.Choose.Cases[k].Steps = in(s.Choose.Cases[k].Steps)
				}
				s.Choose.Default = in(s.Choose.Default)
			}
			if s.Fork != nil {
				for k := range s.Fork.Branches {
					s.Fork.Branches[k].Steps = in(s.Fork.Branches[k].Steps)
				}
			}
		}
		return steps
	}
	for i := range p.Phases {
		p.Phases[i].Steps = in(p.Phases[i].Steps)
	}
	return found
}

type weakening struct {
	what string
	do   func(*plan.Plan, *plan.Step)
}

// negate gives the index of the opposite of an expression.
func negate(p *plan.Plan, r plan.ExprRef) *plan.ExprRef {
	e := p.Exprs[r]
	e.Text = "!(" + e.Text + ")"
	p.Exprs = append(p.Exprs, e)
	n := plan.ExprRef(len(p.Exprs) - 1)
	return &n
}

func other(o plan.OnError) plan.OnError {
	if o == plan.OnContinue {
		return plan.OnFail
	}
	return plan.OnContinue
}

// weakenings are the ways in which one step can be weakened.
func weakenings(st *plan.Step) []weakening {
	var out []weakening
	add := func(what string, do func(*plan.Plan, *plan.Step)) { out = append(out, weakening{what, do}) }
	if st.If != nil {
		add("if inverted", func(p *plan.Plan, s *plan.Step) { s.If = negate(p, *s.If) })
		add("if removed", func(_ *plan.Plan, s *plan.Step) { s.If = nil })
	}
	if a := st.Approve; a != nil {
		add("approval removed", func(_ *plan.Plan, s *plan.Step) { s.Approve = nil })
		if a.When != nil {
			add("approve.when inverted", func(p *plan.Plan, s *plan.Step) { s.Approve.When = negate(p, *s.Approve.When) })
		}
		if a.Denied != plan.OnSkip {
			add("denied: skip in place of "+string(a.Denied), func(_ *plan.Plan, s *plan.Step) { s.Approve.Denied = plan.OnSkip })
		}
		if last := a.From[len(a.From)-1]; last.Within > 0 {
			to := plan.OnAct
			if a.Silent == plan.OnAct {
				to = plan.OnStop
			}
			add(fmt.Sprintf("silent: %s in place of %s", to, a.Silent), func(_ *plan.Plan, s *plan.Step) { s.Approve.Silent = to })
		}
		if len(a.From) > 1 {
			add("the last who are asked removed", func(_ *plan.Plan, s *plan.Step) { s.Approve.From = s.Approve.From[:len(s.Approve.From)-1] })
		}
	}
	if st.Hold != nil {
		add("hold removed", func(_ *plan.Plan, s *plan.Step) { s.Hold = nil })
		to := plan.HoldRelease
		if st.Hold.Then == to {
			to = plan.HoldKeep
		}
		add(fmt.Sprintf("hold.then: %s in place of %s", to, st.Hold.Then), func(_ *plan.Plan, s *plan.Step) { s.Hold.Then = to })
	}
	// Of a read that goes on after a failed element nothing is left to fail.
	quietly := st.Foreach != nil && st.Foreach.OnItemError == plan.OnContinue && st.Action != nil && !st.Action.Effect
	if (st.Action != nil || st.OnError == plan.OnContinue) && !quietly {
		to := other(st.OnError)
		add(fmt.Sprintf("on_error: %s in place of %s", to, st.OnError), func(_ *plan.Plan, s *plan.Step) { s.OnError = to })
	}
	if st.Foreach != nil {
		to := other(st.Foreach.OnItemError)
		add(fmt.Sprintf("on_item_error: %s in place of %s", to, st.Foreach.OnItemError), func(_ *plan.Plan, s *plan.Step) { s.Foreach.OnItemError = to })
	}
	if st.Repeat != nil {
		add("until inverted", func(p *plan.Plan, s *plan.Step) { s.Repeat.Until = *negate(p, s.Repeat.Until) })
		add("late: continue", func(_ *plan.Plan, s *plan.Step) {
			if s.Repeat.Late == plan.OnContinue {
				s.Repeat.Late = plan.OnFail
				return
			}
			s.Repeat.Late = plan.OnContinue
		})
		if st.Repeat.Within > 0 {
			add("within twice as long", func(_ *plan.Plan, s *plan.Step) { s.Repeat.Within *= 2 })
		}
	}
	if st.Pause != nil && (st.Pause.For != nil || st.Pause.At != nil) {
		add("wait ended at once", func(_ *plan.Plan, s *plan.Step) {
			raw, err := kind.Canonical(time.Duration(0))
			if err == nil {
				s.Pause = &plan.WaitBody{For: &plan.Value{Literal: raw, Type: kind.Of(kind.Duration)}}
			}
		})
	}
	if c := st.Choose; c != nil && c.HasDefault && len(c.Default) > 0 {
		add("default emptied", func(_ *plan.Plan, s *plan.Step) { s.Choose.Default = nil })
	}
	return out
}

// Try plays the tests on a mutant until one notices.
func (m *Mutant) Try(cases []Case) {
	for i := range cases {
		if bad := cases[i].Expect.Check(m.plan, Play(m.plan, &cases[i])); len(bad) > 0 {
			m.By = cases[i].Name
			return
		}
	}
}
