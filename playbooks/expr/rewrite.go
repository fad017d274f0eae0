package expr

import (
	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// anyName is a function that hides the type of its argument; @ keeps it out of
// reach.
const anyName = "@any"

// check types a parsed expression. CEL compares whole and decimal numbers with
// == by their values when it runs, but its checker wants both sides of one
// type: where that is all it has against them, one side's type is hidden, and
// changed says that the parsed expression is another now.
func check(env *cel.Env, parsed *cel.Ast) (ast *cel.Ast, iss *cel.Issues, changed bool) {
	for {
		ast, iss = env.Check(parsed)
		if iss.Err() == nil || !mixNumbers(parsed, iss) {
			return ast, iss, changed
		}
		changed = true
	}
}

// mixNumbers hides types where the issues ask for it and reports whether it did.
// A comparison that was mended gives no issue again, so it ends.
func mixNumbers(parsed *cel.Ast, iss *cel.Issues) bool {
	mend := map[int64]bool{}
	for _, e := range iss.Errors() {
		m := overloadMessage.FindStringSubmatch(e.Message)
		if m != nil && (m[1] == operators.Equals || m[1] == operators.NotEquals) && (m[2] == "(int, double)" || m[2] == "(double, int)") {
			mend[e.ExprID] = true
		}
	}
	if len(mend) == 0 {
		return false
	}
	native := parsed.NativeRep()
	next := celast.MaxID(native)
	fac := celast.NewExprFactory()
	mended := false
	celast.PostOrderVisit(native.Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if !mend[e.ID()] || e.Kind() != celast.CallKind {
			return
		}
		args := e.AsCall().Args()
		next++
		if r, ok := native.SourceInfo().GetOffsetRange(args[0].ID()); ok {
			native.SourceInfo().SetOffsetRange(next, r)
		}
		e.SetKindCase(fac.NewCall(e.ID(), e.AsCall().FunctionName(), fac.NewCall(next, anyName, args[0]), args[1]))
		mended = true
	}))
	return mended
}

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
