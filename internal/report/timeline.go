package report

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/playbooks/plan"
)

// timeline tells the run in the order of its ledger rows, with the reads of its
// tree between them.
func (d *draft) timeline() []Event {
	var out []Event
	for _, a := range d.alerts {
		out = append(out, Event{At: a.Occurred, Who: "source:" + a.Source, What: "the source saw it", About: a.Title, Kind: "alert"})
	}
	for _, e := range d.entries {
		if ev, ok := d.event(e); ok {
			out = append(out, ev)
		}
	}
	effect := map[string]bool{}
	for i := range d.report.Effects {
		effect[d.report.Effects[i].Step] = true
	}
	for _, p := range d.report.Phases {
		for _, s := range p.Steps {
			if s.Kind == string(plan.Uses) && !effect[s.Path] && !s.Ended.IsZero() {
				out = append(out, Event{At: s.Ended, What: s.Title + ": " + s.Outcome, About: join(s.Detail, strings.Join(s.Facts, ", ")), Step: s.Path, Kind: "read"})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Event) int { return a.At.Compare(b.At) })
	if n := len(out) - maxEvents; n > 0 {
		d.report.Left["events"] = n
		out = out[:maxEvents]
	}
	return out
}

// body is what the timeline reads of a payload, whatever its kind.
type body struct {
	Action    string `json:"action"`
	Instance  string `json:"instance"`
	Direction string `json:"direction"`
	Outcome   string `json:"outcome"`
	Verified  bool   `json:"verified"`
	Detail    string `json:"detail"`
	Error     string `json:"error"`
	Attempt   int64  `json:"attempt"`
	Found     string `json:"found"`
	Reason    string `json:"reason"`
	As        string `json:"as"`
	Kind      string `json:"kind"`
	Text      string `json:"text"`
	Approve   bool   `json:"approve"`
	Decision  string `json:"decision"`
	Closing   string `json:"closing"`
	Title     string `json:"title"`
	Targets   []struct {
		Label string `json:"label"`
	} `json:"targets"`
}

func (b body) on() string {
	names := make([]string, 0, len(b.Targets))
	for _, t := range b.Targets {
		names = append(names, t.Label)
	}
	return strings.Join(names, ", ")
}

// event puts one entry into words. A payload that was erased leaves its row.
func (d *draft) event(e ledger.Entry) (Event, bool) {
	ev := Event{At: e.At(), Who: e.Actor, Step: e.Step, Row: e.Seq, Kind: e.Kind, Digest: e.Payload}
	if len(e.Body) == 0 {
		ev.What = e.Kind + " (its payload was erased)"
		return ev, true
	}
	var b body
	_ = json.Unmarshal(e.Body, &b) // a payload of another form is told by its kind alone
	domain, _, _ := strings.Cut(e.Kind, ".")
	switch domain {
	case "effect", "undo":
		d.effectEvent(&ev, b)
	case "request", "vote", "hold":
		d.peopleEvent(&ev, b, e.Key)
	case "run", "report":
		runEvent(&ev, b)
	default:
		ev.What = e.Kind
	}
	return ev, true
}

func (d *draft) effectEvent(ev *Event, b body) {
	title := d.titleOf(b.Action)
	if b.Direction == "undo" {
		title = "Take back: " + d.titleOf(d.original(ev.Step, b.Action))
	}
	ev.About = b.on()
	switch ev.Kind {
	case "effect.intent":
		ev.What = title + ": about to call " + b.Instance
		if b.Attempt > 1 {
			ev.What += " again"
		}
	case "effect.outcome":
		ev.What = title + ": " + b.Outcome
		if b.Verified {
			ev.What += ", read back"
		}
		ev.About = join(ev.About, b.Detail)
	case "effect.attempt_failed":
		ev.What, ev.About = "an attempt failed without effect: "+b.Error, b.Detail
	case "effect.uncertain":
		ev.What, ev.About = "the answer to a call was lost: "+b.Error, b.Detail
	case "effect.read_back":
		ev.What = "read back after a lost answer: " + b.Found
	case "effect.resolved":
		ev.What, ev.About = "settled an unknown effect as "+strings.ReplaceAll(b.As, "_", " "), b.Reason
	case "undo.requested":
		ev.What, ev.About = "asked to take back what the run did", b.Reason
	case "undo.nothing":
		ev.What, ev.About = "nothing to call to take it back", b.Reason
	case "undo.put_off":
		ev.What, ev.About = "taking it back waits", b.Reason
	case "undo.ended":
		ev.What = "the undo ended"
	default:
		ev.What, ev.About = ev.Kind, join(b.Detail, b.Reason)
	}
}

// original is the action that an undo takes back: the step's own.
func (d *draft) original(step, action string) string {
	if st := d.steps[step]; st != nil && st.Action != nil {
		return st.Action.Name
	}
	return action
}

func (d *draft) peopleEvent(ev *Event, b body, key string) {
	ask := "approval"
	for _, q := range d.asked {
		if q.ID == key {
			ask = q.Kind
		}
	}
	switch ev.Kind {
	case "request.opened":
		ev.What, ev.About = "asked people ("+ask+")", b.Text
	case "vote.cast":
		ev.What, ev.About = word(ask, b.Approve), b.Reason
	case "vote.refused":
		ev.What, ev.About = "a vote that did not count ("+word(ask, b.Approve)+")", b.Reason
	case "request.closed":
		ev.What = "decided: " + b.Decision
	case "hold.kept":
		ev.What = "the hold's time is over; it stays as it is"
	case "hold.renewed":
		ev.What = "the hold was renewed"
	default:
		ev.What = ev.Kind
	}
}

func runEvent(ev *Event, b body) {
	switch ev.Kind {
	case "run.requested":
		ev.What, ev.About = "launched the run", b.Reason
	case "run.claimed":
		ev.What, ev.About = "the alert arrived and started the run", b.Title
	case "run.joined":
		ev.What, ev.About = "another alert joined the run", b.Title
	case "run.cancel_requested":
		ev.What, ev.About = "asked to cancel the run", b.Reason
	case "run.ended":
		ev.What, ev.About = "the run ended: "+b.Closing, b.Reason
	case "report.made":
		ev.What = "this review was first made"
	default:
		ev.What = ev.Kind
	}
}

func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + ": " + b
}
