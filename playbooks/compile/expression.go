package compile

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// expression checks the expression at Value[from:to] of a scalar and puts it
// into the plan. want is the type that it must have, where the caller leaves
// the check to CEL; it is only used where the expression's own type is unknown.
func (u *unit) expression(t ast.Text, from, to int, env expr.Env, want kind.Type) (plan.ExprRef, expr.Checked, bool) {
	checked, ok := u.check(t, from, to, env)
	typ := checked.Type
	if typ.Kind == "" || unknownInside(typ) {
		typ = want
		if unknownInside(typ) {
			typ = kind.Type{}
		}
	}
	text := t.String()[from:to]
	lead := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
	at := t.Part(from+lead, from+lead).Start
	u.draft.Exprs = append(u.draft.Exprs, plan.Expr{
		Text: strings.TrimSpace(text), Type: typ, Line: at.Line, Column: at.Column, Uses: checked.Uses,
	})
	u.checked = append(u.checked, checked)
	return plan.ExprRef(len(u.draft.Exprs) - 1), checked, ok
}

// unknownInside reports whether a type has a part that is not known, so that no
// value can be checked against it.
func unknownInside(t kind.Type) bool {
	switch t.Kind {
	case kind.List, kind.Map:
		return t.Elem == nil || t.Elem.Kind == "" || unknownInside(*t.Elem)
	case kind.Record:
		for _, f := range t.Fields {
			if f.Type.Kind == "" || unknownInside(f.Type) {
				return true
			}
		}
	default: // other types
	}
	return false
}

// check types an expression and reports what is wrong with it.
func (u *unit) check(t ast.Text, from, to int, env expr.Env) (expr.Checked, bool) {
	text := t.String()[from:to]
	checked, problems := u.checker.Check(text, env)
	for _, p := range problems {
		start, end := byteOf(text, p.From), byteOf(text, p.To)
		if line := strings.TrimRight(text[:end], "\n"); len(line) > start {
			end = len(line) // a block's last line break belongs to the block
		}
		at := t.Part(from+start, from+end)
		help := p.Help
		if p.Code == "syntax" && p.To == p.From && u.commented(t) {
			u.report("comment-in-expression", at, "put the expression in quotes or in a | block", "YAML takes the rest of the line for a comment; what is left is not an expression")
			continue
		}
		u.report(p.Code, at, help, "%s", p.Message)
	}
	for _, use := range checked.Uses {
		u.used[use] = true
	}
	return checked, len(problems) == 0
}

// commented reports whether a comment follows a plain scalar on its line.
func (u *unit) commented(t ast.Text) bool {
	end := t.Span().End
	line := []rune(u.file.Line(end.Line))
	if end.Column-1 > len(line) {
		return false
	}
	return strings.HasPrefix(strings.TrimLeft(string(line[end.Column-1:]), " "), "#")
}

