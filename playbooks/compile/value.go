package compile

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// target is where a value goes: its type and what may go there.
type target struct {
	// what names the place in messages: the input host of edr.isolate_host.
	what string
	typ  kind.Type
	// sink says that a secret may go there.
	sink bool
	// optional says that there need be no value.
	optional bool
	// people says that it is text for people, where any value can be written.
	people bool
}

// value types a value for its target. Where something is wrong it has been
// reported, and the value is of no use.
func (u *unit) value(v *ast.Value, to target, env expr.Env) plan.Value {
	switch {
	case v == nil:
		return plan.Value{Type: to.typ}
	case v.IsList:
		return u.listValue(v, to, env)
	case v.IsMap:
		return u.mapValue(v, to, env)
	case v.Text.Given():
		return u.text(v.Text, to, env)
	}
	return plan.Value{Type: to.typ}
}

func (u *unit) listValue(v *ast.Value, to target, env expr.Env) plan.Value {
	out := plan.Value{Type: to.typ}
	if to.typ.Kind != kind.List && to.typ.Kind != "" {
		u.report("wrong-type", v.Span, "write one value", "%s takes %s; this is a list", to.what, a(to.typ))
		return out
	}
	elem := target{what: "an entry of " + to.what, sink: to.sink}
	if to.typ.Elem != nil {
		elem.typ = *to.typ.Elem
	}
	var inferred kind.Type
	for i, e := range v.List {
		x := u.value(e, elem, env)
		out.List = append(out.List, x)
		switch {
		case i == 0 || inferred.Kind == "":
			inferred = x.Type
		case to.typ.Kind == "" && x.Type.Kind != "" && !inferred.Equal(x.Type):
			u.report("wrong-type", e.Span, "write all of them as one type", "the entries of a list have one type; this is %s among values of type %s", a(x.Type), inferred)
		}
	}
	if to.typ.Kind == "" {
		out.Type = kind.ListOf(inferred)
	}
	return constant(out)
}

func (u *unit) mapValue(v *ast.Value, to target, env expr.Env) plan.Value {
	out := plan.Value{Type: to.typ}
	switch to.typ.Kind {
	case kind.Record, kind.Map, "":
	default:
		u.report("wrong-type", v.Span, "write one value", "%s takes %s; this is a map", to.what, a(to.typ))
		return out
	}
	given := map[string]bool{}
	var fields []kind.Field
	for _, e := range v.Map {
		name := e.Name.String()
		elem := target{what: name + " of " + to.what, sink: to.sink}
		switch to.typ.Kind {
		case kind.Map:
			elem.typ = *to.typ.Elem
		case kind.Record:
			f, ok := to.typ.Field(e.Name.String())
			if !ok {
				u.report("unknown-field", e.Name.Span(), cmp.Or(nearField(e.Name.String(), to.typ), "its fields are "+fieldNames(to.typ.Fields)), "%s has no field %s", to.what, e.Name)
				if f, ok = meantField(name, to.typ, v.Map); !ok {
					continue
				}
				name = f.Name
			}
			elem.typ = f.Type
		default: // other types
		}
		given[name] = true
		x := u.value(e.Value, elem, env)
		fields = append(fields, kind.Field{Name: name, Type: x.Type})
		out.Map = append(out.Map, plan.NamedValue{Name: name, Value: x})
	}
	for _, f := range to.typ.Fields {
		if !given[f.Name] && !f.Optional {
			u.report("missing-input", v.Span, "write "+f.Name+": …", "%s needs the field %s", to.what, f.Name)
		}
	}
	sortNamed(out.Map)
	if to.typ.Kind == "" {
		sortFields(fields)
		out.Type = kind.RecordOf(fields...)
	}
	return constantMap(out)
}

// constantMap makes one literal of a map of literals.
func constantMap(v plan.Value) plan.Value {
	parts := make([]string, len(v.Map))
	for i, e := range v.Map {
		key, err := kind.Canonical(e.Name)
		if err != nil || e.Value.Literal == nil {
			return v
		}
		parts[i] = string(key) + ":" + string(e.Value.Literal)
	}
	return plan.Value{Type: v.Type, Literal: json.RawMessage("{" + strings.Join(parts, ",") + "}")}
}

// constant makes one literal of a list of literals.
func constant(v plan.Value) plan.Value {
	raws := make([]json.RawMessage, len(v.List))
	for i, e := range v.List {
		if e.Literal == nil {
			return v
		}
		raws[i] = e.Literal
	}
	parts := make([]string, len(raws))
	for i, r := range raws {
		parts[i] = string(r)
	}
	return plan.Value{Type: v.Type, Literal: json.RawMessage("[" + strings.Join(parts, ",") + "]")}
}

