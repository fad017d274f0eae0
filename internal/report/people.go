package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/ledger"
)

// decisions lists what people were asked and what came of it, and what they did
// unasked: launched, cancelled, undid, resolved.
func (d *draft) decisions() []Decision {
	var out []Decision
	for _, q := range d.asked {
		out = append(out, d.decision(q))
	}
	for _, e := range d.entries {
		if x, ok := d.unasked(e); ok {
			out = append(out, x)
		}
	}
	slices.SortStableFunc(out, func(a, b Decision) int { return a.At.Compare(b.At) })
	return out
}

// decision tells one request with its votes, those that did not count too.
func (d *draft) decision(q *approval.Request) Decision {
	x := Decision{
		Kind: q.Kind, At: q.Opened, Step: q.Step, Asked: q.Text, Request: q.ID, Seals: seals(q.Show, q.Kind),
		Quorum: q.Quorum, Decision: q.Decision, Closed: q.Closed,
	}
	if st := d.steps[q.Step]; st != nil && st.Approve != nil && q.Kind == approval.Approval {
		x.Because = d.condition(st.Approve.When)
		x.Facts = d.read(x.Because)
	}
	x.chain(q)
	for _, v := range q.Votes {
		x.Votes = append(x.Votes, Vote{At: v.At, Actor: v.Actor, Word: word(q.Kind, v.Approve), Reason: v.Reason, Answer: v.Answer})
	}
	d.votesOf(q, &x)
	end := q.Closed
	if x.Decision == "" {
		x.Decision, end = "open", d.now
	}
	x.Waited = max(0, end.Sub(q.Opened).Seconds())
	if x.Decision == "approved" && (q.Kind == approval.Question || q.Kind == approval.Failure) {
		x.Decision = "answered"
	}
	if x.Decision == "expired" {
		x.Then = "nobody decided in time: " + silence(q.Silent)
	}
	return x
}

// chain tells who could decide and until when, and what silence means.
func (x *Decision) chain(q *approval.Request) {
	until := q.Opened
	for i, l := range q.Levels {
		rung := strings.Join(l.Who, ", ")
		if i > 0 {
			rung = "then " + rung
		}
		if l.Within > 0 {
			until = until.Add(l.Within)
			rung += " within " + kind.FormatDuration(l.Within) + ", until " + stamp(until)
		} else {
			rung += " for as long as it takes"
		}
		x.Chain = append(x.Chain, rung)
	}
	if x.Deadline = q.Deadline(); x.Deadline.IsZero() || len(q.Levels) == 0 {
		x.Silence = "nothing: it is asked until somebody answers"
		if q.Kind == approval.Hold {
			x.Silence = "that it stays held"
		}
		return
	}
	x.Silence = meant[q.Silent]
	if x.Silence == "" {
		x.Silence = "that the run ends there"
	}
}

// meant says what silence means by a request's rule, before anybody knows whether
// it came to that.
var meant = map[string]string{
	"act": "that the playbook acts without an approval", "skip": "that the step is skipped", "continue": "that the run goes on without an answer",
	"fail": "that the step fails", "keep": "that it stays held",
}

func word(requestKind string, approve bool) string {
	switch {
	case !approve:
		return "denied"
	case requestKind == approval.Question, requestKind == approval.Failure:
		return "answered"
	}
	return "approved"
}

// silence says what nobody's answer leads to.
func silence(rule string) string {
	switch rule {
	case "act":
		return "the playbook acts on silence (silent: act)"
	case "skip", "continue":
		return "the step was skipped (silent: " + rule + ")"
	case "fail":
		return "the step failed (silent: fail)"
	case "keep":
		return "it stays held"
	}
	return "the run ended (silent: stop)"
}

