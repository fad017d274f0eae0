package guard

import (
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/guard/subject"
)

// Freeze is a time in which nothing is changed: once, from From to To, or each
// week.
type Freeze struct {
	From, To time.Time
	// Weekly, where it is set, takes the place of From and To.
	Weekly *subject.Week
	Reason string
	// Actions narrows it to some actions, as patterns; empty is all.
	Actions []string
	// Then is Refuse where it is empty.
	Then Then
}

func (f Freeze) ok() error {
	switch {
	case f.Then != "" && f.Then != Refuse && f.Then != AskFirst:
		return fmt.Errorf("then is refuse or ask, not %q", f.Then)
	case f.Weekly == nil && !f.From.Before(f.To):
		return errors.New("it needs from and to, and begins before it ends")
	case f.Weekly != nil && (f.Weekly.Zone == nil || !f.From.IsZero() || !f.To.IsZero()):
		return errors.New("a weekly freeze needs a zone, and has no from and to")
	}
	return nil
}

// Ends says whether a freeze holds at a time, and when it is over then.
func (f Freeze) Ends(now time.Time) (at time.Time, in bool) {
	if f.Weekly != nil {
		left, in := f.Weekly.Holds(now)
		return now.Add(left), in
	}
	return f.To, !now.Before(f.From) && now.Before(f.To)
}

// frozen asks the freezes that do then.
func (g *Guard) frozen(q Question, now time.Time, then Then) *Refusal {
	for _, f := range g.rules.Freezes {
		does := f.Then
		if does == "" {
			does = Refuse
		}
		if does != then || len(f.Actions) > 0 && !fits(f.Actions, q.Action) {
			continue
		}
		if until, in := f.Ends(now); in {
			return &Refusal{Rule: "freeze", Reason: fmt.Sprintf("changes are frozen until %s: %s", until.UTC().Format(time.RFC3339), f.Reason), Ask: then == AskFirst}
		}
	}
	return nil
}
