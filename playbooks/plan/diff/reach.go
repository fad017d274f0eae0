package diff

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// Reach is how many targets of one action a run of a playbook can act on, as far
// as the playbook itself bounds it.
type Reach struct {
	Action string `json:"action"`
	// Steps are the paths of the steps that call it, in their order.
	Steps []string `json:"steps"`
	// Bound is the sum over its steps of the most targets that each can have; 0
	// where a list or loop has no bound of its own, and only Limit holds.
	Bound int `json:"bound,omitempty"`
	// Limit is what limits of the playbook says; 0 for none.
	Limit int `json:"limit,omitempty"`
}

func (r Reach) equal(o Reach) bool {
	return r.Bound == o.Bound && r.Limit == o.Limit && slices.Equal(r.Steps, o.Steps)
}

// Most is the most targets that a run can act on; 0 where nothing in the playbook
// bounds it.
func (r Reach) Most() int {
	switch {
	case r.Bound == 0:
		return r.Limit
	case r.Limit == 0:
		return r.Bound
	}
	return min(r.Bound, r.Limit)
}

// ReachOf lists the effects that a plan can bring about by itself, by action. What
// called playbooks do is not in it: they are plans of their own.
func ReachOf(p *plan.Plan) []Reach {
	by := map[string]*Reach{}
	unbounded := map[string]bool{}
	var in func(steps []plan.Step, times int)
	in = func(steps []plan.Step, times int) {
		for i := range steps {
			st := &steps[i]
			n := times * rounds(st)
			if st.Action != nil && st.Action.Effect {
				r := by[st.Action.Name]
				if r == nil {
					r = &Reach{Action: st.Action.Name, Limit: p.LimitOf(st.Action.Name)}
					by[st.Action.Name] = r
				}
				r.Steps = append(r.Steps, st.Path)
				each := targets(p, st.Action)
				r.Bound += n * each
				if n == 0 || each == 0 {
					unbounded[st.Action.Name] = true
				}
			}
			for _, inside := range st.Inside() {
				in(inside, n)
			}
		}
	}
	for i := range p.Phases {
		in(p.Phases[i].Steps, 1)
	}
	out := make([]Reach, 0, len(by))
	for action, r := range by {
		if unbounded[action] {
			r.Bound = 0
		}
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Reach) int { return cmp.Compare(a.Action, b.Action) })
	return out
}

// rounds is how often a step can run where it stands; 0 for no bound.
func rounds(st *plan.Step) int {
	switch {
	case st.Foreach != nil:
		return st.Foreach.Max
	case st.Repeat != nil && st.Repeat.Max > 0:
		return st.Repeat.Max
	case st.Repeat != nil && st.Repeat.Within > 0 && st.Repeat.Every > 0:
		return int(st.Repeat.Within/st.Repeat.Every) + 1
	case st.Repeat != nil:
		return 0
	}
	return 1
}

// targets is the most targets that one call can have; 0 for no bound. An action
// that names none counts as one.
func targets(p *plan.Plan, c *plan.ActionCall) int {
	sp, ok := p.ActionSpec(c.Name)
	if !ok || sp.Targets == "" {
		return 1
	}
	i := slices.IndexFunc(c.With, func(n plan.NamedValue) bool { return n.Name == sp.Targets })
	if i < 0 {
		return 1
	}
	v := &c.With[i].Value
	f, _ := sp.InputType().Field(sp.Targets)
	if f.Type.Kind != kind.List {
		return 1
	}
	switch {
	case len(v.List) > 0:
		return len(v.List)
	case v.Literal != nil:
		var list []json.RawMessage
		if json.Unmarshal(v.Literal, &list) == nil {
			return len(list)
		}
	case v.Expr != nil && int(*v.Expr) < len(p.Exprs):
		name, whole := strings.CutPrefix(strings.TrimSpace(p.Exprs[*v.Expr].Text), "inputs.")
		for _, in := range p.Inputs {
			if whole && in.Name == name {
				return in.Max
			}
		}
	}
	return 0
}
