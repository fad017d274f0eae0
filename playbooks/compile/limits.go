package compile

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/plan"
)

// limits types limits and compares each with how many targets the playbook may
// reach at most.
func (u *unit) limits(limited map[string]bool) {
	reach := u.reach()
	for _, l := range u.tree.Limits {
		name := l.Name.String()
		a, ok := u.action(name)
		if !ok {
			u.report("unknown-action", l.Name.Span(), nearAction(name, u.actions.Names()), "there is no action %s", name)
			continue
		}
		n := 0
		if l.Value.Text.Given() {
			n = u.count(l.Value.Text, "a limit", 1_000_000)
		} else {
			u.report("bad-value", l.Value.Span, "write how many targets one run may act on: 5", "a limit is a whole number")
		}
		if n == 0 {
			continue
		}
		if !a.Effect() {
			u.report("bad-limit", l.Name.Span(), "remove the limit", "%s changes nothing; limits count the targets of effects", name)
			continue
		}
		if _, used := reach[name]; !used {
			u.warn("unused", l.Name.Span(), "remove the limit", "the playbook never uses %s", name)
		}
		if reach[name] > n {
			u.report("limit-exceeded", l.Value.Span, "raise the limit, or lower max or take(n)",
				"the playbook may act on %s targets of %s; the limit is %d", strconv.Itoa(reach[name]), name, n)
		}
		u.draft.Limits = append(u.draft.Limits, plan.Limit{Action: name, Targets: n})
	}
	slices.SortFunc(u.draft.Limits, func(a, b plan.Limit) int { return cmp.Compare(a.Action, b.Action) })
	u.eachStep(func(st *ast.Step, in *info) { u.listBound(st, in, limited) })
}

// listBound wants a limit, or a bound of its length, for a list of targets.
func (u *unit) listBound(st *ast.Step, in *info, limited map[string]bool) {
	if in.action == nil || !in.action.Effect() || in.drafted == nil || in.action.Reversal == spec.Unneeded || limited[in.action.Name] {
		return
	}
	if n, list := u.listed(in); list && n == 0 {
		u.report("unbounded-effect", u.withSpan(st, in.action.Targets), "write limits: { "+in.action.Name+": … }, or end the list with .take(n)",
			"%s acts on a list that has no bound", in.action.Name)
	}
}

// listed is the static bound of a list of targets, 0 where there is none, and
// whether the step takes a list at all.
func (u *unit) listed(in *info) (int, bool) {
	f, ok := in.action.InputType().Field(in.action.Targets)
	if !ok || f.Type.Kind != kind.List {
		return 0, false
	}
	for _, w := range in.drafted.Action.With {
		if w.Name != f.Name {
			continue
		}
		if w.Value.Expr != nil {
			return u.checked[*w.Value.Expr].Most, true
		}
		return len(w.Value.List), true
	}
	return 0, true
}

// reach is how many targets of each effect the steps may act on at most, those
// of called playbooks included.
func (u *unit) reach() map[string]int {
	out := map[string]int{}
	u.eachStep(func(_ *ast.Step, in *info) {
		if in.action != nil && in.action.Effect() {
			out[in.action.Name] += u.targets(in)
		}
		if in.child != nil {
			for _, a := range sortedKeys(in.child.reach) {
				out[a] += in.child.reach[a] * u.rounded(in)
			}
		}
	})
	return out
}

// rounded is how often the loops around a step run it at most.
func (u *unit) rounded(in *info) int {
	n := 1
	for i := in; i != nil; i = i.parent {
		if i.drafted != nil && i.drafted.Foreach != nil {
			n *= i.drafted.Foreach.Max
		}
	}
	return n
}

// targets is the static bound of the targets of one step. Rounds of a repeat
// act on the same targets again, and lists without a bound count at run time.
func (u *unit) targets(in *info) int {
	n := 1
	if in.drafted != nil && in.drafted.Action != nil {
		if most, list := u.listed(in); list {
			n = most // without a bound the limit is checked against the whole list before its first effect
		}
	}
	for i := in; i != nil; i = i.parent {
		if i.drafted == nil || i.drafted.Foreach == nil {
			continue
		}
		// A loop that never mentions the target acts on one.
		if !u.varies(in, i.drafted.Foreach.Var) {
			continue
		}
		n *= i.drafted.Foreach.Max
	}
	return n
}

// varies reports whether the target of a step depends on a loop's variable, or
// on a step, which may depend on it in turn.
func (u *unit) varies(in *info, v string) bool {
	for _, w := range in.step.With {
		if w.Name.String() != in.action.Targets || !w.Value.Text.Given() {
			continue
		}
		return mentions(w.Value.Text.String(), v) || u.readsLoop(in, w.Value.Text.String())
	}
	return true
}

func (u *unit) readsLoop(in *info, text string) bool {
	loop := in.loop()
	for _, n := range u.order {
		if loop != nil && n.info.within(loop) && mentions(text, n.id) {
			return true
		}
	}
	return false
}