func byteOf(text string, runes int) int {
	for i := range text {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(text)
}

// bare checks a field that is an expression by itself: if, when, until. A ${{
// in it is told, because people write it there.
func (u *unit) bare(t ast.Text, env expr.Env, want kind.Type) (*plan.ExprRef, expr.Checked) {
	if !t.Given() {
		return nil, expr.Checked{}
	}
	if i := strings.Index(t.String(), "${{"); i >= 0 {
		u.report("braces", t.Part(i, i+3), "leave ${{ and }} out", "the value of this key is an expression already")
		return nil, expr.Checked{}
	}
	ref, checked, ok := u.expression(t, 0, len(t.String()), env, want)
	if !ok || want.Kind == "" {
		return &ref, checked
	}
	if checked.Optional {
		u.absent(t.Part(0, len(strings.TrimRight(t.String(), "\n"))), want)
		return &ref, checked
	}
	if help, fits := assignable(want, checked.Type); !fits {
		u.report("wrong-type", t.Part(0, len(strings.TrimRight(t.String(), "\n"))), cmp.Or(help, "compare it with something, or convert it"), "this must be %s; it is %s", a(want), a(named(checked.Type)))
	}
	return &ref, checked
}

// absent reports a value that may be absent where there must be one.
func (u *unit) absent(at source.Span, want kind.Type) {
	help := "read it in a block whose `if` has it: if: has(…)"
	if instead, ok := expr.Instead(want); ok {
		help = "write " + strings.Join(strings.Fields(u.file.Text(at)), " ") + ".orValue(" + instead + ")"
	}
	u.report("maybe-absent", at, help, "the value may be absent here")
}

// mayBeAbsent reports whether a value is an expression that may give none.
func (u *unit) mayBeAbsent(v plan.Value) bool { return v.Expr != nil && u.checked[*v.Expr].Optional }

// env gives what an expression at a place may read.
func (u *unit) env(p *place) expr.Env {
	at := sight{p.at, p.phase}
	if u.seenAt != u.over {
		clear(u.seen)
		u.seenAt = u.over
	}
	v, ok := u.seen[at]
	if !ok {
		v = u.visibleAt(p)
		u.seen[at] = v
	}
	e := u.inputs
	e.Steps, e.Over = kind.Type{Kind: kind.Record, Fields: v.steps}, v.over
	e.Why = func(root, id string) string { return u.why(root, id, p) }
	e.Locals, e.Present, e.Flows = p.locals, p.present, p.flows
	return e
}

// sight is a place as far as it decides which names are visible.
type sight struct {
	at    *info
	phase plan.PhaseName
}

// visible are the names that can be read at a place: the results with their types,
// and the ids of all steps that are over.
type visible struct {
	steps []kind.Field
	over  []string
}

func (u *unit) visibleAt(p *place) visible {
	if u.over == 0 {
		return visible{}
	}
	v := visible{make([]kind.Field, 0, u.over), make([]string, 0, u.over)}
	for _, n := range u.order {
		if !n.done || u.hidden(n, p) != "" {
			continue
		}
		v.over = append(v.over, n.id)
		if n.hasResult {
			v.steps = append(v.steps, kind.Field{Name: n.id, Type: n.typ, Optional: u.maybe(n, p)})
		}
	}
	return v
}

// hidden says why a step's id cannot be read at a place, "" where it can.
func (u *unit) hidden(n *name, p *place) string {
	if fork := atOnce(n.info, p.at); fork != nil {
		return fmt.Sprintf("it runs at the same time, in another branch of the parallel at line %d", fork.step.Span.Start.Line)
	}
	if !n.done {
		if p.at != nil && p.at.within(n.info) {
			return "the step is not over yet"
		}
		return fmt.Sprintf("it runs later, at line %d", n.step.Span.Start.Line)
	}
	if loop := n.info.loop(); loop != nil && (p.at == nil || !p.at.within(loop)) {
		if loop.step.ID.Given() {
			return "it stands in a loop; outside, read it through steps." + loop.step.ID.String()
		}
		return "it stands in a loop and can be read only there"
	}
	return ""
}

func (u *unit) why(root, id string, p *place) string {
	if st, ok := u.vars[id]; ok && root == "" {
		return fmt.Sprintf("it is the variable of the loop at line %d", st.Span.Start.Line)
	}
	n, ok := u.ids[id]
	if !ok || root == "" {
		return ""
	}
	if h := u.hidden(n, p); h != "" {
		return h
	}
	if !n.hasResult {
		return "the step has no result; read outcome." + id
	}
	return ""
}

// maybe reports whether a result may be absent at a place. It may where the
// step itself, or a block around it that is not around the place too, may be
// skipped, denied or failed over; and always in review, which runs whatever
// happened.
func (u *unit) maybe(n *name, p *place) bool {
	if p.phase == "review" && n.info.phase != "review" {
		return true
	}
	for i := n.info; i != nil; i = i.parent {
		if i != n.info && p.at != nil && p.at.within(i) && sameBranch(i, n.info, p.at) {
			return false
		}
		if skippable(i.step) || (i != n.info && (i.step.Kind.String() == "switch" || i.step.First.String() == "true")) {
			return true
		}
	}
	return false
}

// sameBranch reports whether two steps inside one block stand in one case of it.
func sameBranch(block, a, b *info) bool {
	return branchOf(block, a) == branchOf(block, b)
}

func branchOf(block, i *info) int {
	for ; i != nil && i.parent != block; i = i.parent {
	}
	if i == nil {
		return 0
	}
	return i.branch
}

// skippable reports whether a step may end without a result and the run go on.
func skippable(st *ast.Step) bool {
	if st.If.Given() {
		return true
	}
	switch st.OnError.String() {
	case "continue", "skip":
		return true
	}
	if a := st.Approve; a != nil && (a.Denied.String() == "skip" || a.Silent.String() == "skip") {
		return true
	}
	switch st.Silent.String() {
	case "skip", "continue":
		return true
	}
	return st.Wait != nil && st.Wait.ForAlert != nil && st.Wait.ForAlert.Late.String() == "continue"
}

// atOnce is the parallel of which two steps stand in different branches, nil
// where there is none.
func atOnce(a, b *info) *info {
	if b == nil {
		return nil
	}
	for i := a.parent; i != nil; i = i.parent {
		if i.step.Kind.String() == "parallel" && b.within(i) && b != i && !sameBranch(i, a, b) {
			return i
		}
	}
	return nil
}
