package app

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/quell-soar/quell/server/api"
)

// planColumns is how wide a plan is printed, at most.
const planColumns = 80

// page writes folded lines.
type page struct {
	w   io.Writer
	err error
}

// line writes text behind a margin; what does not fit goes on in further lines
// under the text.
func (p *page) line(margin, text string) {
	rest := strings.Repeat(" ", len([]rune(margin)))
	at, empty := margin, true
	out := func() {
		if p.err == nil {
			_, p.err = fmt.Fprintln(p.w, strings.TrimRight(at, " "))
		}
	}
	for word := range strings.FieldsSeq(clean(text)) {
		for r := []rune(word); len(r) > 0; { // a long word is broken
			n := min(len(r), planColumns-len([]rune(rest)))
			if !empty && len([]rune(at))+1+n > planColumns {
				out()
				at, empty = rest, true
				continue
			}
			if !empty {
				at += " "
			}
			at, empty, r = at+string(r[:n]), false, r[n:]
		}
	}
	out()
}

// pair writes "name  text"; nothing where there is no text.
func (p *page) pair(name, text string) {
	if text != "" {
		p.line(fmt.Sprintf("      %-9s", name), text)
	}
}

func (p *page) head(text string) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, "\n%s\n", text)
	}
}

// planText prints a plan for people.
func (c *cli) planText(got *api.Plan) error {
	p := &page{w: c.out}
	p.line("", got.Playbook+": "+got.Title)
	p.line("", planSummary(got))
	p.reads(got)
	p.effects(got)
	p.asks(got)
	p.unknown(got)
	p.reach(got)
	for i, n := range got.Notes {
		if i == 0 {
			p.head("Notes")
		}
		p.line("  ", n)
	}
	return p.err
}

func planSummary(got *api.Plan) string {
	base := 0
	for _, e := range got.Effects {
		if e.Base {
			base++
		}
	}
	mode := "mode " + got.Mode
	if got.Mode == "observe" {
		mode += ": a run would only record its effects"
	}
	text := fmt.Sprintf("%s, %d as assumed, %s, %s. Ends %s where people approve.", many(len(got.Effects), "effect"), base,
		many(len(got.Asks), "question"), many(len(got.Reads), "read"), got.Closing)
	if got.Reason != "" {
		text += " (" + got.Reason + ")"
	}
	return text + " No effect was called. As of " + stamp(got.At) + ", " + mode + "."
}

// inputs counts the inputs of an effect: where there is but the target, nothing
// more is said.
func inputs(raw json.RawMessage) int {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return 0
	}
	return len(m)
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func (p *page) reads(got *api.Plan) {
	switch {
	case len(got.Reads) == 0:
	case got.Offline:
		p.head("Reads, answered by the fixtures")
	default:
		p.head("Reads, called now")
	}
	for _, r := range got.Reads {
		p.line("  ", r.Step+"  "+r.Action+on(r.Instance))
		p.pair("asks", short(r.Inputs))
		switch {
		case len(r.KnownAfter) > 0:
			p.pair("not yet", "needs the answer of "+strings.Join(r.KnownAfter, ", "))
		case r.Error != "":
			p.pair("fails", r.Error)
		default:
			p.pair("says", short(r.Output))
		}
	}
}

func on(instance string) string {
	if instance == "" {
		return ""
	}
	return " on " + instance
}

// shortest bounds a value in the text; the JSON has it whole.
const shortest = 150

// short writes a JSON value as people read it: handles by their label.
func short(raw json.RawMessage) string {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return ""
	}
	return cut(spoken(v, 0), shortest)
}

func spoken(v any, depth int) string {
	switch x := v.(type) {
	case map[string]any:
		if label, ok := x["label"].(string); ok && x["handle"] != nil {
			return label
		}
		names := make([]string, 0, len(x))
		for n := range x {
			names = append(names, n)
		}
		slices.Sort(names)
		for i, n := range names {
			names[i] = n + ": " + spoken(x[n], depth+1)
		}
		if depth == 0 {
			return strings.Join(names, ", ")
		}
		return "{" + strings.Join(names, ", ") + "}"
	case []any:
		out := make([]string, len(x))
		for i := range x {
			out[i] = spoken(x[i], depth+1)
		}
		return "[" + strings.Join(out, ", ") + "]"
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case nil:
		return "none"
	}
	return fmt.Sprint(v)
}

func (p *page) effects(got *api.Plan) {
	if len(got.Effects) == 0 {
		p.head("It would change nothing.")
		return
	}
	p.head("Would do, in this order")
	for _, e := range got.Effects {
		p.line(fmt.Sprintf("  %2d  ", e.N), e.Step+"  "+e.Action+on(e.Instance))
		var targets []string
		for _, t := range e.Targets {
			text := t.Label + " (" + t.Kind
			if t.Class != "" {
				text += ", " + t.Class
			}
			targets = append(targets, text+")")
		}
		p.pair("target", strings.Join(targets, ", "))
		if e.Undoes == "" && (len(e.Targets) == 0 || inputs(e.Inputs) > 1) {
			p.pair("with", short(e.Inputs))
		}
		if e.Undoes != "" {
			p.pair("undoes", e.Undoes)
		}
		if len(e.KnownAfter) > 0 {
			p.pair("hangs on", "the answer of "+strings.Join(e.KnownAfter, ", "))
		}
		if e.Already {
			p.pair("is so", "already: no call would change it")
		}
		if e.Ask > 0 {
			p.pair("asked", "question "+strconv.Itoa(e.Ask)+" must be approved")
		}
		p.guard(e.Guard)
		if h := e.Hold; h != nil {
			p.pair("held", "for "+h.For+", until "+stamp(h.Until)+" if it began now; then "+holdThen[h.Then])
		}
		p.inverse(e.Inverse)
		when := "only where "
		if e.Base {
			when = "not where "
		}
		if len(e.Ways) > 0 {
			p.pair("when", when+cut(strings.Join(e.Ways, "; or "), 3*planColumns))
		}
	}
}

