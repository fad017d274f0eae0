package compile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// place is a point of the walk: what is around it and what is known there.
type place struct {
	at      *info
	phase   plan.PhaseName
	locals  []kind.Field
	flows   map[string]expr.Flow
	present []string
}

// in is the place inside a step, with more that is known to be present.
func (p *place) in(at *info, present []string) *place {
	return &place{at: at, phase: p.phase, locals: p.locals, flows: p.flows, present: slices.Concat(p.present, present)}
}

func (u *unit) types() {
	bounds := map[string]int{}
	for _, in := range u.tree.Inputs {
		if n := u.count(in.Max, "max", 100_000); n > 0 {
			bounds["inputs."+in.Name.String()] = n
		}
	}
	u.bounds = bounds
	u.checker = expr.NewChecker(bounds)
	u.declare(bounds)
	u.triggers()
	for _, ph := range u.tree.Phases {
		name := plan.PhaseName(ph.Name.String())
		steps := u.steps(ph.Steps, &place{phase: name})
		if len(steps) > 0 {
			u.draft.Phases = append(u.draft.Phases, plan.Phase{Name: name, Steps: steps})
		}
	}
	end := u.env(&place{phase: plan.Review})
	for _, o := range u.tree.Outputs {
		v := u.value(o.Value, target{what: "the output " + o.Name.String(), optional: true}, end)
		u.draft.Outputs = append(u.draft.Outputs, plan.Output{Name: o.Name.String(), Value: v, Optional: u.mayBeAbsent(v)})
	}
}

// declare types inputs and settings and makes them readable.
func (u *unit) declare(bounds map[string]int) {
	u.inputs = expr.Env{Inputs: kind.Type{Kind: kind.Record}, Settings: kind.Type{Kind: kind.Record}}
	for _, st := range u.tree.Settings {
		t := u.declared(st, "setting")
		u.inputs.Settings.Fields = append(u.inputs.Settings.Fields, kind.Field{Name: st.Name.String(), Type: t})
		s := plan.Setting{Name: st.Name.String(), Type: t}
		if st.Default != nil && t.Kind != "" {
			v := u.value(st.Default, target{what: "the setting " + s.Name, typ: t}, expr.Env{OnlyRoots: []string{"nothing"}})
			s.Default = &v
		}
		u.draft.Settings = append(u.draft.Settings, s)
	}
	early := expr.Env{Settings: u.inputs.Settings, OnlyRoots: []string{"settings", "run", "now"}}
	for _, in := range u.tree.Inputs {
		t := u.declared(in, "input")
		u.inputs.Inputs.Fields = append(u.inputs.Inputs.Fields, kind.Field{Name: in.Name.String(), Type: t})
		u.draft.Inputs = append(u.draft.Inputs, u.input(in, t, bounds["inputs."+in.Name.String()], early))
	}
}

func (u *unit) input(in *ast.Input, t kind.Type, most int, env expr.Env) plan.Input {
	out := plan.Input{Name: in.Name.String(), Type: t, Ask: in.Ask.String(), Max: most, Pattern: in.Pattern.String()}
	u.form(in, t)
	if t.Kind == kind.Handled {
		u.report("handle-from-text", in.Type.Span(), "take a name, and find the thing in triage", "an input cannot be %s: no text becomes a handle", a(t))
		return out
	}
	if in.Default != nil && t.Kind != "" {
		v := u.value(in.Default, target{what: "the input " + out.Name, typ: t}, env)
		if n := len(in.Default.List); most > 0 && n > most {
			u.report("bad-value", in.Default.Span, "raise max, or shorten the default", "the default has %d entries and max is %d", n, most)
		}
		out.Default = &v
	}
	return out
}

// form checks max and pattern of an input or a field.
func (u *unit) form(in *ast.Input, t kind.Type) {
	if in.Pattern.Given() {
		if _, err := regexp.Compile(in.Pattern.String()); err != nil || !t.Text() {
			u.report("bad-value", in.Pattern.Span(), "write one such as ^[a-z]+$ for an input that is a text", "the pattern is not a regular expression for a text")
		}
	}
	if in.Max.Given() && t.Kind != "" && t.Kind != kind.List && !t.Text() {
		u.report("bad-value", in.Max.Span(), "remove max", "max bounds a list or a text; this is %s", a(t))
	}
}

