package compile

import (
	"slices"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// finish fills the defaults of a step and gives its id a type.
func (u *unit) finish(st *ast.Step, in *info, out *plan.Step) {
	// An undo changes the world as an effect does: what it leaves there, a person
	// must hear of.
	effect := (in.action != nil && in.action.Effect()) || st.Kind.String() == "undo"
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
	u.lengths(n.id, out)
	n.done = true
	u.over++
}

// lengths notes the longest lists of a result: a loop gives a round per element,
// and a person chooses at most all that there is to choose from.
func (u *unit) lengths(id string, out *plan.Step) {
	if f := out.Foreach; f != nil {
		if f.Max > 0 {
			u.bounds["steps."+id] = f.Max
		}
		return
	}
	if out.People == nil {
		return
	}
	for _, f := range out.People.Fields {
		n := f.Max
		if f.Among != nil {
			if most := u.checked[*f.Among].Most; most > 0 && (n == 0 || most < n) {
				n = most
			}
		}
		if f.Type.Kind == kind.List && n > 0 {
			u.bounds["steps."+id+"."+f.Name] = n
		}
	}
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
	effect := in.action != nil && in.action.Effect()
	switch {
	case out.Foreach != nil:
		fields := []kind.Field{
			{Name: "item", Type: u.elem(out.Foreach.In)},
			{Name: "index", Type: kind.Of(kind.Int)},
			{Name: "ok", Type: kind.Of(kind.Boolean)},
			{Name: "error", Type: expr.ErrorType(), Optional: true},
		}
		if isBlock(out.Kind) {
			fields = append(fields, u.inner(st, true)...)
		} else if has {
			fields = append(fields, kind.Field{Name: "out", Type: one, Optional: true})
		}
		if effect {
			fields = append(fields, effectField)
		}
		return kind.ListOf(kind.RecordOf(fields...)), true
	case st.Repeat != nil:
		return kind.RecordOf(u.inner(st, false)...), true
	case effect:
		if _, taken := one.Field(plan.EffectField); !taken {
			one.Fields = append(slices.Clone(one.Fields), effectField)
		}
	}
	return one, has
}

var effectField = kind.Field{Name: plan.EffectField, Type: kind.HandleOf(plan.Effect)}

// isBlock tells the kind over which a round has the ids inside it.
func isBlock(k plan.StepKind) bool {
	return k == plan.Do
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
	case plan.Call:
		if in.child == nil {
			return kind.Type{}, true
		}
		return in.child.outputs(), true
	case plan.Set:
		var fields []kind.Field
		for _, a := range out.Assign {
			fields = append(fields, kind.Field{Name: a.Name, Type: a.Value.Type, Optional: u.mayBeAbsent(a.Value)})
		}
		return kind.RecordOf(fields...), true
	case plan.Ask:
		return answer(out.People), true
	case plan.Parallel:
		if !out.Fork.First {
			return kind.Type{}, false
		}
		var names []string
		for _, b := range out.Fork.Branches {
			names = append(names, b.Name)
		}
		return kind.RecordOf(kind.Field{Name: "first", Type: kind.ChoiceOf(names...)}), true
	case plan.Wait:
		if out.Pause != nil && out.Pause.ForAlert != nil {
			return expr.AlertTakenType(), true
		}
	default: // other kinds of step
	}
	return kind.Type{}, false
}

// answer is what people say: the fields, or of a task whether it is done, and
// why not.
func answer(ask *plan.AskBody) kind.Type {
	if len(ask.Fields) == 0 {
		return kind.RecordOf(
			kind.Field{Name: "done", Type: kind.Of(kind.Boolean)},
			kind.Field{Name: "why", Type: kind.Of(kind.String), Optional: true})
	}
	var fields []kind.Field
	for _, f := range ask.Fields {
		fields = append(fields, kind.Field{Name: f.Name, Type: f.Type})
	}
	return kind.RecordOf(fields...)
}

// inner are the ids that stand in a block and in no deeper loop, as fields of
// its rounds. In a failed round none of them need be there.
func (u *unit) inner(st *ast.Step, maybe bool) []kind.Field {
	var out []kind.Field
	maybe = maybe || st.Kind.String() == "switch" || st.First.String() == "true"
	for _, list := range st.Inside() {
		for _, s := range list {
			absent := maybe || skippable(s)
			if n, ok := u.ids[s.ID.String()]; ok && n.step == s && n.hasResult {
				out = append(out, kind.Field{Name: n.id, Type: n.typ, Optional: absent})
			}
			if !s.Foreach.Given() && s.Repeat == nil {
				out = append(out, u.inner(s, absent)...)
			}
		}
	}
	return out
}

// flow warns of what is never used and refuses what is never reached.
func (u *unit) flow() {
	for _, ph := range u.tree.Phases {
		u.unreachable(ph.Steps)
	}
	if u.list.HasErrors() {
		return // what is unused may only be used where an error stands
	}
	u.eachStep(func(st *ast.Step, in *info) {
		if id := st.ID.String(); st.Kind.String() == "set" && !u.used["steps."+id] && !u.used["steps"] {
			u.warn("unused", st.Kind.Span(), "give it an id and read it, or remove it", "nothing reads what is set here")
		}
	})
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

func (u *unit) unreachable(steps []*ast.Step) {
	for i, st := range steps {
		if i > 0 && ends(steps[i-1]) && !steps[i-1].If.Given() {
			u.report("unreachable", head(u.file, st.Span), "remove it, or give the step before a condition", "nothing runs behind a step that ends the run")
		}
		for _, inside := range st.Inside() {
			u.unreachable(inside)
		}
	}
}
