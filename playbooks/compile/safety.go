package compile

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// safety refuses what would act without a bound, without a way back or without
// anybody having looked.
func (u *unit) safety() {
	undone := map[string]bool{}
	u.eachStep(func(st *ast.Step, _ *info) {
		for _, t := range st.Undo {
			undone[t.String()] = true
		}
	})
	u.eachStep(func(st *ast.Step, in *info) {
		if a := in.action; a != nil && a.Effect() && in.drafted != nil {
			u.containment(st, in, undone)
			u.irreversible(st, in)
			u.bounded(st, in)
			u.unconfirmed(st, in)
		}
		if st.Approve != nil {
			u.veto(st, in)
			u.preview(st)
		}
	})
	u.limits()
}

// covered reports whether an approval stands on a step or around it.
func covered(in *info) bool {
	for i := in; i != nil; i = i.parent {
		if i.step.Approve != nil {
			return true
		}
	}
	return false
}

// accepted reports whether the author gave a reason on the step or around it.
func accepted(in *info) bool {
	for i := in; i != nil; i = i.parent {
		if i.step.Accept != nil && i.step.Accept.Irreversible.Given() {
			return true
		}
	}
	return false
}

// containment wants a way out of everything that counts as containment: a hold,
// or an undo further down.
func (u *unit) containment(st *ast.Step, in *info, undone map[string]bool) {
	if in.counts != plan.Contain || in.action.Inverse == "" || st.Hold != nil || accepted(in) {
		return
	}
	for i := in; i != nil; i = i.parent {
		if undone[i.step.ID.String()] {
			return
		}
	}
	u.report("containment-without-release", st.Body.Span(),
		"write hold: { for: 24h }, or undo the step in recover",
		"%s contains something and nothing ever lets it go", in.action.Name)
}

func (u *unit) irreversible(st *ast.Step, in *info) {
	if in.action.Reversal != spec.Irreversible || covered(in) || accepted(in) {
		return
	}
	u.report("irreversible", st.Body.Span(), "put an approve on it, or write accept: { irreversible: REASON }",
		"%s cannot be taken back, and nobody approves it", in.action.Name)
}

// bounded wants every loop around an effect to have a static bound.
func (u *unit) bounded(st *ast.Step, in *info) {
	for i := in; i != nil; i = i.parent {
		if i.drafted == nil || i.drafted.Foreach == nil || i.drafted.Foreach.Max > 0 {
			continue
		}
		u.report("unbounded-effect", i.step.Foreach.Span(), "give the input a max, or end the list with .take(n)",
			"%s acts once per element, and the list has no bound", in.action.Name)
	}
}

// unconfirmed wants a target that is mere text of an input to be approved: only
// an alert named it, and no read confirmed that it is what it seems.
func (u *unit) unconfirmed(st *ast.Step, in *info) {
	f, ok := in.action.InputType().Field(in.action.Targets)
	if !ok || innermost(&f.Type).Kind == kind.Handled || covered(in) || accepted(in) {
		return
	}
	for _, w := range in.drafted.Action.With {
		if w.Name != f.Name || w.Value.Expr == nil {
			continue
		}
		uses := u.draft.Exprs[*w.Value.Expr].Uses
		if len(uses) > 0 && !slices.ContainsFunc(uses, func(s string) bool { return len(s) < 7 || s[:7] != "inputs." }) {
			at := st.Body.Span()
			for _, x := range st.With {
				if x.Name.String() == f.Name {
					at = x.Value.Span
				}
			}
			u.report("unconfirmed-target", at, "take the target from a find action, or put an approve on the step",
				"only the alert names the target of %s", in.action.Name)
		}
	}
}

// veto allows silent: act only where silence does nothing that cannot be taken
// back exactly and by itself.
func (u *unit) veto(st *ast.Step, in *info) {
	if st.Approve.Silent.String() != "act" {
		return
	}
	u.eachStep(func(s *ast.Step, i *info) {
		if !i.within(in) || i.action == nil || !i.action.Effect() || accepted(i) || i.action.Reversal == spec.Unneeded {
			return
		}
		if i.action.Reversal == spec.Exact && s.Hold != nil {
			return
		}
		u.report("veto-window", st.Approve.Silent.Span(), "write silent: stop, or hold the effect",
			"silent: act is only for effects that are held and exactly reversible; %s at line %d is not", i.action.Name, s.Span.Start.Line)
	})
}

