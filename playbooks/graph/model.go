package graph

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/quell-soar/quell/playbooks/plan"
)

// class is how a node is shown.
type class string

const (
	read   class = "read"
	effect class = "effect"
	people class = "people"
	pause  class = "pause"
	back   class = "back"
	end    class = "end"
	other  class = "other"
	block  class = "block"
)

// node is one step.
type node struct {
	class class
	// tag is the kind in a word or two, head what people read first.
	tag, head string
	// id is the step's own id, "" where it has none.
	id string
	// when are the lines about whether and how often it runs, after those about
	// what follows.
	when, after []string
	approve     []string
	groups      []group
	// conditional says that the steps before it may go past it.
	conditional bool
	// choice says that one of the groups is chosen.
	choice bool
	// ends says that nothing of its phase follows it.
	ends bool
	// open says that a value may choose none of the groups.
	open bool
}

// group is a list of steps in a step: its block, a branch, a case.
type group struct {
	label string
	nodes []node
}

// band is a phase.
type band struct {
	name  string
	nodes []node
}

// drawing is a whole plan.
type drawing struct {
	title  string
	starts []string
	bands  []band
}

type modeller struct{ plan *plan.Plan }

func model(p *plan.Plan) drawing {
	m := modeller{p}
	d := drawing{title: p.Title, starts: m.starts()}
	if d.title == "" {
		d.title = p.Playbook
	}
	for _, ph := range p.Phases {
		d.bands = append(d.bands, band{name: string(ph.Name), nodes: m.nodes(ph.Steps)})
	}
	return d
}

func (m modeller) starts() []string {
	var out []string
	for _, a := range m.plan.Triggers.Alerts {
		line := "alert from " + strings.Join(a.From, ", ")
		if a.When != nil {
			line += " when " + m.expr(*a.When)
		}
		out = append(out, line)
	}
	if t := m.plan.Triggers.Manual; t != nil {
		out = append(out, "by hand: "+strings.Join(t.Roles, ", "))
	}
	for _, s := range m.plan.Triggers.Schedules {
		out = append(out, "by the clock: "+s.Cron+", "+s.Zone)
	}
	for _, l := range m.plan.Limits {
		out = append(out, fmt.Sprintf("at most %d: %s", l.Targets, l.Action))
	}
	return out
}

func (m modeller) nodes(steps []plan.Step) []node {
	out := make([]node, 0, len(steps))
	for i := range steps {
		out = append(out, m.node(&steps[i]))
	}
	return out
}

func (m modeller) node(s *plan.Step) node {
	n := node{class: other, tag: string(s.Kind), id: s.ID, head: s.Title, conditional: s.If != nil}
	if s.If != nil {
		n.when = append(n.when, "if "+m.expr(*s.If))
	}
	if f := s.Foreach; f != nil {
		line := "for each " + f.Var + " in " + m.expr(f.In)
		if f.AtOnce > 1 {
			line += fmt.Sprintf(", %d at once", f.AtOnce)
		}
		n.when, n.tag = append(n.when, line), "each · "+n.tag
	}
	if r := s.Repeat; r != nil {
		n.when, n.tag = append(n.when, m.repeat(r)), "repeat"
	}
	if a := s.Approve; a != nil {
		n.approve = m.approval(a)
	}
	m.body(s, &n)
	m.after(s, &n)
	return n
}

func (m modeller) repeat(r *plan.Repeat) string {
	line := "every " + span(r.Every) + " until " + m.expr(r.Until)
	if r.Within > 0 {
		line += ", within " + span(r.Within)
	}
	if r.Max > 0 {
		line += fmt.Sprintf(", at most %d times", r.Max)
	}
	return line + ", then " + string(r.Late)
}

func (m modeller) approval(a *plan.Approve) []string {
	out := []string{"Approval: " + m.value(&a.Ask)}
	if a.When != nil {
		out = append(out, "asked if "+m.expr(*a.When))
	}
	line := chain(a.From)
	if a.Quorum > 1 {
		line += fmt.Sprintf("; %d must agree", a.Quorum)
	}
	silent := "silence: " + string(a.Silent)
	if a.Silent == plan.OnAct {
		silent = "silence: act, unless someone objects"
	}
	return append(out, line, "denied: "+string(a.Denied)+"; "+silent)
}

// body says what a step does.
func (m modeller) body(s *plan.Step, n *node) {
	head := func(text string) {
		if n.head == "" {
			n.head = text
		} else if text != "" {
			n.when = append(n.when, text)
		}
	}
	switch s.Kind {
	case plan.Uses:
		head(s.Action.Name)
		if n.class = read; s.Action.Effect {
			n.class = effect
		}
		n.tag = strings.Replace(n.tag, "uses", string(n.class), 1)
	case plan.Do:
		n.class, n.groups = block, []group{{nodes: m.nodes(s.Steps)}}
		n.tag = strings.Replace(n.tag, "do", "block", 1)
	case plan.Switch:
		n.class, n.choice, n.open = block, true, s.Choose.HasDefault && len(s.Choose.Default) == 0
		head(m.expr(s.Choose.On))
		for _, c := range s.Choose.Cases {
			n.groups = append(n.groups, group{label: strings.Join(c.Keys, ", "), nodes: m.nodes(c.Steps)})
		}
		if len(s.Choose.Default) > 0 {
			n.groups = append(n.groups, group{label: "else", nodes: m.nodes(s.Choose.Default)})
		}
	case plan.Parallel:
		n.class, n.tag = block, strings.Replace(n.tag, "parallel", "at the same time", 1)
		for _, b := range s.Fork.Branches {
			n.groups = append(n.groups, group{label: b.Name, nodes: m.nodes(b.Steps)})
		}
		if s.Fork.First {
			n.when = append(n.when, "ends with the first that succeeds")
		}
	default:
		m.leaf(s, n, head)
	}
}

