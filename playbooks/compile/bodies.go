package compile

import (
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// body drafts what a step does.
func (u *unit) body(st *ast.Step, in *info, p *place, out *plan.Step) {
	switch out.Kind {
	case plan.Uses:
		u.uses(st, in, u.env(p), out)
	case plan.Do:
		out.Steps = u.steps(st.Do, p)
		if len(st.Do) == 0 {
			u.report("empty-block", st.Kind.Span(), "", "the block has no steps")
		}
	case plan.Switch:
		u.choose(st, p, out)
	case plan.Set:
		out.Assign = u.named(st.Set, "set", u.env(p))
	case plan.Wait:
		out.Pause = u.wait(st, u.env(p))
	case plan.Ask:
		out.People = u.ask(st, u.env(p))
	case plan.Undo:
		u.undo(st, in, out)
	case plan.Fail, plan.Report:
		v := u.text(st.Body, target{what: string(out.Kind), typ: kind.Of(kind.String)}, u.env(p))
		out.Text = &v
	case plan.Stop:
		u.oneOf(st.Body, "stop", "", "true_positive", "benign", "false_positive", "duplicate")
		v := u.literal(st.Body, st.Body.String(), target{what: "stop", typ: kind.Of(kind.String)})
		out.Text = &v
	}
}

// uses types the inputs of an action.
func (u *unit) uses(st *ast.Step, in *info, env expr.Env, out *plan.Step) {
	out.Action = &plan.ActionCall{Name: st.Body.String()}
	if in.action == nil {
		for _, w := range st.With {
			u.value(w.Value, target{what: w.Name.String(), sink: true}, env)
		}
		return
	}
	action := in.action
	out.Action.Effect = action.Effect()
	given := map[string]bool{}
	for _, w := range st.With {
		given[w.Name.String()] = true
		f, ok := action.InputType().Field(w.Name.String())
		if !ok {
			help := nearField(w.Name.String(), action.InputType())
			if help == "" {
				help = "its inputs are " + fieldNames(action.Inputs)
			}
			u.report("unknown-action-input", w.Name.Span(), help, "%s has no input %s", action.Name, w.Name)
			u.value(w.Value, target{what: w.Name.String(), sink: true}, env)
			continue
		}
		v := u.value(w.Value, target{what: f.Name + " of " + action.Name, typ: f.Type, sink: f.Sink}, env)
		out.Action.With = append(out.Action.With, plan.NamedValue{Name: f.Name, Value: v})
	}
	sortNamed(out.Action.With)
	for _, f := range action.Inputs {
		if !f.Optional && !given[f.Name] {
			at := st.Body.Span()
			if !st.WithSpan.IsZero() {
				at = st.WithSpan
			}
			u.report("missing-input", at, "write "+f.Name+": … under with", "%s needs the input %s, a %s", action.Name, f.Name, f.Type)
		}
	}
}

func fieldNames(fields []kind.Field) string {
	var out []string
	for _, f := range fields {
		out = append(out, f.Name)
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

func (u *unit) named(list []ast.Named, what string, env expr.Env) []plan.NamedValue {
	out := make([]plan.NamedValue, 0, len(list))
	for _, n := range list {
		if problem, help := badID(n.Name.String()); problem != "" {
			u.report("bad-id", n.Name.Span(), help, "%s %s", n.Name, problem)
		}
		v := u.value(n.Value, target{what: n.Name.String() + " of " + what}, env)
		out = append(out, plan.NamedValue{Name: n.Name.String(), Value: v})
	}
	sortNamed(out)
	return out
}

// choose types a switch: its keys must be values that it can have.
func (u *unit) choose(st *ast.Step, p *place, out *plan.Step) {
	body := &plan.SwitchBody{HasDefault: st.DefaultKey.Given()}
	out.Choose = body
	ref, checked := u.bare(st.Body, u.env(p), kind.Type{})
	if ref != nil {
		body.On = *ref
	}
	names, closed := checked.Type.Enum()
	if checked.Type.Kind == kind.Boolean {
		names, closed = []string{"true", "false"}, true
	}
	switch checked.Type.Kind {
	case kind.List, kind.Map, kind.Record, kind.Handled, kind.Secret:
		u.report("wrong-type", st.Body.Span(), "", "switch takes a text, a number or a boolean; this is a %s", checked.Type)
	}
	seen := map[string]bool{}
	for _, c := range st.Cases {
		pc := plan.Case{Steps: u.steps(c.Steps, p)}
		for _, key := range strings.Split(c.Key.String(), ",") {
			key = strings.TrimSpace(key)
			pc.Keys = append(pc.Keys, key)
			switch {
			case seen[key]:
				u.report("unreachable", c.Key.Span(), "", "the case %s stands twice", key)
			case closed && !slices.Contains(names, key):
				help := "it is one of " + strings.Join(names, ", ")
				if near := diag.Near(key, names); near != "" {
					help = "did you mean " + near + "?"
				}
				u.report("unknown-choice", c.Key.Span(), help, "the value is never %s", key)
			}
			seen[key] = true
		}
		body.Cases = append(body.Cases, pc)
	}
	body.Default = u.steps(st.Default, p)
	if closed && len(seen) >= len(names) && body.HasDefault {
		u.warn("unreachable-default", st.DefaultKey.Span(), "remove it", "the cases cover every value; default never runs")
	}
}

func (u *unit) wait(st *ast.Step, env expr.Env) *plan.WaitBody {
	w := st.Wait
	if w == nil {
		return nil
	}
	out := &plan.WaitBody{}
	if (w.For == nil) == (w.At == nil) {
		u.report("bad-wait", head(u.file, w.Span), "write wait: { for: 15m } or wait: { at: … }", "wait needs for or at, one of the two")
		return out
	}
	if w.For != nil {
		v := u.value(w.For, target{what: "for", typ: kind.Of(kind.Duration)}, env)
		out.For = &v
	} else {
		v := u.value(w.At, target{what: "at", typ: kind.Of(kind.Timestamp)}, env)
		out.At = &v
	}
	return out
}

func (u *unit) ask(st *ast.Step, env expr.Env) *plan.AskBody {
	out := &plan.AskBody{
		Text:   u.text(st.Body, target{what: "ask", typ: kind.Of(kind.String)}, env),
		From:   u.levels(st.From, st.Kind.Span(), "ask"),
		Silent: plan.OnError(u.oneOf(st.Silent, "silent", "stop", "skip", "stop", "fail", "continue")),
		Show:   u.named(st.Show, "show", env),
	}
	for _, f := range st.Fields {
		t := u.declared(f, "field")
		if innermost(&t).Kind == kind.Handled && !f.Among.Given() {
			u.report("handle-from-text", f.Type.Span(), "write among: LIST, and the person chooses from it", "nobody can type a %s", innermost(&t))
		}
		pf := plan.AskField{Name: f.Name.String(), Type: t, Max: u.count(f.Max, "max", 100_000)}
		if f.Among.Given() {
			pf.Among = u.among(f, t, env)
		}
		if f.Default != nil && t.Kind != "" {
			v := u.value(f.Default, target{what: "the field " + pf.Name, typ: t}, env)
			pf.Default = &v
		}
		out.Fields = append(out.Fields, pf)
	}
	return out
}

// among is the list that a person may choose from.
func (u *unit) among(f *ast.Input, t kind.Type, env expr.Env) *plan.ExprRef {
	elem := t
	if t.Kind == kind.List && t.Elem != nil {
		elem = *t.Elem
	}
	want := kind.ListOf(elem)
	if t.Kind == "" {
		want = kind.Type{}
	}
	ref, _ := u.bare(f.Among, env, want)
	return ref
}

func (u *unit) levels(list []*ast.Level, at source.Span, what string) []plan.Level {
	if len(list) == 0 {
		u.report("missing-key", at, "write from: with a list of { who: [oncall.soc], within: 10m }", "%s needs from: the people to ask, in order", what)
	}
	var out []plan.Level
	for _, l := range list {
		if len(l.Who) == 0 {
			u.report("missing-key", head(u.file, l.Span), "write who: [oncall.NAME] or a role", "an entry of from needs who")
		}
		for _, w := range l.Who {
			if !whoForm.MatchString(w.String()) {
				u.report("bad-value", w.Span(), "write a role, or oncall.NAME", "%s is neither a role nor an on-call list", w)
			}
		}
		u.need(l.Within, l.Span, "an entry of from", "within")
		out = append(out, plan.Level{Who: texts(l.Who), Within: u.duration(l.Within, "within")})
	}
	return out
}

// undo resolves the ids that a step takes back.
func (u *unit) undo(st *ast.Step, in *info, out *plan.Step) {
	for _, t := range st.Undo {
		n, ok := u.ids[t.String()]
		switch {
		case !ok:
			var known []string
			for _, o := range u.order {
				known = append(known, o.id)
			}
			help := ""
			if near := diag.Near(t.String(), known); near != "" {
				help = "did you mean " + near + "?"
			}
			u.report("unknown-step", t.Span(), help, "there is no step %s", t)
		case !n.done:
			u.report("unknown-step", t.Span(), "", "%s has not run yet: it stands at line %d", t, n.step.Span.Start.Line)
		case !reversible(u, n.step):
			u.report("nothing-to-undo", t.Span(), "name a step whose effect has an inverse", "%s has no effect that can be taken back", t)
		}
		out.Undoes = append(out.Undoes, t.String())
	}
}

// reversible reports whether a step or something in it has an inverse.
func reversible(u *unit, st *ast.Step) bool {
	if in := u.infos[st]; in != nil && in.action != nil && in.action.Inverse != "" {
		return true
	}
	if st.Kind.String() == "uses" && u.infos[st].action == nil {
		return true // unknown action: told already
	}
	inside := slices.Concat(st.Do, st.Default)
	for _, c := range st.Cases {
		inside = slices.Concat(inside, c.Steps)
	}
	return slices.ContainsFunc(inside, func(s *ast.Step) bool { return reversible(u, s) })
}
