package expr

import (
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// The sizes that the static cost bound assumes where none is known.
const (
	assumedList = 1000
	assumedText = 256
)

// most is a static bound of a list's length: of an input with max, of take(n),
// and of what filters, maps or chooses among such. 0 is none.
func (t *checking) most(e celast.Expr) int {
	switch e.Kind() {
	case celast.SelectKind:
		return t.c.bounds[pathOf(e)]
	case celast.ListKind:
		return len(e.AsList().Elements())
	case celast.ComprehensionKind:
		if e.AsComprehension().AccuInit().Kind() == celast.ListKind {
			return t.most(e.AsComprehension().IterRange())
		}
	case celast.CallKind:
		return t.mostOfCall(e.AsCall())
	default: // other nodes
	}
	return 0
}

func (t *checking) mostOfCall(c celast.CallExpr) int {
	switch c.FunctionName() {
	case "take":
		if n := c.Args()[0]; c.IsMemberFunction() && n.Kind() == celast.LiteralKind {
			if v, ok := n.AsLiteral().(types.Int); ok && v >= 0 {
				inner := t.most(c.Target())
				if inner == 0 {
					return int(v)
				}
				return min(inner, int(v))
			}
		}
	case "distinct", "chunks":
		return t.most(c.Target())
	case distinctByName:
		return t.most(c.Args()[0])
	case operators.Conditional:
		a, b := t.most(c.Args()[1]), t.most(c.Args()[2])
		if a > 0 && b > 0 {
			return max(a, b)
		}
	case operators.Add:
		a, b := t.most(c.Args()[0]), t.most(c.Args()[1])
		if a > 0 && b > 0 {
			return a + b
		}
	}
	return 0
}

// cost refuses an expression that is too costly for lists and texts of a usual
// size; what is larger at run time meets the run time's own limit.
func (t *checking) cost(ast *cel.Ast) {
	if len(t.spans.src) <= cheap && !loops(ast.NativeRep().Expr()) {
		return // as many steps as it has letters, at most
	}
	est, err := cost.Cost(ast.NativeRep(), sizes{t.c.bounds})
	if err != nil || est.Max <= maxCost {
		return
	}
	t.problem("too-costly", 0, len(t.spans.src), "bound the lists with take(n), or filter before you nest",
		"the expression may take too long on large lists")
}

// cheap is how long an expression without a loop may be and cost nothing that
// is worth an estimate.
const cheap = 300

// loops reports whether an expression goes over lists: with a macro, or with a
// function of the library.
func loops(root celast.Expr) bool {
	found := false
	celast.PostOrderVisit(root, celast.NewExprVisitor(func(e celast.Expr) {
		switch e.Kind() {
		case celast.ComprehensionKind:
			found = true
		case celast.CallKind:
			switch e.AsCall().FunctionName() {
			case "take", "chunks", "distinct", distinctByName, "join", "split", "matches", "replace", operators.Add, operators.In, "json.parse":
				found = true
			}
		default: // other nodes
		}
	}))
	return found
}

// sizes tells CEL's cost estimator how large things are.
type sizes struct{ bounds map[string]int }

// EstimateSize implements cost.Estimator.
func (s sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if most, ok := s.bounds[strings.Join(n.Path(), ".")]; ok && most > 0 {
		return &cost.SizeEstimate{Max: uint64(most)}
	}
	switch n.Type().Kind() {
	case types.ListKind, types.MapKind:
		return &cost.SizeEstimate{Max: assumedList}
	case types.StringKind:
		return &cost.SizeEstimate{Max: assumedText}
	default: // other types
	}
	return &cost.SizeEstimate{Min: 1, Max: 1}
}

// EstimateCallCost implements cost.Estimator.
func (s sizes) EstimateCallCost(_, overload string, target *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	switch overload {
	case "list_take_int":
		if e := args[0].Expr(); e.Kind() == celast.LiteralKind {
			if n, ok := e.AsLiteral().(types.Int); ok && n >= 0 {
				return &cost.CallEstimate{
					CostEstimate: cost.Estimate{Min: 1, Max: uint64(n) + 1},
					ResultSize:   &cost.SizeEstimate{Max: uint64(n)},
				}
			}
		}
	case "list_distinct", "list_chunks_int", "list_take", "list_distinct_by", "list_join_string":
		return &cost.CallEstimate{
			CostEstimate: cost.Estimate{Min: 1, Max: assumedList + 1},
			ResultSize:   &cost.SizeEstimate{Max: assumedList},
		}
	}
	return nil
}