func (m modeller) leaf(s *plan.Step, n *node, head func(string)) {
	switch s.Kind {
	case plan.Ask:
		n.class = people
		head(m.value(&s.People.Text))
		if s.People.Subject != nil {
			n.after = append(n.after, "first asked: "+m.value(s.People.Subject)+" by "+s.People.Via+", "+span(s.People.Within))
		}
		if len(s.People.From) > 0 {
			n.after = append(n.after, chain(s.People.From)+"; silence: "+string(s.People.Silent))
		}
	case plan.Wait:
		n.class = pause
		head(m.wait(s.Pause))
	case plan.Undo:
		n.class = back
		if len(s.Undoes) > 0 {
			head("take back " + strings.Join(s.Undoes, ", "))
		}
		if s.UndoOf != nil {
			head("take back " + m.value(s.UndoOf))
		}
	case plan.Stop, plan.Fail:
		n.class, n.ends = end, true
		head(m.value(s.Text))
	case plan.Call:
		n.class = effect
		head(s.Child.Playbook)
	case plan.Set:
		var names []string
		for _, a := range s.Assign {
			names = append(names, a.Name)
		}
		head(strings.Join(names, ", "))
	case plan.Note:
		head(s.Note)
	case plan.Report:
		head(m.value(s.Text))
	default: // other kinds of step
	}
}

func (m modeller) wait(w *plan.WaitBody) string {
	switch {
	case w.For != nil:
		return "for " + m.value(w.For)
	case w.At != nil:
		return "until " + m.value(w.At)
	case w.Open != nil:
		return "until " + m.expr(*w.Open) + " is open"
	case w.ForAlert != nil:
		line := "for an alert, within " + span(w.ForAlert.Within) + ", then " + string(w.ForAlert.Late)
		if w.ForAlert.When != nil {
			line = "for an alert with " + m.expr(*w.ForAlert.When) + ", within " + span(w.ForAlert.Within) + ", then " + string(w.ForAlert.Late)
		}
		return line
	}
	return ""
}

// after says what follows from a step.
func (m modeller) after(s *plan.Step, n *node) {
	if s.Hold != nil {
		n.after = append(n.after, "held for "+span(s.Hold.For)+", then "+string(s.Hold.Then))
	}
	if s.UndoWith != nil {
		n.after = append(n.after, "taken back by "+s.UndoWith.Name)
	} else if s.Action != nil && s.Action.Effect {
		if a, ok := m.plan.ActionSpec(s.Action.Name); ok && a.Inverse != "" {
			n.after = append(n.after, "taken back by "+a.Inverse)
		}
	}
	if s.Accept != nil && s.Accept.Irreversible != "" {
		n.after = append(n.after, "cannot be taken back: "+s.Accept.Irreversible)
	}
	normal := plan.OnFail
	if s.Kind == plan.Undo || (s.Action != nil && s.Action.Effect) {
		normal = plan.OnAsk
	}
	if s.OnError != normal && s.OnError != "" {
		n.after = append(n.after, "on error: "+string(s.OnError))
	}
	if s.Foreach != nil && s.Foreach.OnItemError == plan.OnContinue {
		n.after = append(n.after, "goes on past failed elements")
	}
}

func chain(levels []plan.Level) string {
	var out []string
	for _, l := range levels {
		out = append(out, strings.Join(l.Who, " or ")+" ("+span(l.Within)+")")
	}
	return strings.Join(out, " → ")
}

func (m modeller) expr(r plan.ExprRef) string {
	if int(r) < 0 || int(r) >= len(m.plan.Exprs) {
		return "?"
	}
	return strings.Join(strings.Fields(m.plan.Exprs[r].Text), " ")
}

// value is a value as people read it.
func (m modeller) value(v *plan.Value) string {
	switch {
	case v == nil:
		return ""
	case v.Expr != nil:
		return m.expr(*v.Expr)
	case v.Template != nil:
		var b strings.Builder
		for _, p := range v.Template {
			if p.Expr != nil {
				b.WriteString("{" + m.expr(*p.Expr) + "}")
			} else {
				b.WriteString(p.Text)
			}
		}
		return b.String()
	case v.Literal != nil:
		var s string
		if json.Unmarshal(v.Literal, &s) == nil {
			return s
		}
		return string(v.Literal)
	case v.List != nil:
		var out []string
		for i := range v.List {
			out = append(out, m.value(&v.List[i]))
		}
		return strings.Join(out, ", ")
	}
	return "…"
}

// span writes a duration as a playbook does.
func span(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d%u.unit == 0 && (d > 2*u.unit || (d >= u.unit && u.name != "d")) {
			return fmt.Sprintf("%d%s", d/u.unit, u.name)
		}
	}
	return d.String()
}
