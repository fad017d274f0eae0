package expr

import (
	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// inOrder rewrites a || b to a ? true : b and a && b to a ? b : false, in
// place. CEL's own operators may swallow an error of one side where the other
// decides; a conditional takes its operands in order, and an error of the
// condition is the error of the whole. The macros all and exists expand to
// these operators and so become strict too.
func inOrder(a *cel.Ast) {
	native := a.NativeRep()
	next := celast.MaxID(native)
	fac := celast.NewExprFactory()
	literal := func(b bool, at int64) celast.Expr {
		next++
		if r, ok := native.SourceInfo().GetOffsetRange(at); ok {
			native.SourceInfo().SetOffsetRange(next, r)
		}
		native.SetType(next, types.BoolType)
		return fac.NewLiteral(next, types.Bool(b))
	}
	celast.PostOrderVisit(native.Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() != celast.CallKind {
			return
		}
		args := e.AsCall().Args()
		var call celast.Expr
		switch e.AsCall().FunctionName() {
		case operators.LogicalOr:
			call = fac.NewCall(e.ID(), operators.Conditional, args[0], literal(true, e.ID()), args[1])
		case operators.LogicalAnd:
			call = fac.NewCall(e.ID(), operators.Conditional, args[0], args[1], literal(false, e.ID()))
		default:
			return
		}
		e.SetKindCase(call)
		native.SetReference(e.ID(), celast.NewFunctionReference("conditional"))
	}))
}
