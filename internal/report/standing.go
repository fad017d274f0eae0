package report

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// Verdict is the last word on whether it was an incident.
type Verdict struct {
	// Word is true_positive, benign, false_positive, duplicate, or taken_back: a
	// person had all that the run did undone. Empty says that there is none.
	Word string `json:"word,omitempty"`
	// By is who said so, or "the playbook".
	By string    `json:"by,omitempty"`
	At time.Time `json:"at,omitzero"`
	// Why is their reason.
	Why string `json:"why,omitempty"`
}

// InForce is an effect of the run that is in force when the review is made, as far
// as Quell's record tells.
type InForce struct {
	Title   string    `json:"title"`
	Targets []string  `json:"targets,omitempty"`
	Step    string    `json:"step"`
	Since   time.Time `json:"since"`
	// Note says until when, and what is not certain about it.
	Note string `json:"note,omitempty"`
}

// Look is one thing that was looked for, however little was found: among Of of
// What, Found are For, and need or may need somebody.
type Look struct {
	What  string `json:"what"`
	For   string `json:"for"`
	Of    int    `json:"of"`
	Found int    `json:"found"`
}

// verdicts are the closings that judge the alert, and not how the run went.
var verdicts = []string{"true_positive", "benign", "false_positive", "duplicate"}

// verdict finds the last word on whether it was an incident.
func (d *draft) verdict() Verdict {
	for _, e := range slices.Backward(d.entries) {
		var body struct {
			Reason string   `json:"reason"`
			Steps  []string `json:"steps"`
		}
		if e.Kind == "undo.requested" && json.Unmarshal(e.Body, &body) == nil && len(body.Steps) == 0 {
			return Verdict{Word: "taken_back", By: e.Actor, At: e.At(), Why: body.Reason}
		}
	}
	if slices.Contains(verdicts, d.rec.Closing) {
		return Verdict{Word: d.rec.Closing, By: "the playbook", At: d.rec.Ended, Why: d.rec.Reason}
	}
	for i := range slices.Backward(d.report.Effects) {
		e := &d.report.Effects[i]
		for _, w := range verdicts {
			if e.Action == "alert.close" && e.happened() && slices.Contains(e.With, "as: "+w) {
				return Verdict{Word: w, By: "the playbook", At: e.Settled}
			}
		}
	}
	return Verdict{}
}

// inForce lists what the run brought into force and what is so still.
func (d *draft) inForce() []InForce {
	var out []InForce
	for i := range d.report.Effects {
		e := &d.report.Effects[i]
		note := ""
		switch {
		case e.Outcome == effects.Unknown:
			note = "not known: nobody knows whether it happened"
		case e.Outcome == "on its way":
			note = "not known: it is on its way"
		case !e.happened() || !e.reversible():
			continue
		case e.released():
			continue
		case e.undone():
			note = "left as it is: others hold it too, or it was not Quell's to release"
		case e.Outcome == effects.Already && !e.Held:
			note = "it was so before this run; Quell will not release it"
		case e.Outcome == effects.Partial:
			note = "on a part of these" + d.until(e)
		default:
			note = strings.TrimPrefix(d.until(e), "; ")
		}
		if len(e.Undos) > 0 && !e.undone() {
			note = join("taking it back "+e.Undos[len(e.Undos)-1].Outcome, note)
		}
		out = append(out, InForce{Title: e.Title, Targets: e.Targets, Step: e.Step, Since: later(e.Settled, e.Began), Note: note})
	}
	return out
}

// released says that taking it back changed the target, or found it changed.
func (e *Effect) released() bool {
	return slices.ContainsFunc(e.Undos, func(u Undo) bool { return u.Outcome == effects.Done || u.Outcome == effects.Already })
}

// looked counts what was looked at for what is still open.
func (d *draft) looked() []Look {
	unknown, going := Look{What: "effects", For: "with an outcome that nobody knows"}, Look{What: "effects", For: "without an outcome so far"}
	held, inexact := Look{What: "reversible effects that came about", For: "in force"}, Look{What: "effects that came about", For: "without an exact way back"}
	undone := Look{What: "attempts to take something back", For: "that failed"}
	asked, holds := Look{What: "requests to people", For: "without an answer"}, Look{What: "requests about holds whose time is over", For: "without an answer"}
	for i := range d.report.Effects {
		e := &d.report.Effects[i]
		tally(&unknown, e.Outcome == effects.Unknown)
		tally(&going, e.Outcome == "on its way")
		if e.happened() && e.Reversal != string(spec.Unneeded) {
			tally(&inexact, e.Reversal != string(spec.Exact))
		}
		if e.happened() && e.reversible() {
			tally(&held, !e.released())
		}
		for n, u := range e.Undos {
			worked := u.Outcome == effects.Done || u.Outcome == effects.Already || u.Outcome == effects.Skipped
			tally(&undone, !worked && n == len(e.Undos)-1)
		}
	}
	for _, q := range d.asked {
		look := &asked
		if q.Kind == approval.Hold {
			look = &holds
		}
		tally(look, q.Decision == "")
	}
	return []Look{unknown, going, held, inexact, undone, asked, holds}
}

