package compile

import (
	"regexp"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

func (u *unit) approve(a *ast.Approve, env expr.Env) *plan.Approve {
	if a == nil {
		return nil
	}
	out := &plan.Approve{Quorum: max(1, u.count(a.Quorum, "quorum", 10))}
	out.When, _ = u.bare(a.When, env, kind.Of(kind.Boolean))
	if u.need(a.Ask, a.Span, "approve", "ask") {
		out.Ask = u.text(a.Ask, target{what: "ask", typ: kind.Of(kind.String), people: true}, env)
	}
	out.From = u.levels(a.From, head(u.file, a.Span), "approve")
	out.Denied = plan.OnError(u.oneOf(a.Denied, "denied", "stop", "stop", "skip", "fail"))
	out.Silent = plan.OnError(u.oneOf(a.Silent, "silent", "stop", "skip", "stop", "fail", "act"))
	return out
}

var whoForm = regexp.MustCompile(`^(oncall\.)?[a-z][a-z0-9_-]*$`)

func (u *unit) ask(st *ast.Step, env expr.Env) *plan.AskBody {
	out := &plan.AskBody{
		Text:   u.text(st.Body, target{what: "ask", typ: kind.Of(kind.String), people: true}, env),
		Silent: plan.OnError(u.oneOf(st.Silent, "silent", "stop", "skip", "stop", "fail", "continue")),
		Show:   u.named(st.Show, "show", env),
	}
	u.subject(st, env, out)
	if len(st.From) > 0 || st.Subject == nil {
		out.From = u.levels(st.From, st.Kind.Span(), "ask")
	}
	for _, f := range st.Fields {
		t := u.declared(f, "field")
		if innermost(&t).Kind == kind.Handled && !f.Among.Given() {
			u.report("handle-from-text", f.Type.Span(), "write among: LIST, and the person chooses from it", "nobody can type %s", a(innermost(&t)))
		}
		pf := plan.AskField{Name: f.Name.String(), Type: t, Max: u.count(f.Max, "max", 100_000), Pattern: f.Pattern.String()}
		u.form(f, t)
		if f.Among.Given() {
			pf.Among = u.among(f, t, env)
		}
		if f.Default != nil && t.Kind != "" {
			v := u.value(f.Default, target{what: "the field " + pf.Name, typ: t}, env)
			pf.Default = &v
		}
		out.Fields = append(out.Fields, pf)
	}
	return out
}

// among is the list that a person may choose from.
func (u *unit) among(f *ast.Input, t kind.Type, env expr.Env) *plan.ExprRef {
	elem := t
	if t.Kind == kind.List && t.Elem != nil {
		elem = *t.Elem
	}
	want := kind.ListOf(elem)
	if t.Kind == "" {
		want = kind.Type{}
	}
	ref, _ := u.bare(f.Among, env, want)
	return ref
}

func (u *unit) levels(list []*ast.Level, at source.Span, what string) []plan.Level {
	if len(list) == 0 {
		u.report("missing-key", at, "write from: with a list of { who: [oncall.soc], within: 10m }", "%s needs from: the people to ask, in order", what)
	}
	var out []plan.Level
	for _, l := range list {
		if len(l.Who) == 0 {
			u.report("missing-key", head(u.file, l.Span), "write who: [oncall.NAME] or a role", "an entry of from needs who")
		}
		for _, w := range l.Who {
			if !whoForm.MatchString(w.String()) {
				u.report("bad-value", w.Span(), "write a role, or oncall.NAME", "%s is neither a role nor an on-call list", w)
			}
		}
		u.need(l.Within, l.Span, "an entry of from", "within")
		out = append(out, plan.Level{Who: texts(l.Who), Within: u.duration(l.Within, "within")})
	}
	return out
}

// subject types whom an ask asks first: the account that it is about.
func (u *unit) subject(st *ast.Step, env expr.Env, out *plan.AskBody) {
	if st.Subject == nil {
		for _, t := range []ast.Text{st.Via, st.Within} {
			if t.Given() {
				u.report("unknown-key", t.Span(), "write subject: with the account to ask, or remove it", "this belongs to an ask with a subject")
			}
		}
		return
	}
	v := u.value(st.Subject, target{what: "subject", typ: kind.HandleOf("user")}, env)
	out.Subject = &v
	if u.need(st.Via, st.Kind.Span(), "an ask with a subject", "via") && !channelForm.MatchString(st.Via.String()) {
		u.report("bad-value", st.Via.Span(), "write the name of a channel: mail, chat", "%s is not the name of a channel", st.Via)
	}
	u.need(st.Within, st.Kind.Span(), "an ask with a subject", "within")
	out.Via, out.Within = st.Via.String(), u.duration(st.Within, "within")
}

var channelForm = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
