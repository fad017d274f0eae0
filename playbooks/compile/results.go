package compile

import (
	"cmp"
	"slices"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// finish fills the defaults of a step and gives its id a type.
func (u *unit) finish(st *ast.Step, in *info, out *plan.Step) {
	effect := in.action != nil && in.action.Effect()
	def := "fail"
	if effect {
		def = "ask"
	}
	out.OnError = plan.OnError(u.oneOf(st.OnError, "on_error", def, "fail", "continue", "ask", "skip"))
	u.holdDefault(st, in, out)
	n, ok := u.ids[st.ID.String()]
	if !ok || n.step != st {
		return
	}
	n.typ, n.hasResult = u.result(st, in, out)
	n.done = true
}

// holdDefault fills then by what the action acts on: a host or an account stays
// contained until a person decides, an address or a URL is let go.
func (u *unit) holdDefault(st *ast.Step, in *info, out *plan.Step) {
	if out.Hold == nil {
		return
	}
	if in.action == nil {
		if st.Kind.String() != "uses" {
			u.report("bad-hold", head(u.file, st.Hold.Span), "put it on the step that acts", "hold stands on a step that uses an action")
		}
		return
	}
	if in.action.Inverse == "" {
		u.report("bad-hold", head(u.file, st.Hold.Span), "remove hold", "%s has no inverse, so it cannot be held", in.action.Name)
	}
	if out.Hold.Then != "" {
		return
	}
	out.Hold.Then = plan.HoldRelease
	if f, ok := in.action.InputType().Field(in.action.Targets); ok && innermost(&f.Type).Kind == kind.Handled {
		out.Hold.Then = plan.HoldAsk
	}
}

// result is the type of steps.ID, and whether there is one.
func (u *unit) result(st *ast.Step, in *info, out *plan.Step) (kind.Type, bool) {
	one, has := u.single(st, in, out)
	inner := u.inner(st)
	switch {
	case out.Foreach != nil:
		elem := u.elem(out.Foreach.In)
		fields := []kind.Field{
			{Name: "item", Type: elem}, {Name: "index", Type: kind.Of(kind.Int)},
			{Name: "ok", Type: kind.Of(kind.Boolean)}, {Name: "error", Type: expr.ErrorType(), Optional: true},
		}
		if out.Kind == plan.Do {
			fields = append(fields, inner...)
		} else if has {
			fields = append(fields, kind.Field{Name: "out", Type: one, Optional: true})
		}
		return kind.ListOf(kind.RecordOf(fields...)), true
	case st.Repeat != nil:
		return kind.RecordOf(inner...), true
	}
	return one, has
}

func (u *unit) elem(ref plan.ExprRef) kind.Type {
	if t := u.draft.Exprs[ref].Type; t.Elem != nil {
		return *t.Elem
	}
	return kind.Type{}
}

// single is the result of one run of a step.
func (u *unit) single(st *ast.Step, in *info, out *plan.Step) (kind.Type, bool) {
	switch out.Kind {
	case plan.Uses:
		if in.action == nil {
			return kind.Type{}, true
		}
		return in.action.OutputType(), true
	case plan.Set:
		var fields []kind.Field
		for _, a := range out.Assign {
			fields = append(fields, kind.Field{Name: a.Name, Type: a.Value.Type})
		}
		return kind.RecordOf(fields...), true
	case plan.Ask:
		if len(out.People.Fields) == 0 {
			return kind.RecordOf(
				kind.Field{Name: "done", Type: kind.Of(kind.Boolean), Optional: true},
				kind.Field{Name: "why", Type: kind.Of(kind.String), Optional: true}), true
		}
		var fields []kind.Field
		for _, f := range out.People.Fields {
			fields = append(fields, kind.Field{Name: f.Name, Type: f.Type})
		}
		return kind.RecordOf(fields...), true
	}
	return kind.Type{}, false
}

// inner are the ids that stand directly in a block, as fields of its rounds. In
// a failed round none of them need be there, so all are optional.
func (u *unit) inner(st *ast.Step) []kind.Field {
	var out []kind.Field
	for _, s := range st.Do {
		if n, ok := u.ids[s.ID.String()]; ok && n.step == s && n.hasResult {
			out = append(out, kind.Field{Name: n.id, Type: n.typ, Optional: st.Foreach.Given() || skippable(s)})
		}
	}
	return out
}

// flow warns of what is never used and refuses what is never reached.
func (u *unit) flow() {
	for _, ph := range u.tree.Phases {
		u.reach(ph.Steps)
	}
	if u.list.HasErrors() {
		return // what is unused may only be used where an error stands
	}
	for _, in := range u.tree.Inputs {
		if !u.used["inputs."+in.Name.String()] && !u.used["inputs"] {
			u.warn("unused", in.Name.Span(), "use it or remove it", "the input %s is never read", in.Name)
		}
	}
	for _, s := range u.tree.Settings {
		if !u.used["settings."+s.Name.String()] && !u.used["settings"] {
			u.warn("unused", s.Name.Span(), "use it or remove it", "the setting %s is never read", s.Name)
		}
	}
}

func (u *unit) reach(steps []*ast.Step) {
	for i, st := range steps {
		if i > 0 && ends(steps[i-1]) && !steps[i-1].If.Given() {
			u.report("unreachable", head(u.file, st.Span), "remove it, or give the step before a condition", "nothing runs behind a step that ends the run")
		}
		u.reach(st.Do)
		for _, c := range st.Cases {
			u.reach(c.Steps)
		}
		u.reach(st.Default)
	}
}

// lower finishes the draft: what is read of each result, the actions with what
// the plan relies on, the results, the order of lists.
func (u *unit) lower() {
	reads := u.reads()
	actions := map[string]spec.Action{}
	u.eachStep(func(st *ast.Step, in *info) {
		if in.action == nil || in.drafted == nil || in.drafted.Action == nil {
			return
		}
		actions[in.action.Name] = *in.action
		in.drafted.Action.Reads = reads[st.ID.String()]
		// What takes an action back is relied on too.
		if inv, ok := u.actions.Action(in.action.Inverse); ok && in.action.Inverse != "" {
			actions[inv.Name] = inv
		}
	})
	for _, n := range sortedKeys(actions) {
		a := actions[n]
		u.draft.Actions = append(u.draft.Actions, plan.Action{Name: n, Schema: a.SchemaDigest(), Spec: undocumented(a)})
	}
	for _, id := range sortedKeys(u.ids) {
		r := plan.Result{ID: id}
		if n := u.ids[id]; n.hasResult {
			r.Type = bare(n.typ)
		}
		u.draft.Results = append(u.draft.Results, r)
	}
	slices.SortFunc(u.draft.Outputs, func(a, b plan.Output) int { return cmp.Compare(a.Name, b.Name) })
	if u.draft.Phases == nil {
		u.draft.Phases = []plan.Phase{}
	}
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
		fields = append(fields, kind.Field{Name: f.Name, Type: bare(f.Type), Optional: f.Optional, Sink: f.Sink})
	}
	if t.Fields != nil {
		t.Fields = fields
	}
	return t
}

