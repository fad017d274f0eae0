package diff

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// writer writes the parts of one plan as they stand in the playbook.
type writer struct{ *plan.Plan }

func (w writer) expr(r plan.ExprRef) string {
	if int(r) < 0 || int(r) >= len(w.Exprs) {
		return ""
	}
	return strings.Join(strings.Fields(w.Exprs[r].Text), " ")
}

func (w writer) maybe(r *plan.ExprRef) string {
	if r == nil {
		return ""
	}
	return w.expr(*r)
}

func (w writer) value(v *plan.Value) string {
	switch {
	case v == nil:
		return ""
	case v.Expr != nil:
		return "${{ " + w.expr(*v.Expr) + " }}"
	case len(v.Template) > 0:
		var b strings.Builder
		for _, p := range v.Template {
			if p.Expr != nil {
				b.WriteString("${{ " + w.expr(*p.Expr) + " }}")
				continue
			}
			b.WriteString(p.Text)
		}
		return b.String()
	case len(v.List) > 0:
		out := make([]string, len(v.List))
		for i := range v.List {
			out[i] = w.value(&v.List[i])
		}
		return "[" + strings.Join(out, ", ") + "]"
	case len(v.Map) > 0:
		return "{" + strings.Join(w.named(v.Map), ", ") + "}"
	}
	var text string
	if json.Unmarshal(v.Literal, &text) == nil {
		return text
	}
	return string(v.Literal)
}

func (w writer) named(list []plan.NamedValue) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].Name + ": " + w.value(&list[i].Value)
	}
	return out
}

// parts are those of one step, not of what stands inside it.
func (w writer) parts(st *plan.Step) parts {
	var p parts
	p.add("kind", string(st.Kind))
	p.add("phase", string(st.Phase))
	w.call(&p, st)
	p.add("if", w.maybe(st.If))
	w.loops(&p, st)
	w.people(&p, st)
	w.bounds(&p, st)
	w.body(&p, st)
	return p
}

// call writes the action and its inputs; the input that says what is acted on is
// the part targets.
func (w writer) call(p *parts, st *plan.Step) {
	if st.Action != nil {
		sp, _ := w.ActionSpec(st.Action.Name)
		p.add("action", st.Action.Name)
		for _, in := range st.Action.With {
			part := "input " + in.Name
			if st.Action.Effect && in.Name == sp.Targets {
				part = "targets"
			}
			p.add(part, w.value(&in.Value))
		}
	}
	if u := st.UndoWith; u != nil {
		p.add("undo_with", u.Name+" {"+strings.Join(w.named(u.With), ", ")+"}")
	}
}

func (w writer) loops(p *parts, st *plan.Step) {
	if l := st.Foreach; l != nil {
		text := l.Var + " in " + w.expr(l.In)
		if l.AtOnce > 1 {
			text += ", " + strconv.Itoa(l.AtOnce) + " at once"
		}
		p.add("foreach", text)
		p.add("on_item_error", string(l.OnItemError))
		if l.Max > 0 {
			p.add("foreach max", strconv.Itoa(l.Max))
		}
	}
	if r := st.Repeat; r != nil {
		p.add("repeat until", w.expr(r.Until))
		text := "every " + kind.FormatDuration(r.Every)
		if r.Within > 0 {
			text += " within " + kind.FormatDuration(r.Within)
		}
		if r.Max > 0 {
			text += fmt.Sprintf(", at most %d rounds", r.Max)
		}
		p.add("repeat", text+", late: "+string(r.Late))
	}
}

func (w writer) people(p *parts, st *plan.Step) {
	if a := st.Approve; a != nil {
		p.add("approval", chain(a.From)+", quorum "+strconv.Itoa(a.Quorum)+", denied: "+string(a.Denied)+", silent: "+string(a.Silent))
		p.add("approval when", w.maybe(a.When))
		p.add("approval asks", w.value(&a.Ask))
	}
	if a := st.People; a != nil {
		p.add("asks", w.value(&a.Text))
		p.add("asked", chain(a.From)+", silent: "+string(a.Silent))
		if a.Subject != nil {
			p.add("subject", w.value(a.Subject)+" over "+a.Via+" within "+kind.FormatDuration(a.Within))
		}
		p.add("shown", strings.Join(w.named(a.Show), ", "))
		for _, f := range a.Fields {
			text := f.Type.String()
			if f.Among != nil {
				text += " among " + w.expr(*f.Among)
			}
			if f.Default != nil {
				text += " = " + w.value(f.Default)
			}
			p.add("field "+f.Name, text)
		}
	}
}

func chain(levels []plan.Level) string {
	out := make([]string, len(levels))
	for i, l := range levels {
		out[i] = strings.Join(l.Who, " or ")
		if l.Within > 0 {
			out[i] += " within " + kind.FormatDuration(l.Within)
		}
	}
	return strings.Join(out, ", then ")
}

