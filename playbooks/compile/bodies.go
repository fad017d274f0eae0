package compile

import (
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
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
		out.Steps = u.block(st.Do, st.Kind, "the block", p)
	case plan.Parallel:
		u.parallel(st, p, out)
	case plan.Call:
		u.call(st, in, u.env(p), out)
	case plan.Switch:
		u.choose(st, p, out)
	case plan.Set:
		out.Assign = u.named(st.Set, "set", u.env(p))
	case plan.Wait:
		out.Pause = u.wait(st, p)
	case plan.Ask:
		out.People = u.ask(st, u.env(p))
	case plan.Undo:
		u.undo(st, u.env(p), out)
	case plan.Fail, plan.Report:
		v := u.text(st.Body, target{what: string(out.Kind), typ: kind.Of(kind.String), people: true}, u.env(p))
		out.Text = &v
		if len(st.With) > 0 {
			out.Params = u.named(st.With, "with", u.env(p))
		}
	case plan.Note:
		u.note(st, u.env(p), out)
	case plan.Stop:
		u.oneOf(st.Body, "stop", "", "true_positive", "benign", "false_positive", "duplicate")
		v := u.literal(st.Body, st.Body.String(), target{what: "stop", typ: kind.Of(kind.String)})
		out.Text = &v
	}
}

// block drafts the steps of a block, a branch or a case, of which there must be
// one.
func (u *unit) block(list []*ast.Step, key ast.Text, what string, p *place) []plan.Step {
	if len(list) == 0 {
		u.report("empty-block", key.Span(), "write what it does, or remove it", "%s has no steps", what)
	}
	return u.steps(list, p)
}

// uses types the inputs of an action.
func (u *unit) uses(st *ast.Step, in *info, env expr.Env, out *plan.Step) {
	out.Action = &plan.ActionCall{Name: st.Body.String()}
	if in.action == nil {
		u.anything(st.With, env)
		return
	}
	out.Action.Effect = in.action.Effect()
	out.Action.With = u.given(given{
		list: st.With, fields: in.action.Inputs, of: in.action.Name, at: st.Body.Span(), key: st.WithSpan, unknown: "unknown-action-input",
	}, env)
}

// anything checks values whose target is not known.
func (u *unit) anything(list []ast.Named, env expr.Env) {
	for _, w := range list {
		u.value(w.Value, target{what: w.Name.String(), sink: true}, env)
	}
}

// given are values by name for a set of typed fields.
type given struct {
	list   []ast.Named
	fields []kind.Field
	// of is what takes them, at where that is named, key where the list begins;
	// key may be zero.
	of      string
	at, key source.Span
	// unknown is the code of a name that is no field.
	unknown string
}

// given types values for an action or a called playbook, sorted by name.
func (u *unit) given(g given, env expr.Env) []plan.NamedValue {
	var out []plan.NamedValue
	seen := map[string]bool{}
	record := kind.RecordOf(g.fields...)
	for _, w := range g.list {
		name := w.Name.String()
		seen[name] = true
		f, ok := record.Field(name)
		if !ok {
			help := nearField(name, record)
			if help == "" {
				help = "its inputs are " + fieldNames(g.fields)
			}
			u.report(g.unknown, w.Name.Span(), help, "%s has no input %s", g.of, name)
			if f, ok = meantField(name, record, g.list); !ok {
				u.anything([]ast.Named{w}, env)
				continue
			}
			name = f.Name
			seen[name] = true
		}
		v := u.value(w.Value, target{what: name + " of " + g.of, typ: f.Type, sink: f.Sink, optional: f.Optional}, env)
		out = append(out, plan.NamedValue{Name: name, Value: v})
	}
	sortNamed(out)
	for _, f := range g.fields {
		if !f.Optional && !seen[f.Name] {
			at := g.at
			if !g.key.IsZero() {
				at = g.key
			}
			u.report("missing-input", at, "write "+f.Name+": … under with", "%s needs the input %s, %s", g.of, f.Name, a(f.Type))
		}
	}
	return out
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
		if problem, help := badField(n.Name.String()); problem != "" {
			u.report("bad-id", n.Name.Span(), help, "%s %s", n.Name, problem)
		}
		v := u.value(n.Value, target{what: n.Name.String() + " of " + what, optional: true}, env)
		out = append(out, plan.NamedValue{Name: n.Name.String(), Value: v})
	}
	sortNamed(out)
	return out
}
