package compile

import (
	"slices"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// safety refuses what would act without a bound, without a way back or without
// anybody having looked.
func (u *unit) safety() {
	undone, limited := u.undone(), map[string]bool{}
	for _, l := range u.tree.Limits {
		limited[l.Name.String()] = true
	}
	u.eachStep(func(st *ast.Step, in *info) {
		if a := in.action; a != nil && a.Effect() && in.drafted != nil {
			u.containment(st, in, undone)
			u.irreversible(st, in)
			u.bounded(in, a.Name, limited)
			u.unconfirmed(st, in)
		}
		if in.child != nil && in.drafted != nil && len(in.child.reach) > 0 {
			u.bounded(in, st.Body.String(), limited)
		}
		u.commands(st, in)
		if st.Approve != nil {
			u.veto(st, in)
			u.preview(st)
		}
		u.untrusted(st, in)
	})
	u.limits(limited)
	u.events()
}

// undone are the ids of the steps that some undo takes back, by name or through
// the value of their effect.
func (u *unit) undone() map[string]bool {
	out := map[string]bool{}
	u.eachStep(func(st *ast.Step, in *info) {
		if in.drafted == nil {
			return
		}
		for _, id := range in.drafted.Undoes {
			out[id] = true
		}
		if v := in.drafted.UndoOf; v != nil && v.Expr != nil {
			u.effectsOf(u.checked[*v.Expr].Flow, out, 0)
		}
	})
	return out
}

// effectsOf collects the ids that stand in a flow of effects, through the fields
// of an ask in which a person chose among them too.
func (u *unit) effectsOf(f expr.Flow, out map[string]bool, depth int) {
	for _, p := range f.All() {
		for _, name := range p {
			out[name] = true
		}
		n, ok := u.ids[p[min(1, len(p)-1)]]
		if !ok || depth > 3 || n.info.drafted == nil || n.info.drafted.People == nil {
			continue
		}
		for _, field := range n.info.drafted.People.Fields {
			if field.Among != nil {
				u.effectsOf(u.checked[*field.Among].Flow, out, depth+1)
			}
		}
	}
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

// seen reports whether people see all that a step does before it does it: an
// approval without a condition covers it.
func seen(in *info) bool {
	for i := in; i != nil; i = i.parent {
		if a := i.step.Approve; a != nil && !a.When.Given() {
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
	if in.counts != plan.Contain || (in.action.Inverse == "" && st.UndoWith == nil) || st.Hold != nil || accepted(in) {
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
	if in.action.Reversal != spec.Irreversible || st.UndoWith != nil || covered(in) || accepted(in) {
		return
	}
	u.report("irreversible", st.Body.Span(), "put an approve on it, or write accept: { irreversible: REASON }",
		"%s cannot be taken back, and nobody approves it", in.action.Name)
}

// bounded wants every loop around an effect to have a static bound, or the
// effect a limit or an approval: above a limit nothing acts, and a person sees
// the list.
func (u *unit) bounded(in *info, what string, limited map[string]bool) {
	if limited[what] || seen(in) {
		return
	}
	for i := in; i != nil; i = i.parent {
		if i.drafted == nil || i.drafted.Foreach == nil || i.drafted.Foreach.Max > 0 {
			continue
		}
		u.report("unbounded-effect", i.step.Foreach.Span(), "write a limit, give the input a max, or end the list with .take(n)",
			"%s acts once per element, and the list has no bound", what)
	}
}

// unconfirmed wants a target that is mere text of an input to be approved or
// guarded: only an alert named it, and no read confirmed that it is what it
// seems.
func (u *unit) unconfirmed(st *ast.Step, in *info) {
	f, ok := in.action.InputType().Field(in.action.Targets)
	if !ok || in.action.Reversal == spec.Unneeded || innermost(&f.Type).Kind == kind.Handled || covered(in) || accepted(in) || u.guarded(in) {
		return
	}
	for _, w := range in.drafted.Action.With {
		if w.Name != f.Name || w.Value.Expr == nil {
			continue
		}
		from := u.checked[*w.Value.Expr].Flow.All()
		if len(from) == 0 || slices.ContainsFunc(from, func(p []string) bool { return p[0] != "inputs" }) {
			continue
		}
		u.report("unconfirmed-target", u.withSpan(st, f.Name), "take the target from a find action, look at it first and act on an if, or put an approve on the step",
			"only the alert names the target of %s", in.action.Name)
	}
}

// guarded reports whether a condition on a step or around it looks at what a
// step found.
func (u *unit) guarded(in *info) bool {
	for i := in; i != nil; i = i.parent {
		if i.drafted == nil {
			continue
		}
		var conds []plan.ExprRef
		if i.drafted.If != nil {
			conds = append(conds, *i.drafted.If)
		}
		if i.drafted.Choose != nil {
			conds = append(conds, i.drafted.Choose.On)
		}
		for _, c := range conds {
			if slices.ContainsFunc(u.checked[c].Paths, func(p []string) bool { return p[0] == "steps" }) {
				return true
			}
		}
	}
	return false
}

// veto allows silent: act only where silence does nothing that cannot be taken
// back exactly and by itself.
func (u *unit) veto(st *ast.Step, in *info) {
	if st.Approve.Silent.String() != "act" {
		return
	}
	u.eachStep(func(s *ast.Step, i *info) {
		if i.child != nil && i.within(in) && len(i.child.reach) > 0 && !accepted(i) {
			u.report("veto-window", st.Approve.Silent.Span(), "write silent: stop, or leave the call out of the approval",
				"silent: act is only for effects that are held and exactly reversible; what %s at line %d does is not known to be", s.Body, s.Span.Start.Line)
		}
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
		if i.child != nil && i.within(in) && len(i.child.reach) > 0 {
			u.report("preview", s.Body.Span(), "put the approve into "+s.Body.String()+", where its effects are known",
				"the effects of a called playbook cannot be shown before it runs")
		}
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
