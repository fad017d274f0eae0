package expr

import (
	"slices"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// The steps of a path that are no field's name.
const (
	// Element stands for any element of a list or map.
	Element = "[]"
	// Length ends a path of which only the size is asked.
	Length = "#"
)

// Flow says where a value comes from: chains of names from a root, such as
// steps, search, rows; and for a list that the expression builds, where its
// elements come from. The zero Flow is a value that comes from nowhere.
type Flow struct {
	Paths [][]string
	elem  *Flow
}

// Elem is where the elements of a list come from.
func (f Flow) Elem() Flow {
	out := f.below(Element)
	if f.elem != nil {
		out = join(out, *f.elem)
	}
	return out
}

// All lists every path of the value and of what it holds.
func (f Flow) All() [][]string {
	if f.elem == nil {
		return f.Paths
	}
	return slices.Concat(f.Paths, f.elem.All())
}

func (f Flow) below(name string) Flow {
	out := Flow{Paths: make([][]string, 0, len(f.Paths))}
	for _, p := range f.Paths {
		out.Paths = append(out.Paths, append(slices.Clone(p), name))
	}
	return out
}

func join(a, b Flow) Flow {
	out := Flow{Paths: slices.Clone(a.Paths), elem: a.elem}
	for _, p := range b.Paths {
		if !slices.ContainsFunc(out.Paths, func(q []string) bool { return slices.Equal(p, q) }) {
			out.Paths = append(out.Paths, p)
		}
	}
	switch {
	case out.elem == nil:
		out.elem = b.elem
	case b.elem != nil:
		e := join(*out.elem, *b.elem)
		out.elem = &e
	}
	return out
}

// reader follows values through one expression and collects what is read of
// them on the way.
type reader struct {
	reads [][]string
}

// use notes that a value is read as a whole.
func (r *reader) use(f Flow) { r.reads = append(r.reads, f.All()...) }

func (r *reader) of(e celast.Expr, vars map[string]Flow) Flow {
	switch e.Kind() {
	case celast.IdentKind:
		if f, ok := vars[e.AsIdent()]; ok {
			return f
		}
		return Flow{Paths: [][]string{{e.AsIdent()}}}
	case celast.SelectKind:
		return r.selection(e.AsSelect(), vars)
	case celast.CallKind:
		return r.call(e.AsCall(), vars)
	case celast.ListKind:
		var elem Flow
		for _, x := range e.AsList().Elements() {
			elem = join(elem, r.of(x, vars))
		}
		return Flow{elem: &elem}
	case celast.MapKind:
		for _, en := range e.AsMap().Entries() {
			r.use(r.of(en.AsMapEntry().Key(), vars))
			r.use(r.of(en.AsMapEntry().Value(), vars))
		}
	case celast.ComprehensionKind:
		return r.comprehension(e.AsComprehension(), vars)
	default: // other nodes
	}
	return Flow{}
}

func (r *reader) selection(s celast.SelectExpr, vars map[string]Flow) Flow {
	f := r.of(s.Operand(), vars).below(s.FieldName())
	if !s.IsTestOnly() {
		return f
	}
	// Whether a step has a result is known without any of its fields; whether a
	// field is there is not known without it.
	r.use(f.below(Tested))
	return Flow{}
}

func (r *reader) call(c celast.CallExpr, vars map[string]Flow) Flow {
	args := c.Args()
	if c.IsMemberFunction() {
		switch c.FunctionName() {
		case "take":
			r.use(r.of(args[0], vars))
			return r.of(c.Target(), vars)
		case "value":
			return r.of(c.Target(), vars)
		case "orValue", "or":
			return join(r.of(c.Target(), vars), r.of(args[0], vars))
		case "distinct":
			f := r.of(c.Target(), vars)
			r.use(f) // elements are compared as a whole
			return f
		case "size":
			r.use(r.of(c.Target(), vars).below(Length))
			return Flow{}
		}
		r.use(r.of(c.Target(), vars))
	}
	switch c.FunctionName() {
	case operators.OptSelect:
		if args[1].Kind() == celast.LiteralKind {
			if name, ok := args[1].AsLiteral().(types.String); ok {
				return r.of(args[0], vars).below(string(name))
			}
		}
	case operators.Index, operators.OptIndex:
		r.use(r.of(args[1], vars))
		return r.of(args[0], vars).Elem()
	case operators.Conditional:
		r.use(r.of(args[0], vars))
		return join(r.of(args[1], vars), r.of(args[2], vars))
	case operators.Add:
		return join(r.of(args[0], vars), r.of(args[1], vars))
	case distinctByName:
		r.use(r.of(args[1], vars))
		return r.of(args[0], vars)
	case "size":
		if len(args) == 1 {
			r.use(r.of(args[0], vars).below(Length))
			return Flow{}
		}
	}
	for _, x := range args {
		r.use(r.of(x, vars))
	}
	return Flow{}
}

func (r *reader) comprehension(c celast.ComprehensionExpr, vars map[string]Flow) Flow {
	elem := r.of(c.IterRange(), vars).Elem()
	inner := make(map[string]Flow, len(vars)+3)
	for _, n := range sortedNames(vars) {
		inner[n] = vars[n]
	}
	inner[c.IterVar()] = elem
	if c.HasIterVar2() {
		inner[c.IterVar()], inner[c.IterVar2()] = Flow{}, elem
	}
	init := r.of(c.AccuInit(), vars)
	inner[c.AccuVar()] = init
	inner[c.AccuVar()] = join(init, r.of(c.LoopStep(), inner))
	r.use(r.of(c.LoopCondition(), inner))
	return r.of(c.Result(), inner)
}
