package compile

import (
	"cmp"
	"slices"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/plan"
)

// lower finishes the draft: what is read of each result, the actions with what
// the plan relies on, the results, the order of lists.
func (u *unit) lower() {
	reads := u.needs()
	u.narrow(reads)
	actions := map[string]spec.Action{}
	u.eachStep(func(st *ast.Step, in *info) {
		if in.action == nil || in.drafted == nil || in.drafted.Action == nil {
			return
		}
		actions[in.action.Name] = *in.action
		if r := reads[st.ID.String()]; r != nil {
			in.drafted.Action.Reads, in.drafted.Action.Named = r.list(), r.effect
		}
		if in.undoWith != nil {
			actions[in.undoWith.Name] = *in.undoWith
		}
		// What takes an action back is relied on too.
		if inv, ok := u.action(in.action.Inverse); ok && in.action.Inverse != "" {
			actions[inv.Name] = inv
		}
	})
	if len(actions) > 0 {
		u.draft.Actions = make([]plan.Action, 0, len(actions))
	}
	for _, n := range sortedKeys(actions) {
		a := actions[n]
		if f, ok := u.actions.(*Fixed); ok {
			u.draft.Actions = append(u.draft.Actions, f.relied[n])
			continue
		}
		u.draft.Actions = append(u.draft.Actions, reliedOn(a))
	}
	if len(u.ids) > 0 {
		u.draft.Results = make([]plan.Result, 0, len(u.ids))
	}
	for _, id := range sortedKeys(u.ids) {
		r := plan.Result{ID: id}
		if n := u.ids[id]; n.hasResult {
			r.Type = u.shown(bare(n.typ), n, reads)
		}
		u.draft.Results = append(u.draft.Results, r)
	}
	u.draft.Children = u.children()
	slices.SortFunc(u.draft.Outputs, func(a, b plan.Output) int { return cmp.Compare(a.Name, b.Name) })
	if u.draft.Phases == nil {
		u.draft.Phases = []plan.Phase{}
	}
}

// reliedOn is what a plan keeps of an action.
func reliedOn(a spec.Action) plan.Action {
	return plan.Action{Name: a.Name, Schema: a.SchemaDigest(), Spec: undocumented(a)}
}

// undocumented leaves the documentation out of an action: a plan must not
// change because a sentence did.
func undocumented(a spec.Action) spec.Action {
	a.Doc = ""
	a.Inputs, a.Outputs = bare(a.InputType()).Fields, bare(a.OutputType()).Fields
	return a
}

// bare leaves the documentation out of a type.
func bare(t kind.Type) kind.Type {
	if t.Elem != nil {
		e := bare(*t.Elem)
		t.Elem = &e
	}
	fields := make([]kind.Field, 0, len(t.Fields))
	for _, f := range t.Fields {
		f.Doc, f.Type = "", bare(f.Type)
		fields = append(fields, f)
	}
	if t.Fields != nil {
		t.Fields = fields
	}
	return t
}
