package compile

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// steps drafts a list of steps in order. A guard, a step that ends the run
// where something is absent, proves the thing present for the steps behind it.
func (u *unit) steps(list []*ast.Step, p *place) []plan.Step {
	if len(list) == 0 {
		return nil
	}
	here := p.in(p.at, nil)
	out := make([]plan.Step, 0, len(list))
	for _, st := range list {
		in := u.infos[st]
		drafted, cond := u.step(st, in, here)
		if ends(st) {
			here.present = append(here.present, cond.Guarded...)
		}
		if st.Kind.Given() {
			out = append(out, drafted)
		}
	}
	for i, st := range slices.DeleteFunc(slices.Clone(list), func(s *ast.Step) bool { return !s.Kind.Given() }) {
		u.infos[st].drafted = &out[i]
	}
	return out
}

// ends reports whether a step ends the run where its condition holds.
func ends(st *ast.Step) bool {
	switch st.Kind.String() {
	case "stop", "fail":
		return st.OnError.String() == "" || st.OnError.String() == "fail"
	case "do":
		return !st.Foreach.Given() && endsList(st.Do)
	case "switch": // with a default each value has its list
		return !st.Foreach.Given() && st.DefaultKey.Given() &&
			!slices.ContainsFunc(st.Inside(), func(l []*ast.Step) bool { return !endsList(l) })
	case "parallel":
		return !st.Foreach.Given() && slices.ContainsFunc(st.Inside(), endsList)
	}
	return false
}

func endsList(list []*ast.Step) bool {
	return len(list) > 0 && ends(list[len(list)-1]) && !list[len(list)-1].If.Given()
}

// step drafts one step. Modifiers come in the order in which they act.
func (u *unit) step(st *ast.Step, in *info, p *place) (plan.Step, expr.Checked) {
	out := plan.Step{
		Kind: plan.StepKind(st.Kind.String()), Path: in.path, ID: st.ID.String(), Title: st.Title.String(),
		Phase: in.counts, Line: st.Span.Start.Line,
	}
	var cond expr.Checked
	out.If, cond = u.bare(st.If, u.ifEnv(st, p), kind.Of(kind.Boolean))
	inside := p.in(in, cond.Present)
	before := p.in(in.parent, cond.Present)
	out.Foreach = u.foreach(st, before, inside)
	out.Approve = u.approve(st.Approve, u.env(before))
	u.timing(st, &out)
	u.body(st, in, inside, &out)
	if st.Repeat != nil {
		out.Repeat = u.repeat(st, inside)
	}
	u.finish(st, in, &out)
	if st.UndoWith != nil {
		u.undoWith(st, in, inside, &out)
	}
	return out, cond
}

// ifEnv is what a step's if may read: not the variable of its own foreach, for
// if is decided once.
func (u *unit) ifEnv(st *ast.Step, p *place) expr.Env {
	env := u.env(p)
	m := foreachForm.FindStringSubmatch(st.Foreach.String())
	if m == nil {
		return env
	}
	why := env.Why
	env.Why = func(root, name string) string {
		if root == "" && name == m[1] {
			return "if is decided once, before foreach; filter the list, or write the if on a step under do"
		}
		return why(root, name)
	}
	return env
}