// seals names the effects that an approval covers.
func seals(show json.RawMessage, requestKind string) []string {
	var list []struct {
		Action   string                     `json:"action"`
		Instance string                     `json:"instance"`
		Inputs   map[string]json.RawMessage `json:"inputs"`
	}
	if requestKind != approval.Approval || json.Unmarshal(show, &list) != nil {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, s := range list {
		text := s.Action + " through " + s.Instance
		if on := labels(s.Inputs); on != "" {
			text += " on " + on
		}
		out = append(out, text)
	}
	return out
}

// labels finds the names of the handles among an action's inputs.
func labels(inputs map[string]json.RawMessage) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		var one struct {
			Label string `json:"label"`
		}
		var many []struct {
			Label string `json:"label"`
		}
		switch {
		case json.Unmarshal(inputs[name], &one) == nil && one.Label != "":
			out = append(out, one.Label)
		case json.Unmarshal(inputs[name], &many) == nil:
			for _, m := range many {
				if m.Label != "" {
					out = append(out, m.Label)
				}
			}
		}
	}
	return strings.Join(out, ", ")
}

// votesOf adds what only the ledger knows: in which role a vote counted, and the
// votes that were refused.
func (d *draft) votesOf(q *approval.Request, x *Decision) {
	for _, e := range d.entries {
		if e.Key != q.ID {
			continue
		}
		var body struct {
			Approve bool     `json:"approve"`
			Reason  string   `json:"reason"`
			Names   []string `json:"names"`
		}
		_ = json.Unmarshal(e.Body, &body) // an erased payload leaves the row
		switch e.Kind {
		case "request.opened":
			x.Row = e.Seq
		case "vote.cast":
			for i := range x.Votes {
				if x.Votes[i].Actor == e.Actor {
					x.Votes[i].As, x.Votes[i].Row = entitling(body.Names, q.Levels), e.Seq
				}
			}
		case "vote.refused":
			x.Votes = append(x.Votes, Vote{At: e.At(), Actor: e.Actor, Word: word(q.Kind, body.Approve), Refused: body.Reason, Row: e.Seq})
		}
	}
	slices.SortStableFunc(x.Votes, func(a, b Vote) int { return a.At.Compare(b.At) })
}

// entitling are those of a voter's names that the chain calls for.
func entitling(names []string, levels []approval.Level) []string {
	var out []string
	for _, n := range names {
		for _, l := range levels {
			if slices.Contains(l.Who, n) && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// unasked reads a decision that nobody was asked for from its ledger entry.
func (d *draft) unasked(e ledger.Entry) (Decision, bool) {
	var body struct {
		Reason string   `json:"reason"`
		As     string   `json:"as"`
		Steps  []string `json:"steps"`
	}
	_ = json.Unmarshal(e.Body, &body)
	x := Decision{At: e.At(), Step: e.Step, Row: e.Seq}
	v := Vote{At: e.At(), Actor: e.Actor, Reason: body.Reason, Row: e.Seq}
	switch e.Kind {
	case "run.requested":
		x.Kind, v.Word = "launch", "launched the run"
	case "run.cancel_requested":
		x.Kind, v.Word = "cancel", "cancelled the run"
	case "undo.requested":
		x.Kind, v.Word = "undo", "had it undone"
		if len(body.Steps) > 0 {
			x.Asked, v.Word = strings.Join(body.Steps, ", "), "had steps undone"
		}
	case "effect.resolved":
		x.Kind, v.Word = "resolve", "settled an unknown effect as "+strings.ReplaceAll(body.As, "_", " ")
	default:
		return x, false
	}
	x.Decision, x.Votes = v.Word, []Vote{v}
	return x, true
}

// waited writes a request's time in words, for "after 12 s".
func waited(s float64) string { return Span(time.Duration(s * float64(time.Second))) }

// Span writes a duration as people do: 0.3 s, 12 s, 1 min 12 s, 3 h 05 min, 2 d 4 h.
func Span(t time.Duration) string {
	switch {
	case t < 0:
		return "0 s"
	case t < 10*time.Second:
		return fmt.Sprintf("%.1f s", t.Seconds())
	case t < time.Minute:
		return fmt.Sprintf("%d s", int(t.Seconds()))
	case t < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(t.Minutes()), int(t.Seconds())%60)
	case t < 24*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(t.Hours()), int(t.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(t.Hours())/24, int(t.Hours())%24)
}