var holdThen = map[string]string{"ask": "somebody is asked", "keep": "it stays", "release": "it is released"}

func (p *page) guard(g *api.PlanGuard) {
	if g == nil {
		return
	}
	text := map[string]string{"allow": "let it out", "ask": "ask a person first", "refuse": "REFUSE it", "simulate": "observe mode: it is recorded only"}[g.Verdict]
	if g.Rule != "" {
		text += " (" + g.Rule + ": " + g.Reason + ")"
	}
	p.pair("guards", text)
	for _, b := range g.Budgets {
		p.pair("budget", fmt.Sprintf("%s: takes %d of %d left, %d per %s", b.Name, b.Takes, b.Left, b.Of, b.Per))
	}
	if len(g.HeldBy) > 0 {
		p.pair("held by", strings.Join(g.HeldBy, ", ")+"; it would join them")
	}
}

func (p *page) inverse(i *api.PlanInverse) {
	switch {
	case i == nil || i.Reversal == "unneeded":
		return
	case i.Action == "":
		p.pair("back", "cannot be taken back")
		return
	}
	text := "by " + i.Action + ", " + i.Reversal
	if i.Reversal == "none" {
		text = "by " + i.Action + ", as the playbook says"
	}
	if r := short(i.Restores); r != "" {
		text += "; to " + r
	}
	p.pair("back", text)
}

func (p *page) asks(got *api.Plan) {
	if len(got.Asks) > 0 {
		p.head("Would ask people")
	}
	for _, a := range got.Asks {
		p.line(fmt.Sprintf("  %2d  ", a.N), a.Step+", "+a.Kind+": "+a.Text)
		var chain []string
		for _, l := range a.Levels {
			text := strings.Join(l.Who, " or ")
			if len(l.Persons) > 0 {
				text += " (now " + strings.Join(l.Persons, ", ") + ")"
			}
			if l.Within != "" {
				text += " within " + l.Within
			}
			chain = append(chain, text)
		}
		p.pair("who", strings.Join(chain, ", then "))
		if len(a.Effects) > 0 {
			p.pair("covers", "effects "+numbers(a.Effects))
		}
		if len(a.Ways) > 0 {
			p.pair("when", "only where "+cut(strings.Join(a.Ways, "; or "), 3*planColumns))
		}
		p.ways(a.Answers)
	}
}

func (p *page) ways(list []api.PlanWay) {
	for _, w := range list {
		p.line("      - ", w.Way+": "+leads(w))
	}
}

func leads(w api.PlanWay) string {
	var out []string
	if w.Assumed {
		out = append(out, "assumed here")
	}
	if w.After != "" {
		out = append(out, "after "+w.After)
	}
	if w.Closing != "" {
		end := "ends " + w.Closing
		if w.Reason != "" && !w.Assumed {
			end += " (" + w.Reason + ")"
		}
		out = append(out, end)
	}
	if len(w.With) > 0 {
		out = append(out, "with effects "+numbers(w.With))
	}
	if len(w.Without) > 0 {
		out = append(out, "without effects "+numbers(w.Without))
	}
	if len(w.Asks) > 0 {
		out = append(out, "asks "+numbers(w.Asks))
	}
	if len(out) == 0 {
		return "nothing changes"
	}
	return strings.Join(out, ", ")
}

func numbers(list []int) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = strconv.Itoa(n)
	}
	return strings.Join(out, ", ")
}

func (p *page) unknown(got *api.Plan) {
	if len(got.Unknown) > 0 {
		p.head("Not known yet: each way")
	}
	for _, u := range got.Unknown {
		text := u.Step + ", " + u.What + ": " + u.Text
		if len(u.On) > 0 {
			text += " (known after " + strings.Join(u.On, ", ") + ")"
		}
		p.line("  ", text)
		p.ways(u.Ways)
	}
}

func (p *page) reach(got *api.Plan) {
	if len(got.Reach) > 0 {
		p.head("Blast radius, over all ways")
	}
	for _, r := range got.Reach {
		text := many(r.Targets, "target")
		if r.Limit > 0 {
			text += fmt.Sprintf(", limit %d", r.Limit)
		}
		var classes []string
		for name := range r.Classes {
			classes = append(classes, name)
		}
		slices.Sort(classes)
		for i, name := range classes {
			classes[i] = strconv.Itoa(r.Classes[name]) + " " + name
		}
		if len(classes) > 0 {
			text += " (" + strings.Join(classes, ", ") + ")"
		}
		p.line(fmt.Sprintf("  %-28s ", r.Action), text)
	}
}