func tally(l *Look, found bool) {
	l.Of++
	if found {
		l.Found++
	}
}

// takingBack is the time in which effects were taken back, by whomever.
func (d *draft) takingBack() Measure {
	var from, to time.Time
	for _, e := range d.entries {
		if e.Kind == "undo.requested" {
			from = earlier(from, e.At())
		}
	}
	open := false
	for _, e := range d.effects {
		if e.Direction != string(run.Undo) {
			continue
		}
		from = earlier(from, e.Created)
		if open = open || e.Settled.IsZero(); e.Settled.After(to) {
			to = e.Settled
		}
	}
	switch {
	case from.IsZero():
		return Measure{Why: "nothing was taken back"}
	case open || to.Before(from):
		return Measure{Why: "it is not over", From: from}
	}
	m := between(from, to)
	if ended := d.rec.Ended; !ended.IsZero() && to.After(ended) {
		m.Why = "over " + stamp(to) + ", after the run's end"
	}
	return m
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// condition is the text of an expression of the plan, or empty.
func (d *draft) condition(at *plan.ExprRef) string {
	if at == nil || d.plan == nil || int(*at) < 0 || int(*at) >= len(d.plan.Exprs) {
		return ""
	}
	return d.plan.Exprs[*at].Text
}

// notAsked says why nobody had to approve an effect whose step may ask.
func (d *draft) notAsked(e *Effect) string {
	st := d.steps[e.Step]
	if st == nil || st.Approve == nil || e.Approval != "" || e.Outcome == effects.Simulated {
		return ""
	}
	return d.condition(st.Approve.When)
}

// Who says in words who an actor of the ledger is.
func Who(actor string) string {
	var out []string
	for a := range strings.SplitSeq(actor, ", ") {
		kind, name, ok := strings.Cut(a, ":")
		switch {
		case a == "hold":
			a = "the hold's own time (automatic)"
		case !ok:
		case kind == "source":
			a = "alert source " + name + " (automatic)"
		case kind == "schedule":
			a = "the schedule of " + name + " (automatic)"
		case kind == "local":
			a = "local account " + name
		case kind == "user":
			a = "user " + name
		case kind == "subject":
			a = "the affected person " + name + " (unverified)"
		}
		out = append(out, a)
	}
	return strings.Join(out, ", ")
}

func whos(list []string) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = Who(a)
	}
	return out
}

// Stands says in a few sentences how things stand, first of all in each form.
// Names and quotes go through name and quote, as in InShort.
func (r *Report) Stands(quote, name func(string) string) []string {
	out := []string{r.verdictShort(quote, name)}
	switch {
	case r.Run.Mode == "observe":
		out = append(out, "In force: nothing by this run; it only observed.")
	case len(r.InForce) == 0:
		out = append(out, "In force: nothing that this run did, as far as Quell's record tells.")
	}
	for _, f := range r.InForce {
		text := "In force: " + name(f.Title)
		if len(f.Targets) > 0 {
			text += " on " + name(several(f.Targets))
		}
		text += ", since " + stamp(f.Since)
		if f.Note != "" {
			text += "; " + name(f.Note)
		}
		out = append(out, text+".")
	}
	return append(out, fmt.Sprintf("This is how Quell's record stood at %s. It is a snapshot: it does not change any more, and the products were not asked again for it.", stamp(r.Made)))
}

func (r *Report) verdictShort(quote, name func(string) string) string {
	v := r.Verdict
	text := ""
	switch v.Word {
	case "":
		return "Verdict: none is on record; nobody said whether it was an incident."
	case "taken_back":
		text = "Verdict: all of it was taken back by " + name(Who(v.By))
	default:
		text = "Verdict: " + closing(v.Word) + ", said by " + name(Who(v.By))
	}
	text += " at " + stamp(v.At)
	if v.Why != "" {
		text += ", because " + quote(v.Why)
	}
	return text + "."
}

// verdictWord is the verdict for a tag, empty where the closing says it or there is
// none.
func verdictWord(v Verdict) string {
	switch v.Word {
	case "":
		return ""
	case "taken_back":
		return "all taken back"
	}
	return "verdict: " + closing(v.Word)
}

// stepRef finds the steps that an expression reads.
var stepRef = regexp.MustCompile(`\bsteps\.\??([a-z][a-z0-9_]*)`)

// read lists the facts that a condition reads, as far as look-ups told them.
func (d *draft) read(condition string) []string {
	var out []string
	for _, m := range stepRef.FindAllStringSubmatch(condition, -1) {
		for _, p := range d.report.Phases {
			for _, s := range p.Steps {
				if st := d.steps[s.Path]; st == nil || st.ID != m[1] || s.Iteration != "" {
					continue
				}
				for _, f := range s.Facts {
					name, _, _ := strings.Cut(f, ":")
					if one := m[1] + ": " + f; strings.Contains(condition, "."+name) && !slices.Contains(out, one) {
						out = append(out, one)
					}
				}
			}
		}
	}
	return out
}
