package compile

import (
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// wait types the one form that a wait has.
func (u *unit) wait(st *ast.Step, p *place) *plan.WaitBody {
	w, env := st.Wait, u.env(p)
	if w == nil {
		return nil
	}
	out := &plan.WaitBody{}
	forms := 0
	if w.For != nil {
		forms++
		v := u.value(w.For, target{what: "for", typ: kind.Of(kind.Duration)}, env)
		out.For = &v
	}
	if w.At != nil {
		forms++
		v := u.value(w.At, target{what: "at", typ: kind.Of(kind.Timestamp)}, env)
		out.At = &v
	}
	if w.Open.Given() {
		forms++
		out.Open, _ = u.bare(w.Open, env, kind.Of(kind.Calendar))
	}
	if w.ForAlert != nil {
		forms++
		out.ForAlert = u.forAlert(w.ForAlert, env)
	}
	if forms != 1 {
		u.report("bad-wait", head(u.file, w.Span), "write wait: { for: 15m }, or at, open or for_alert in place of for",
			"wait needs for, at, open or for_alert, one of the four")
	}
	return out
}

func (u *unit) forAlert(w *ast.ForAlert, env expr.Env) *plan.ForAlert {
	out := &plan.ForAlert{
		Within: u.duration(w.Within, "within"),
		Late:   plan.OnError(u.oneOf(w.Late, "late", "ask", "ask", "fail", "continue")),
	}
	u.need(w.Within, w.Span, "wait.for_alert", "within")
	env.Alert = true
	out.When, _ = u.bare(w.When, env, kind.Of(kind.Boolean))
	return out
}

// note types a note: a text under an id of its own.
func (u *unit) note(st *ast.Step, env expr.Env, out *plan.Step) {
	out.Note = st.Body.String()
	if problem, help := badID(out.Note); st.Body.Given() && problem != "" {
		u.report("bad-id", st.Body.Span(), help, "%s %s", st.Body, problem)
	}
	if st.NoteText == nil {
		u.report("missing-key", st.Kind.Span(), "write `text: …`", "note needs text")
		return
	}
	v := u.value(st.NoteText, target{what: "text", typ: kind.Of(kind.String), people: true}, env)
	out.Text = &v
}