// declared reads the type of an input, a setting or a field of ask.
func (u *unit) declared(in *ast.Input, what string) kind.Type {
	if problem, help := badField(in.Name.String()); problem != "" {
		u.report("bad-id", in.Name.Span(), help, "%s %s", in.Name, problem)
	}
	if !in.Type.Given() {
		u.report("missing-key", in.Name.Span(), "write `type: …`", "the %s %s needs a type", what, in.Name)
		return kind.Type{}
	}
	t, err := kind.ParseType(in.Type.String())
	if err != nil {
		t, err = kind.ParseTypeWith(in.Type.String(), u.handleNames())
	}
	if err != nil {
		help := "a type is one of " + strings.Join(typeNames(), ", ") + ", list<…> or map<…>"
		if near := nearType(in.Type.String()); near != "" {
			help = "did you mean " + near + "?"
		}
		u.report("unknown-type", in.Type.Span(), help, "there is no type %s", in.Type)
		return kind.Type{}
	}
	if leaf := innermost(&t); leaf.Kind == kind.Choice {
		if len(in.Of) == 0 {
			u.report("missing-key", in.Type.Span(), "write `of: [a, b]`", "a choice needs the names to choose from")
		}
		for _, n := range in.Of {
			leaf.Of = append(leaf.Of, n.String())
		}
	} else if len(in.Of) > 0 {
		u.report("unknown-key", in.Of[0].Span(), "write type: choice, or remove of", "only a choice has names to choose from")
	}
	return t
}

func innermost(t *kind.Type) *kind.Type {
	for t.Elem != nil {
		t = t.Elem
	}
	return t
}

// triggers types what starts the playbook.
func (u *unit) triggers() {
	if u.tree.On == nil {
		return
	}
	if m := u.tree.On.Manual; m != nil {
		u.draft.Triggers.Manual = &plan.ManualTrigger{Roles: texts(m.Roles)}
	}
	if s := u.tree.On.Clock; s != nil {
		u.schedule(s)
	}
	for _, a := range u.tree.On.Alerts {
		u.draft.Triggers.Alerts = append(u.draft.Triggers.Alerts, u.alertTrigger(a))
	}
}

func (u *unit) alertTrigger(a *ast.AlertTrigger) plan.AlertTrigger {
	out := plan.AlertTrigger{From: texts(a.From), Quiet: u.duration(a.Quiet, "quiet")}
	if len(out.From) == 0 {
		u.report("missing-key", head(u.file, a.Span), "write `from: [source]`", "an alert trigger needs from: the sources it listens to")
	}
	env := expr.Env{Alert: true, Settings: u.inputs.Settings, OnlyRoots: []string{"alert", "settings", "now"}}
	out.When, _ = u.bare(a.When, env, kind.Of(kind.Boolean))
	u.anySource(a, out.From)
	out.Reason = a.Reason.String()
	out.Inputs = u.mapped(a.Inputs, head(u.file, a.Span), "the trigger", env)
	env.Inputs, env.OnlyRoots = u.inputs.Inputs, []string{"inputs", "alert", "settings"}
	for _, t := range a.OncePer {
		if ref, _ := u.bare(t, env, kind.Type{}); ref != nil {
			out.OncePer = append(out.OncePer, *ref)
		}
	}
	if len(a.OncePer) == 0 {
		u.report("missing-key", head(u.file, a.Span), "write `once_per: inputs.…`", "an alert trigger needs once_per: what one run is about")
	}
	out.Incident, _ = u.bare(a.Incident, env, kind.Of(kind.String))
	return out
}

// anySource wants a reason where a trigger listens to every source.
func (u *unit) anySource(a *ast.AlertTrigger, from []string) {
	i := slices.Index(from, "any")
	switch {
	case i < 0 && a.Reason.Given():
		u.report("bad-value", a.Reason.Span(), "remove it, or write from: [any]", "reason says why a trigger listens to any source; this one names its sources")
	case i < 0:
	case len(from) > 1:
		u.report("bad-value", a.From[i].Span(), "name the sources, or leave the others out", "any stands alone")
	case !a.Reason.Given():
		u.report("missing-key", a.From[i].Span(), "write `reason: …`, or name the sources", "a trigger that listens to any source needs a reason")
	}
}

// mapped types the inputs that a trigger gives.
func (u *unit) mapped(list []ast.Named, at source.Span, what string, env expr.Env) []plan.NamedValue {
	var out []plan.NamedValue
	seen := map[string]bool{}
	defaults := map[string]bool{}
	for _, in := range u.tree.Inputs {
		defaults[in.Name.String()] = in.Default != nil
	}
	for _, in := range list {
		name := in.Name.String()
		seen[name] = true
		f, ok := u.inputs.Inputs.Field(name)
		if !ok {
			u.report("unknown-input", in.Name.Span(), nearField(name, u.inputs.Inputs), "there is no input %s", name)
			if f, ok = meantField(name, u.inputs.Inputs, list); !ok {
				continue
			}
			name = f.Name
			seen[name] = true
		}
		v := u.value(in.Value, target{what: "the input " + name, typ: f.Type, optional: defaults[name]}, env)
		out = append(out, plan.NamedValue{Name: name, Value: v})
	}
	sortNamed(out)
	for _, in := range u.tree.Inputs {
		if in.Default == nil && !seen[in.Name.String()] {
			u.report("missing-input", at, "map it in inputs, or give it a default", "%s does not give the input %s", what, in.Name)
		}
	}
	return out
}

func texts(l []ast.Text) []string {
	var out []string
	for _, t := range l {
		out = append(out, t.String())
	}
	return out
}