// text types a scalar: a literal, one expression, or a template.
func (u *unit) text(t ast.Text, to target, env expr.Env) plan.Value {
	segments, open := expr.Split(t.String())
	if open >= 0 {
		u.report("unclosed-expression", t.Part(open, len(strings.TrimRight(t.String(), "\n"))), "end it with }}; for a literal ${{ write $${{", "the expression has no end")
		return plan.Value{Type: to.typ}
	}
	if len(segments) == 1 && segments[0].IsExpr {
		return u.whole(t, segments[0], to, env)
	}
	exprs := 0
	for _, s := range segments {
		if s.IsExpr {
			exprs++
		}
	}
	if exprs == 0 {
		var lit strings.Builder
		for _, s := range segments {
			lit.WriteString(s.Text)
		}
		return u.plain(t, lit.String(), to)
	}
	return u.template(t, segments, to, env)
}

func (u *unit) whole(t ast.Text, s expr.Segment, to target, env expr.Env) plan.Value {
	ref, checked, ok := u.expression(t, s.From, s.To, env, to.typ)
	got, out := checked.Type, plan.Value{Type: to.typ, Expr: &ref}
	if !ok {
		return out
	}
	at := t.Part(s.From, s.To)
	if got.Kind == kind.Secret && !to.sink {
		u.report("secret", at, "a secret goes only into inputs that are made for one", "%s does not take a secret", to.what)
		return out
	}
	help, fits := assignable(to.typ, got)
	if !fits && to.people && got.Kind != "" {
		out.Expr, out.Template = nil, []plan.Part{{Expr: &ref}}
		return out
	}
	if !fits {
		u.report("wrong-type", trimmed(t, s), cmp.Or(help, "use "+a(to.typ)+": another input, or a field of a result"), "%s takes %s; this is %s", to.what, a(to.typ), a(named(got)))
	}
	if checked.Optional && !to.optional {
		u.absent(trimmed(t, s), got)
	}
	if to.typ.Kind == "" {
		out.Type = got
	}
	return out
}

// trimmed is the span of an expression without the spaces around it.
func trimmed(t ast.Text, s expr.Segment) source.Span {
	text := t.String()[s.From:s.To]
	from := s.From + len(text) - len(strings.TrimLeft(text, " \t\n"))
	return t.Part(from, max(from, s.From+len(strings.TrimRight(text, " \t\n"))))
}

func named(t kind.Type) string {
	if t.Kind == "" {
		return "value of unknown type"
	}
	return t.String()
}

func (u *unit) literal(t ast.Text, lit string, to target) plan.Value {
	typ := to.typ
	if typ.Kind == "" {
		typ = guess(t, lit)
	}
	out := plan.Value{Type: typ}
	switch typ.Kind {
	case kind.Handled:
		u.report("handle-from-text", t.Span(), "find it first: a find action gives a "+typ.Name, "%s takes %s, and no text becomes one", to.what, a(typ.Name))
		return out
	case kind.Secret:
		u.report("secret", t.Span(), "keep it in the configuration and pass a setting", "a secret does not stand in a playbook")
		return out
	case kind.List, kind.Map, kind.Record:
		u.report("wrong-type", t.Span(), "write a list with [ ] or dashes, a map with { } or keys, or one ${{ … }}", "%s takes %s; this is a text", to.what, a(typ))
		return out
	default: // other types
	}
	v, err := kind.Parse(typ, lit)
	if err == nil {
		out.Literal, err = kind.Encode(typ, v)
	}
	if err != nil {
		u.report("bad-value", t.Span(), form(typ), "%s takes %s: %s", to.what, a(typ), problem(err))
	}
	return out
}

// guess types a literal where the field has no type of its own: only a plain
// scalar can be anything but text.
func guess(t ast.Text, lit string) kind.Type {
	if t.Style == source.Plain {
		if _, err := strconv.ParseInt(lit, 10, 64); err == nil {
			return kind.Of(kind.Int)
		}
		if lit == "true" || lit == "false" {
			return kind.Of(kind.Boolean)
		}
	}
	return kind.Of(kind.String)
}

func (u *unit) template(t ast.Text, segments []expr.Segment, to target, env expr.Env) plan.Value {
	out := plan.Value{Type: to.typ}
	if to.typ.Kind == "" {
		out.Type = kind.Of(kind.String)
	}
	if !out.Type.Text() || out.Type.Kind == kind.Secret {
		u.report("wrong-type", t.Span(), "make the whole value one ${{ … }}", "%s takes %s; text with expressions in it is a string", to.what, a(to.typ))
	}
	for _, s := range segments {
		if !s.IsExpr {
			out.Template = append(out.Template, plan.Part{Text: s.Text})
			continue
		}
		ref, checked, ok := u.expression(t, s.From, s.To, env, kind.Type{})
		if ok && checked.Type.Kind == kind.Secret {
			u.report("secret", trimmed(t, s), "give it alone to an input that is made for secrets", "a secret does not become part of a text")
		}
		out.Template = append(out.Template, plan.Part{Expr: &ref})
	}
	return out
}
