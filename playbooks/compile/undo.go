package compile

import (
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// undo resolves the steps that a step takes back, or types the effects.
func (u *unit) undo(st *ast.Step, env expr.Env, out *plan.Step) {
	if len(st.Undo) == 1 && strings.Contains(st.Undo[0].String(), "${{") {
		u.undoOf(st.Undo[0], env, out)
		return
	}
	in := u.infos[st]
	for _, t := range st.Undo {
		n, ok := u.ids[t.String()]
		switch {
		case strings.Contains(t.String(), "${{"):
			u.report("bad-value", t.Span(), "write undo: ${{ LIST }}, or an undo for each", "a list of undo names steps")
		case !ok:
			u.unknownUndo(t)
		case atOnce(n.info, in) != nil:
			u.report("unknown-step", t.Span(), "take it back behind the parallel", "%s runs at the same time, in another branch", t)
		case !n.done:
			u.report("unknown-step", t.Span(), "write the undo behind it", "%s has not run yet: it stands at line %d", t, n.step.Span.Start.Line)
		case !reversible(u, n.step):
			u.report("nothing-to-undo", t.Span(), "name a step whose effect has an inverse", "%s has no effect that can be taken back", t)
		}
		out.Undoes = append(out.Undoes, t.String())
	}
}

func (u *unit) unknownUndo(t ast.Text) {
	var known []string
	for _, o := range u.order {
		known = append(known, o.id)
	}
	help := "name a step by its id, one that acts"
	bare := strings.TrimSuffix(strings.TrimPrefix(t.String(), "steps."), ".effect")
	if near := diag.Near(bare, known); near != "" {
		help = "did you mean " + near + "?"
	}
	u.report("unknown-step", t.Span(), help, "there is no step %s", t)
}

// undoOf types the effects that an undo takes back: one, or a list.
func (u *unit) undoOf(t ast.Text, env expr.Env, out *plan.Step) {
	effect := kind.HandleOf(plan.Effect)
	segments, open := expr.Split(t.String())
	if open >= 0 || len(segments) != 1 || !segments[0].IsExpr {
		u.report("bad-value", t.Span(), "write undo: ${{ steps.ID.effect }}, or the id of a step", "undo takes ids of steps, or one expression that gives effects")
		return
	}
	v := u.text(t, target{what: "undo"}, env)
	out.UndoOf = &v
	got := v.Type
	if got.Kind == kind.List && got.Elem != nil {
		got = *got.Elem
	}
	if v.Expr != nil && got.Kind != "" && !got.Equal(effect) {
		u.report("wrong-type", trimmed(t, segments[0]), "an effect is steps.ID.effect, or the field effect of an element of a loop",
			"undo takes an effect or a list of them; this is %s", a(v.Type))
	}
}

// undoWith types the author's own way back, which runs where the step is undone.
// Its inputs are evaluated just after the step acted, and kept with the effect.
func (u *unit) undoWith(st *ast.Step, in *info, p *place, out *plan.Step) {
	w := st.UndoWith
	switch {
	case st.Kind.String() != "uses":
		u.report("bad-undo-with", head(u.file, w.Span), "put it on the step that acts", "undo_with stands on a step that uses an action")
	case in.action != nil && !in.action.Effect():
		u.report("bad-undo-with", head(u.file, w.Span), "remove it", "%s changes nothing, so that there is nothing to take back", in.action.Name)
	case in.action != nil && in.action.Inverse != "":
		u.report("bad-undo-with", head(u.file, w.Span), "remove it", "%s is taken back by %s already", in.action.Name, in.action.Inverse)
	}
	if !u.need(w.Uses, w.Span, "undo_with", "uses") {
		return
	}
	action := u.resolveAction(w.Uses)
	inside := p
	if st.ID.Given() && !st.Foreach.Given() {
		inside = p.in(p.at, []string{"steps." + st.ID.String()})
	}
	if action == nil {
		u.anything(w.With, u.env(inside))
		return
	}
	if !action.Effect() && in.action != nil && in.action.Effect() {
		u.report("bad-undo-with", w.Uses.Span(), "name an action that changes something", "%s is a read, and takes nothing back", action.Name)
	}
	in.undoWith = action
	defer u.actsOnTheSame(st, in, out)
	out.UndoWith = &plan.ActionCall{Name: action.Name, Effect: true, With: u.given(given{
		list: w.With, fields: action.Inputs, of: action.Name, at: w.Uses.Span(), key: w.WithSpan, unknown: "unknown-action-input",
	}, u.env(inside))}
}

// actsOnTheSame wants the way back to act on what the step acted on, or on what it
// made. As an undo no guard, limit or kill switch holds it back, so it must reach
// nothing that the step itself could not.
func (u *unit) actsOnTheSame(st *ast.Step, in *info, out *plan.Step) {
	back := in.undoWith.Targets
	if back == "" || in.action == nil || out.Action == nil {
		return
	}
	on := valueOf(out.UndoWith.With, back)
	if on == nil {
		return
	}
	if own := valueOf(out.Action.With, in.action.Targets); own != nil && u.written(own) == u.written(on) {
		return
	}
	made := on.Expr != nil && st.ID.Given()
	if made {
		from := u.checked[*on.Expr].Flow.All()
		made = len(from) > 0 && !slices.ContainsFunc(from, func(p []string) bool {
			return len(p) < 2 || p[0] != "steps" || p[1] != st.ID.String()
		})
	}
	if made {
		return
	}
	for _, w := range st.UndoWith.With {
		if w.Name.String() == back {
			u.report("bad-undo-with", w.Name.Span(), "give it what the step acted on, or something of its result: as an undo, no guard asks about it",
				"the way back acts on something else than the step")
		}
	}
}

func valueOf(with []plan.NamedValue, name string) *plan.Value {
	for i := range with {
		if with[i].Name == name {
			return &with[i].Value
		}
	}
	return nil
}

// written tells values apart as they were written: by the texts of their
// expressions.
func (u *unit) written(v *plan.Value) string {
	texts := []string{string(v.Literal)}
	for _, e := range v.Exprs() {
		texts = append(texts, strings.TrimSpace(u.draft.Exprs[e].Text))
	}
	return strings.Join(texts, "\n")
}

// reversible reports whether a step or something in it can be taken back.
func reversible(u *unit, st *ast.Step) bool {
	in := u.infos[st]
	switch st.Kind.String() {
	case "uses":
		// An unknown action was told already.
		return in.action == nil || in.action.Inverse != "" || st.UndoWith != nil
	case "call":
		return in.child == nil || in.child.reverses
	}
	return slices.ContainsFunc(st.Inside(), func(list []*ast.Step) bool {
		return slices.ContainsFunc(list, func(s *ast.Step) bool { return reversible(u, s) })
	})
}
