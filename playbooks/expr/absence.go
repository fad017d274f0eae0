package expr

import (
	"fmt"
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// absences finds readings of names that may be absent. What proves presence is
// exactly this: has(x) && …, has(x) ? … : …, what the place itself knows
// (Env.Present), and .? with orValue, which is CEL's own. Anything else would
// ask the reader to be as clever as the compiler.
type absences struct {
	spans *spans
	root  celast.Expr
	// top are the names at the root, where no loop's variable is known.
	top *kinds
	// chain is the whole of the selections that the walk is within, such as
	// steps.asset.owner around steps.asset; nil outside of one.
	chain celast.Expr
	found []Problem
}

type facts map[string]bool

func (f facts) with(more []string) facts {
	if len(more) == 0 {
		return f
	}
	out := facts{}
	for _, n := range sortedNames(f) {
		out[n] = true
	}
	for _, n := range more {
		out[n] = true
	}
	return out
}

// walk visits a node with what is known to be present there.
func (a *absences) walk(e celast.Expr, k *kinds, known facts) {
	if e.Kind() == celast.SelectKind {
		a.selections(e, k, known)
		return
	}
	chain := a.chain
	a.chain = nil
	defer func() { a.chain = chain }()
	switch e.Kind() {
	case celast.CallKind:
		a.call(e, k, known)
	case celast.ListKind:
		for _, x := range e.AsList().Elements() {
			a.walk(x, k, known)
		}
	case celast.MapKind:
		for _, en := range e.AsMap().Entries() {
			a.walk(en.AsMapEntry().Key(), k, known)
			a.walk(en.AsMapEntry().Value(), k, known)
		}
	case celast.ComprehensionKind:
		c := e.AsComprehension()
		a.walk(c.IterRange(), k, known)
		inner := k.bind(c)
		inner.vars[c.AccuVar()] = k.of(e)
		a.walk(c.LoopStep(), inner, known)
	default: // other nodes
	}
}

func (a *absences) call(e celast.Expr, k *kinds, known facts) {
	c := e.AsCall()
	if c.IsMemberFunction() {
		a.walk(c.Target(), k, known)
	}
	args := c.Args()
	switch c.FunctionName() {
	case operators.LogicalAnd:
		a.walk(args[0], k, known)
		a.walk(args[1], k, known.with(whenTrue(args[0], k)))
		return
	case operators.Conditional:
		a.walk(args[0], k, known)
		a.walk(args[1], k, known.with(whenTrue(args[0], k)))
		a.walk(args[2], k, known)
		return
	}
	for _, x := range args {
		a.walk(x, k, known)
	}
}

// selections visits a selection and what it selects from.
func (a *absences) selections(e celast.Expr, k *kinds, known facts) {
	chain := a.chain
	if chain == nil && !e.AsSelect().IsTestOnly() {
		a.chain = e
	}
	a.walk(e.AsSelect().Operand(), k, known)
	if !e.AsSelect().IsTestOnly() {
		a.selection(e, k, known)
	}
	a.chain = chain
}

func (a *absences) selection(e celast.Expr, k *kinds, known facts) {
	s := e.AsSelect()
	if optional(s.Operand(), k) {
		return
	}
	over := readable(k.of(s.Operand()))
	if over.Kind != kind.Record {
		return
	}
	f, ok := over.Field(s.FieldName())
	path := pathOf(e)
	if !ok || !f.Optional || (path != "" && known[path]) {
		return
	}
	from, to := a.spans.of(e)
	shown := path
	if shown == "" {
		shown = string(a.spans.src[from:to])
	}
	a.found = append(a.found, Problem{
		Code: "maybe-absent", From: from, To: to,
		Message: fmt.Sprintf("%s may be absent here", shown), Help: a.cure(e, k, path, shown),
	})
}

// cure writes the expression as it may stand, in the ways that there are.
func (a *absences) cure(e celast.Expr, k *kinds, path, shown string) string {
	text := func(from, to int) string { return string(a.spans.src[from:to]) }
	var ways []string
	if path != "" && k == a.top && k.of(a.root).Kind == kind.Boolean {
		whole := strings.TrimSpace(string(a.spans.src))
		if strings.Contains(whole, "||") || strings.Contains(whole, "?") {
			whole = "(" + whole + ")"
		}
		ways = append(ways, "has("+path+") && "+whole)
	}
	if instead, ok := Instead(k.of(a.chain)); ok {
		from, end := a.spans.of(e.AsSelect().Operand())
		field, _ := a.spans.field(e)
		_, to := a.spans.of(a.chain)
		ways = append(ways, text(from, end)+".?"+text(field, to)+".orValue("+instead+")")
	}
	switch {
	case len(ways) > 0:
		return "write " + strings.Join(ways, "\nor    ")
	case path != "" && k == a.top:
		return "put the step into a `do` block that has `if: has(" + path + ")`"
	}
	return "leave out first those without it: .filter(x, has(x." + e.AsSelect().FieldName() + "))"
}

// Instead writes a value that may stand for one that is absent, as an author may
// want it; false for what has none, such as a handle.
func Instead(t kind.Type) (string, bool) {
	if t.Text() {
		return `""`, t.Kind != kind.Secret && t.Kind != kind.Artifact && t.Kind != kind.Calendar
	}
	switch t.Kind {
	case kind.Int:
		return "0", true
	case kind.Double:
		return "0.0", true
	case kind.Boolean:
		return "false", true
	case kind.Severity, kind.Criticality:
		return string(t.Kind) + ".high", true
	case kind.Timestamp:
		return "now", true
	case kind.Duration:
		return "hours(0)", true
	case kind.List:
		return "[]", true
	case kind.Choice:
		if len(t.Of) > 0 {
			return `"` + t.Of[0] + `"`, true
		}
	default: // other types
	}
	return "", false
}

// optional reports whether a node is an optional value, through which CEL
// carries absence by itself.
func optional(e celast.Expr, k *kinds) bool {
	t, ok := k.checks[e.ID()]
	return ok && t.Kind() == types.OpaqueKind && t.TypeName() == "optional_type"
}

// whenTrue lists what is present where a condition holds: has(x) as a conjunct,
// and x.out where x.ok of the round of a loop is one.
func whenTrue(e celast.Expr, k *kinds) []string {
	switch {
	case e.Kind() == celast.SelectKind && e.AsSelect().FieldName() == "ok" && !e.AsSelect().IsTestOnly():
		if p := pathOf(e.AsSelect().Operand()); p != "" && isRound(k.of(e.AsSelect().Operand())) {
			return []string{p + ".out"}
		}
	case e.Kind() == celast.SelectKind && e.AsSelect().IsTestOnly():
		if p := pathOf(e); p != "" {
			return []string{p}
		}
	case e.Kind() == celast.CallKind && e.AsCall().FunctionName() == operators.LogicalAnd:
		args := e.AsCall().Args()
		return slices.Concat(whenTrue(args[0], k), whenTrue(args[1], k))
	}
	return nil
}

// isRound tells the record of a round of a loop over one step.
func isRound(t kind.Type) bool {
	for _, name := range []string{"item", "index", "ok", "out"} {
		if _, has := t.Field(name); !has {
			return false
		}
	}
	return t.Kind == kind.Record
}

// whenFalse lists what is present where a condition does not hold: !has(x) as a
// disjunct.
func whenFalse(e celast.Expr, k *kinds) []string {
	if e.Kind() != celast.CallKind {
		return nil
	}
	args := e.AsCall().Args()
	switch e.AsCall().FunctionName() {
	case operators.LogicalNot:
		if args[0].Kind() == celast.SelectKind {
			return whenTrue(args[0], k)
		}
	case operators.LogicalOr:
		return slices.Concat(whenFalse(args[0], k), whenFalse(args[1], k))
	}
	return nil
}

// pathOf writes a chain of selections from a name: steps.asset.owner; "" for
// anything else.
func pathOf(e celast.Expr) string {
	switch e.Kind() {
	case celast.IdentKind:
		return e.AsIdent()
	case celast.SelectKind:
		if p := pathOf(e.AsSelect().Operand()); p != "" {
			return p + "." + e.AsSelect().FieldName()
		}
	default: // other nodes
	}
	return ""
}
