package compile

import (
	"slices"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/plan"
)

// commands keeps text that strangers chose out of inputs that a vendor
// interprets: a query, a script.
func (u *unit) commands(st *ast.Step, in *info) {
	if in.action == nil || in.drafted == nil || in.drafted.Action == nil {
		return
	}
	for _, w := range in.drafted.Action.With {
		f, ok := in.action.InputType().Field(w.Name)
		if !ok || !f.Command {
			continue
		}
		for _, ref := range refs(w.Value) {
			if from := u.stranger(ref); from != "" {
				u.report("hostile-text", u.withSpan(st, w.Name), "pass it through an input that is data, or choose the command by a switch",
					"%s of %s is interpreted as a command, and %s is text that an attacker may have chosen", w.Name, in.action.Name, from)
				break
			}
		}
	}
}

// stranger names the input or result whose text an expression passes on, ""
// where there is none. Numbers, times, choices and settings are nobody's text.
func (u *unit) stranger(ref plan.ExprRef) string {
	c := u.checked[ref]
	t := innermost(&c.Type)
	if !t.Text() && t.Kind != "" && t.Kind != kind.Record {
		return ""
	}
	for _, p := range slices.Concat(c.Flow.All(), c.Reads) {
		if len(p) > 1 && (p[0] == "inputs" || p[0] == "steps") && !u.ownText(p) {
			return p[0] + "." + p[1]
		}
	}
	return ""
}

// ownText reports whether an input can only be one of the author's own texts.
func (u *unit) ownText(p []string) bool {
	if p[0] != "inputs" {
		return false
	}
	f, ok := u.inputs.Inputs.Field(p[1])
	return ok && !innermost(&f.Type).Text()
}

// refs lists the expressions in a value.
func refs(v plan.Value) []plan.ExprRef {
	var out []plan.ExprRef
	if v.Expr != nil {
		out = append(out, *v.Expr)
	}
	for _, p := range v.Template {
		if p.Expr != nil {
			out = append(out, *p.Expr)
		}
	}
	for _, e := range v.List {
		out = append(out, refs(e)...)
	}
	for _, e := range v.Map {
		out = append(out, refs(e.Value)...)
	}
	return out
}

// untrusted keeps what the affected user answered from releasing or approving
// anything: whoever has the account answers too.
func (u *unit) untrusted(st *ast.Step, in *info) {
	if in.drafted == nil {
		return
	}
	if st.Approve != nil && in.drafted.Approve != nil && in.drafted.Approve.When != nil {
		if id := u.answered(*in.drafted.Approve.When); id != "" {
			u.report("untrusted-answer", st.Approve.When.Span(), "ask the people of an on-call list instead",
				"the affected user answers %s, and that decides whether anybody approves", id)
		}
	}
	if !u.releases(st, in) {
		return
	}
	for i := in; i != nil; i = i.parent {
		if i.drafted == nil {
			continue
		}
		for _, c := range []struct {
			ref *plan.ExprRef
			at  ast.Text
		}{{i.drafted.If, i.step.If}, {on(i.drafted), i.step.Body}} {
			if c.ref == nil {
				continue
			}
			if id := u.answered(*c.ref); id != "" {
				u.report("untrusted-answer", c.at.Span(), "let somebody else confirm it",
					"the affected user answers %s, and that decides whether something is let go", id)
				return
			}
		}
	}
}

func on(st *plan.Step) *plan.ExprRef {
	if st.Choose == nil {
		return nil
	}
	return &st.Choose.On
}

// releases reports whether a step lets something go that was contained.
func (u *unit) releases(st *ast.Step, in *info) bool {
	if st.Kind.String() == "undo" {
		return true
	}
	if in.action == nil || !in.action.Effect() || in.counts == plan.Contain {
		return false
	}
	// An inverse of something that contains: enable, release, unblock.
	return in.counts == plan.Recover && in.action.Inverse != ""
}

// answered is the id of an ask of the affected user that an expression reads.
func (u *unit) answered(ref plan.ExprRef) string {
	for _, p := range u.checked[ref].Paths {
		if len(p) < 2 || (p[0] != "steps" && p[0] != "outcome") {
			continue
		}
		if n, ok := u.ids[p[1]]; ok && n.step.Subject != nil {
			return p[1]
		}
	}
	return ""
}
