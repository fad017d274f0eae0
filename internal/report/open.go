package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/playbooks/plan"
)

// The kinds of open things, the gravest first.
var gravity = []string{"unknown", "undo_failed", "on_its_way", "partial", "failed", "waiting", "held", "stays"}

// open lists what is not over: what nobody knows, what could not be undone, who
// is waited for, what is still in force.
func (d *draft) open() []Open {
	var out []Open
	for i := range d.report.Effects {
		e := &d.report.Effects[i]
		o, ok := d.openEffect(e)
		if !ok {
			continue
		}
		o.Targets, o.Step = e.Targets, e.Step
		out = append(out, o)
	}
	for _, x := range d.report.Decisions {
		if x.Decision == "open" {
			out = append(out, Open{Kind: "waiting", What: x.Asked, Step: x.Step, Do: "quell approval show '" + x.Request + "'"})
		}
	}
	slices.SortStableFunc(out, func(a, b Open) int { return slices.Index(gravity, a.Kind) - slices.Index(gravity, b.Kind) })
	return out
}

// openEffect says whether one effect is not over, and what to do about it.
func (d *draft) openEffect(e *Effect) (Open, bool) {
	what := e.Title + " (" + e.Action + " through " + e.Instance + ")"
	undo := "quell undo " + d.rec.ID + " --step " + e.Step + " --reason …"
	switch {
	case e.Outcome == effects.Unknown:
		return Open{Kind: "unknown", What: what + ": whether it happened is not known", Do: "quell approval list --run " + d.rec.ID + ", then quell effect resolve"}, true
	case e.Outcome == "on its way":
		return Open{Kind: "on_its_way", What: what + ": it has no outcome yet"}, true
	case e.Outcome == effects.Failed || e.Outcome == effects.Refused:
		return Open{Kind: "failed", What: what + ": it was not done: " + e.Outcome + why(e.Detail)}, true
	case !e.happened() || e.Reversal == string(spec.Unneeded) || e.undone():
		return Open{}, false
	}
	if n := len(e.Undos); n > 0 {
		last := e.Undos[n-1]
		return Open{Kind: "undo_failed", What: what + ": taking it back " + last.Outcome + why(last.Detail), Do: undo}, true
	}
	switch {
	case e.Outcome == effects.Partial:
		return Open{Kind: "partial", What: what + ": it reached a part of its targets" + why(e.Detail), Do: undo}, true
	case e.Held || e.reversible() && e.Outcome == effects.Done:
		return Open{Kind: "held", What: what + ": still in force" + d.until(e), Do: undo}, true
	case e.Reversal == string(spec.Irreversible) && e.Outcome == effects.Done:
		return Open{Kind: "stays", What: what + ": done, and there is no way to take it back"}, true
	}
	return Open{}, false
}

func why(detail string) string {
	if detail == "" {
		return ""
	}
	return " (" + detail + ")"
}

// until says when a hold's time is over, and what happens then.
func (d *draft) until(e *Effect) string {
	st := d.steps[e.Step]
	if st == nil || st.Hold == nil {
		return ""
	}
	end := e.Began.Add(st.Hold.For)
	for _, x := range d.entries {
		var body struct {
			Key   string    `json:"key"`
			Until time.Time `json:"until"`
		}
		if x.Kind == "hold.renewed" && json.Unmarshal(x.Body, &body) == nil && body.Key == e.Key && body.Until.After(end) {
			end = body.Until
		}
	}
	then := map[plan.HoldThen]string{plan.HoldAsk: "then people are asked", plan.HoldKeep: "then it stays", plan.HoldRelease: "then it is released"}[st.Hold.Then]
	return fmt.Sprintf("; held until %s (%s since %s), %s", stamp(end), kind.FormatDuration(end.Sub(e.Began)), stamp(e.Began), then)
}
