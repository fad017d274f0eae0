package expr

import (
	"slices"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// kinds types an expression in the language's own kinds. CEL's checker decides
// whether it is well typed; but to CEL a hash and a hostname are both strings,
// and what a value may be used for hangs on the difference.
type kinds struct {
	reg    *registry
	checks map[int64]*cel.Type // nil where the expression did not check
	vars   map[string]kind.Type
}

// of infers the kind of a node; the zero Type is "not known".
func (k *kinds) of(e celast.Expr) kind.Type {
	switch e.Kind() {
	case celast.IdentKind:
		return k.ident(e)
	case celast.SelectKind:
		s := e.AsSelect()
		if s.IsTestOnly() {
			return kind.Of(kind.Boolean)
		}
		return member(k.of(s.Operand()), s.FieldName())
	case celast.CallKind:
		return k.call(e)
	case celast.ListKind:
		var elem kind.Type
		for _, x := range e.AsList().Elements() {
			elem = unify(elem, k.of(x))
		}
		return kind.ListOf(elem)
	case celast.ComprehensionKind:
		return k.comprehension(e)
	default: // other nodes
	}
	return k.fallback(e)
}

func (k *kinds) fallback(e celast.Expr) kind.Type {
	if e.Kind() == celast.LiteralKind {
		return k.reg.kindOf(e.AsLiteral().Type().(*types.Type))
	}
	if t, ok := k.checks[e.ID()]; ok {
		return k.reg.kindOf(t)
	}
	return kind.Type{}
}

func (k *kinds) ident(e celast.Expr) kind.Type {
	name := e.AsIdent()
	if t, ok := k.vars[name]; ok {
		return t
	}
	if name == rootNow {
		return kind.Of(kind.Timestamp)
	}
	if t, ok := k.reg.scope[name]; ok {
		return t
	}
	return k.fallback(e)
}

func member(t kind.Type, name string) kind.Type {
	switch t = readable(t); t.Kind {
	case kind.Record:
		if f, ok := t.Field(name); ok {
			return f.Type
		}
	case kind.Map:
		return elemOf(t)
	default: // other types
	}
	return kind.Type{}
}

func (k *kinds) call(e celast.Expr) kind.Type {
	c := e.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		switch c.FunctionName() {
		case "take", "distinct", "value":
			return k.of(c.Target())
		case "orValue", "or":
			if len(args) == 1 {
				return unify(k.of(c.Target()), k.of(args[0]))
			}
		case "chunks":
			return kind.ListOf(k.of(c.Target()))
		}
		return k.fallback(e)
	}
	switch c.FunctionName() {
	case operators.OptSelect:
		if len(args) == 2 && args[1].Kind() == celast.LiteralKind {
			if name, ok := args[1].AsLiteral().(types.String); ok {
				return member(k.of(args[0]), string(name))
			}
		}
	case operators.Index, operators.OptIndex:
		return elemOf(k.of(args[0]))
	case operators.Conditional:
		return unify(k.of(args[1]), k.of(args[2]))
	case operators.Add:
		if a, b := k.of(args[0]), k.of(args[1]); a.Kind == kind.List || b.Kind == kind.List {
			return unify(a, b)
		}
	case distinctByName:
		return k.of(args[0])
	}
	return k.fallback(e)
}

func (k *kinds) comprehension(e celast.Expr) kind.Type {
	c := e.AsComprehension()
	inner := k.bind(c)
	init := inner.of(c.AccuInit())
	inner.vars[c.AccuVar()] = init
	step := inner.of(c.LoopStep())
	inner.vars[c.AccuVar()] = unify(init, step)
	out := inner.of(c.Result())
	if cond := filtering(c); cond != nil && out.Kind == kind.List && out.Elem != nil {
		return kind.ListOf(proven(*out.Elem, c.IterVar(), whenTrue(cond, inner)))
	}
	return out
}

// filtering is the condition of a filter, nil for any other comprehension.
func filtering(c celast.ComprehensionExpr) celast.Expr {
	step := c.LoopStep()
	if step.Kind() != celast.CallKind || step.AsCall().FunctionName() != operators.Conditional {
		return nil
	}
	args := step.AsCall().Args()
	if args[2].Kind() != celast.IdentKind || args[2].AsIdent() != c.AccuVar() || c.AccuInit().Kind() != celast.ListKind {
		return nil
	}
	add := args[1]
	if add.Kind() != celast.CallKind || add.AsCall().FunctionName() != operators.Add {
		return nil
	}
	list := add.AsCall().Args()[1]
	if list.Kind() != celast.ListKind || len(list.AsList().Elements()) != 1 {
		return nil
	}
	x := list.AsList().Elements()[0]
	if x.Kind() != celast.IdentKind || x.AsIdent() != c.IterVar() {
		return nil
	}
	return args[0]
}

// proven is a record whose fields that a condition on v proves to be there are
// no longer optional: what a filter lets through has them.
func proven(t kind.Type, v string, present []string) kind.Type {
	if t.Kind != kind.Record {
		return t
	}
	fields := slices.Clone(t.Fields)
	for i, f := range fields {
		if slices.Contains(present, v+"."+f.Name) {
			fields[i].Optional = false
		}
	}
	t.Fields = fields
	return t
}

// bind gives the kinds as they are inside a comprehension.
func (k *kinds) bind(c celast.ComprehensionExpr) *kinds {
	inner := &kinds{reg: k.reg, checks: k.checks, vars: make(map[string]kind.Type, len(k.vars)+3)}
	for _, n := range sortedNames(k.vars) {
		inner.vars[n] = k.vars[n]
	}
	over := k.of(c.IterRange())
	elem := elemOf(over)
	if over.Kind == kind.Map && !c.HasIterVar2() {
		elem = kind.Of(kind.String)
	}
	if c.HasIterVar2() {
		inner.vars[c.IterVar2()] = elem
		elem = kind.Of(kind.Int)
		if over.Kind == kind.Map {
			elem = kind.Of(kind.String)
		}
	}
	inner.vars[c.IterVar()] = elem
	return inner
}

// unify is the kind that covers both; texts of two kinds are just texts.
func unify(a, b kind.Type) kind.Type {
	switch {
	case a.Kind == "" || a.Equal(b):
		return b
	case b.Kind == "":
		return a
	case a.Kind == b.Kind && (a.Kind == kind.List || a.Kind == kind.Map):
		elem := unify(elemOf(a), elemOf(b))
		return kind.Type{Kind: a.Kind, Elem: &elem}
	case stringly(a) && stringly(b):
		return kind.Of(kind.String)
	}
	return kind.Type{}
}

func stringly(t kind.Type) bool {
	return (t.Text() && t.Kind != kind.Secret) || t.Kind == kind.Choice
}