var foreachForm = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*)\s+in\s+`)

// foreach reads VAR in EXPR and declares the variable.
func (u *unit) foreach(st *ast.Step, before, inside *place) *plan.Foreach {
	if !st.Foreach.Given() {
		for _, t := range []ast.Text{st.AtOnce, st.OnItemError} {
			if t.Given() {
				u.report("no-foreach", t.Span(), "add foreach, or remove this key", "this belongs to foreach, and the step has none")
			}
		}
		return nil
	}
	text := st.Foreach.String()
	m := foreachForm.FindStringSubmatchIndex(text)
	if m == nil {
		u.report("bad-foreach", st.Foreach.Span(), "write foreach: NAME in LIST", "foreach needs a variable and a list")
		return nil
	}
	v, at := text[m[2]:m[3]], st.Foreach.Part(m[2], m[3])
	if problem, help := badID(v); problem != "" {
		u.report("bad-id", at, help, "%s %s", v, problem)
	} else if slices.ContainsFunc(before.locals, func(f kind.Field) bool { return f.Name == v }) {
		u.report("shadowed-name", at, "choose another name", "%s hides the variable of the loop around it", v)
	} else if n, ok := u.ids[v]; ok {
		u.report("duplicate-id", at, "choose another name", "%s is the id of the step at line %d", v, n.step.Span.Start.Line)
	}
	u.vars[v] = st
	ref, checked, ok := u.expression(st.Foreach, m[1], len(text), u.env(before), kind.Type{})
	if ok && checked.Type.Kind != kind.List && checked.Type.Kind != "" {
		u.report("wrong-type", st.Foreach.Part(m[1], len(strings.TrimRight(text, "\n"))), "name a list: [a, b], an input of type list<…>, or a list of a result", "foreach goes over a list; this is %s", a(named(checked.Type)))
	}
	f := &plan.Foreach{Var: v, In: ref, AtOnce: max(1, u.count(st.AtOnce, "at_once", 50)), Max: checked.Most}
	f.OnItemError = plan.OnError(u.oneOf(st.OnItemError, "on_item_error", "fail", "fail", "continue"))
	elem := kind.Type{}
	if checked.Type.Elem != nil {
		elem = *checked.Type.Elem
	}
	u.loops[ref] = true
	inside.locals = append(slices.Clone(inside.locals), kind.Field{Name: v, Type: elem})
	inside.flows = maps.Clone(inside.flows)
	if inside.flows == nil {
		inside.flows = map[string]expr.Flow{}
	}
	inside.flows[v] = checked.Flow.Elem()
	return f
}

func (u *unit) repeat(st *ast.Step, inside *place) *plan.Repeat {
	r := st.Repeat
	if st.Foreach.Given() {
		u.report("two-loops", r.Span, "put the inner loop into a do", "a step has foreach or repeat, not both")
	}
	if st.Kind.String() != "do" {
		u.report("repeat-needs-do", head(u.file, r.Span), "write the steps to repeat under do", "repeat goes over a block")
	}
	out := &plan.Repeat{
		Every: u.duration(r.Every, "every"), Within: u.duration(r.Within, "within"), Max: u.count(r.Max, "max", 10_000),
		Late: plan.OnError(u.oneOf(r.Late, "late", "ask", "ask", "fail", "continue")),
	}
	u.need(r.Every, r.Span, "repeat", "every")
	if !r.Within.Given() && !r.Max.Given() {
		u.report("unbounded-loop", head(u.file, r.Span), "write within or max", "the loop may never end")
	}
	if !u.need(r.Until, r.Span, "repeat", "until") {
		return out
	}
	// until sees the round that just ended.
	ref, checked := u.bare(r.Until, u.env(inside), kind.Of(kind.Boolean))
	if ref != nil {
		out.Until = *ref
	}
	if checked.Type.Kind != "" && !u.changes(checked, u.infos[st]) {
		u.report("constant-condition", r.Until.Span(), "read the result of a step in the block", "until reads nothing that a round can change")
	}
	return out
}

// changes reports whether a condition reads now or a step inside a loop.
func (u *unit) changes(c expr.Checked, loop *info) bool {
	for _, p := range c.Paths {
		if p[0] == "now" {
			return true
		}
		if len(p) > 1 {
			if n, ok := u.ids[p[1]]; ok && n.info != loop && n.info.within(loop) {
				return true
			}
		}
	}
	return false
}

func (u *unit) timing(st *ast.Step, out *plan.Step) {
	out.Timeout = u.duration(st.Timeout, "timeout")
	if st.Retry != nil {
		out.Retry = &plan.Retry{Attempts: u.count(st.Retry.Attempts, "attempts", 100), Wait: u.duration(st.Retry.Wait, "wait")}
	}
	if st.Accept != nil {
		out.Accept = &plan.Accept{Irreversible: st.Accept.Irreversible.String()}
		u.need(st.Accept.Irreversible, st.Accept.Span, "accept", "irreversible")
	}
	if h := st.Hold; h != nil {
		out.Hold = &plan.Hold{For: u.duration(h.For, "for")}
		u.need(h.For, h.Span, "hold", "for")
		out.Hold.Then = plan.HoldThen(u.oneOf(h.Then, "then", "", "ask", "keep", "release"))
	}
}