// preview refuses effects in an approved block whose inputs only another effect
// of the block would give: nobody could see before what they approve.
func (u *unit) preview(st *ast.Step) {
	in := u.infos[st]
	u.eachStep(func(s *ast.Step, i *info) {
		if i == in || !i.within(in) || i.action == nil || !i.action.Effect() || i.drafted == nil || i.drafted.Action == nil {
			return
		}
		for _, w := range i.drafted.Action.With {
			for _, id := range u.stepsRead(w.Value) {
				n, ok := u.ids[id]
				if !ok || !n.info.within(in) || n.info == in || n.info.action == nil || !n.info.action.Effect() {
					continue
				}
				u.report("preview", u.withSpan(s, w.Name), "approve the two effects one after the other",
					"the input %s depends on the effect %s in the same approval", w.Name, id)
			}
		}
	})
}

func (u *unit) withSpan(st *ast.Step, input string) source.Span {
	for _, w := range st.With {
		if w.Name.String() == input {
			return w.Value.Span
		}
	}
	return st.Body.Span()
}

// stepsRead lists the ids that a value reads under steps.
func (u *unit) stepsRead(v plan.Value) []string {
	var refs []plan.ExprRef
	if v.Expr != nil {
		refs = append(refs, *v.Expr)
	}
	for _, p := range v.Template {
		if p.Expr != nil {
			refs = append(refs, *p.Expr)
		}
	}
	var out []string
	for _, r := range refs {
		for _, use := range u.draft.Exprs[r].Uses {
			if len(use) > 6 && use[:6] == "steps." {
				out = append(out, use[6:])
			}
		}
	}
	for _, e := range v.List {
		out = append(out, u.stepsRead(e)...)
	}
	for _, e := range v.Map {
		out = append(out, u.stepsRead(e.Value)...)
	}
	return out
}

// limits types limits and compares each with how many targets the playbook may
// reach at most.
func (u *unit) limits() {
	reach := map[string]int{}
	used := map[string]bool{}
	u.eachStep(func(_ *ast.Step, in *info) {
		if in.action == nil {
			return
		}
		used[in.action.Name] = true
		reach[in.action.Name] += u.targets(in)
	})
	for _, l := range u.tree.Limits {
		name := l.Name.String()
		a, ok := u.actions.Action(name)
		if !ok {
			u.report("unknown-action", l.Name.Span(), nearAction(name, u.actions.Names()), "there is no action %s", name)
			continue
		}
		n := 0
		if l.Value.Text.Given() {
			n = u.count(l.Value.Text, "a limit", 1_000_000)
		} else {
			u.report("bad-value", l.Value.Span, "", "a limit is a whole number")
		}
		if n == 0 {
			continue
		}
		if !a.Effect() {
			u.report("bad-limit", l.Name.Span(), "remove the limit", "%s changes nothing; limits count the targets of effects", name)
			continue
		}
		if !used[name] {
			u.warn("unused", l.Name.Span(), "remove the limit", "the playbook never uses %s", name)
		}
		if reach[name] > n {
			u.report("limit-exceeded", l.Value.Span, "raise the limit, or lower max or take(n)",
				"the playbook may act on %s targets of %s; the limit is %d", strconv.Itoa(reach[name]), name, n)
		}
		u.draft.Limits = append(u.draft.Limits, plan.Limit{Action: name, Targets: n})
	}
	slices.SortFunc(u.draft.Limits, func(a, b plan.Limit) int { return cmp.Compare(a.Action, b.Action) })
}

// targets is the static bound of the targets of one step. Rounds of a repeat
// act on the same targets again, and lists without a bound count at run time.
func (u *unit) targets(in *info) int {
	n := 1
	if f, ok := in.action.InputType().Field(in.action.Targets); ok && f.Type.Kind == kind.List {
		n = 0 // the limit is checked against the whole list before its first effect
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