func (w writer) bounds(p *parts, st *plan.Step) {
	if h := st.Hold; h != nil {
		p.add("hold", kind.FormatDuration(h.For)+", then "+string(h.Then))
	}
	if st.Timeout > 0 {
		p.add("timeout", kind.FormatDuration(st.Timeout))
	}
	if r := st.Retry; r != nil {
		p.add("retry", fmt.Sprintf("%d attempts, %s apart", r.Attempts, kind.FormatDuration(r.Wait)))
	}
	p.add("on_error", string(st.OnError))
	if st.Accept != nil {
		p.add("accept irreversible", st.Accept.Irreversible)
	}
}

func (w writer) body(p *parts, st *plan.Step) {
	if c := st.Choose; c != nil {
		keys := make([]string, len(c.Cases))
		for i, k := range c.Cases {
			keys[i] = strings.Join(k.Keys, " or ")
		}
		text := w.expr(c.On) + ": " + strings.Join(keys, "; ")
		if c.HasDefault {
			text += "; default"
		}
		p.add("switch", text)
	}
	if f := st.Fork; f != nil {
		names := make([]string, len(f.Branches))
		for i, b := range f.Branches {
			names[i] = b.Name
		}
		text := strings.Join(names, ", ")
		if f.First {
			text += " (the first that succeeds)"
		}
		p.add("branches", text)
	}
	if c := st.Child; c != nil {
		p.add("call", c.Playbook+" "+short(c.Digest))
		p.add("with", strings.Join(w.named(c.With), ", "))
		for _, l := range c.Limits {
			p.add("limit "+l.Action, strconv.Itoa(l.Targets))
		}
	}
	p.add("wait", w.wait(st.Pause))
	p.add("set", strings.Join(w.named(st.Assign), ", "))
	p.add("undo", strings.Join(st.Undoes, ", "))
	p.add("undo of", w.value(st.UndoOf))
	p.add("text", w.value(st.Text))
	p.add("params", strings.Join(w.named(st.Params), ", "))
}

func (w writer) wait(b *plan.WaitBody) string {
	switch {
	case b == nil:
		return ""
	case b.For != nil:
		return "for " + w.value(b.For)
	case b.At != nil:
		return "at " + w.value(b.At)
	case b.Open != nil:
		return "open " + w.expr(*b.Open)
	case b.ForAlert != nil:
		return "for an alert where " + w.maybe(b.ForAlert.When) + " within " + kind.FormatDuration(b.ForAlert.Within) + ", late: " + string(b.ForAlert.Late)
	}
	return ""
}

func short(digest string) string { return digest[:min(12, len(digest))] }

// around are the parts of a playbook around its steps.
func (w writer) around() parts {
	var p parts
	p.add("title", w.Title)
	p.add("owner", w.Owner)
	p.add("tags", strings.Join(w.Tags, ", "))
	for _, i := range w.Inputs {
		text := i.Type.String()
		if i.Default != nil {
			text += " = " + w.value(i.Default)
		}
		if i.Max > 0 {
			text += ", max " + strconv.Itoa(i.Max)
		}
		if i.Pattern != "" {
			text += ", pattern " + i.Pattern
		}
		p.add("input "+i.Name, text)
	}
	for _, s := range w.Settings {
		text := s.Type.String()
		if s.Default != nil {
			text += " = " + w.value(s.Default)
		}
		p.add("setting "+s.Name, text)
	}
	w.triggers(&p)
	for _, l := range w.Limits {
		p.add("limit "+l.Action, strconv.Itoa(l.Targets))
	}
	for _, o := range w.Outputs {
		p.add("output "+o.Name, w.value(&o.Value))
	}
	return p
}

func (w writer) triggers(p *parts) {
	for i, t := range w.Triggers.Alerts {
		at := fmt.Sprintf("trigger alert %d", i+1)
		p.add(at+" from", strings.Join(t.From, ", "))
		p.add(at+" when", w.maybe(t.When))
		p.add(at+" inputs", strings.Join(w.named(t.Inputs), ", "))
		once := make([]string, len(t.OncePer))
		for k, r := range t.OncePer {
			once[k] = w.expr(r)
		}
		p.add(at+" once_per", strings.Join(once, ", "))
		if t.Quiet > 0 {
			p.add(at+" quiet", kind.FormatDuration(t.Quiet))
		}
		p.add(at+" incident", w.maybe(t.Incident))
	}
	if m := w.Triggers.Manual; m != nil {
		who := "anyone who may launch"
		if len(m.Roles) > 0 {
			roles := slices.Clone(m.Roles)
			slices.Sort(roles)
			who = strings.Join(roles, ", ")
		}
		p.add("trigger manual", who)
	}
	for i, s := range w.Triggers.Schedules {
		p.add(fmt.Sprintf("trigger schedule %d", i+1), fmt.Sprintf("%s in %s, overlap: %s {%s}", s.Cron, s.Zone, s.Overlap, strings.Join(w.named(s.Inputs), ", ")))
	}
}