// reads collects, per id, the fields that expressions read: "*" where a whole
// result is used.
func (u *unit) reads() map[string][]string {
	sets := map[string]map[string]bool{}
	add := func(id, field string) {
		if sets[id] == nil {
			sets[id] = map[string]bool{}
		}
		sets[id][field] = true
	}
	for _, p := range u.paths {
		if p[0] != "steps" || len(p) < 2 {
			continue
		}
		u.read(p[1], p[2:], add)
	}
	out := map[string][]string{}
	for _, id := range sortedKeys(sets) {
		fields := sortedKeys(sets[id])
		if sets[id]["*"] {
			fields = []string{"*"}
		}
		out[id] = fields
	}
	return out
}

// read follows a path below steps.ID. A loop's result holds the results of what
// is in it, so that reading the loop reads those.
func (u *unit) read(id string, below []string, add func(id, field string)) {
	n, ok := u.ids[id]
	if !ok || (len(below) > 0 && below[0] == expr.Tested) {
		return
	}
	inner := n.step.Do
	if len(inner) > 0 {
		for _, s := range inner {
			if !s.ID.Given() {
				continue
			}
			switch {
			case len(below) == 0:
				u.read(s.ID.String(), nil, add)
			case below[0] == s.ID.String():
				u.read(s.ID.String(), below[1:], add)
			}
		}
		return
	}
	if len(below) == 0 || n.step.Foreach.Given() {
		add(id, "*")
		return
	}
	add(id, below[0])
}
