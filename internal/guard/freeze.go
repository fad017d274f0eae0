package guard

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Freeze is a time in which nothing is changed: once, from From to To, or each
// week.
type Freeze struct {
	From, To time.Time
	// Weekly, where it is set, takes the place of From and To.
	Weekly *Week
	Reason string
	// Actions narrows it to some actions, as patterns; empty is all.
	Actions []string
	// Then is Refuse where it is empty.
	Then Then
}

// Week is a time of each week, by the clock of a zone: where the clock jumps, so
// does the freeze. From may be later in the week than To.
type Week struct {
	// From and To count minutes from Sunday 00:00.
	From, To int
	Zone     *time.Location
}

const week = 7 * 24 * 60

// ParseWeek reads "Fri 18:00 - Mon 06:00". To is not part of it.
func ParseWeek(text string, zone *time.Location) (*Week, error) {
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		return nil, errors.New(`write it as "Fri 18:00 - Mon 06:00"`)
	}
	w := &Week{Zone: zone}
	var err error
	if w.From, err = minuteOf(from); err != nil {
		return nil, err
	}
	if w.To, err = minuteOf(to); err != nil {
		return nil, err
	}
	if w.From == w.To {
		return nil, errors.New("it begins when it ends")
	}
	return w, nil
}

func minuteOf(text string) (int, error) {
	day, clock, ok := strings.Cut(strings.TrimSpace(text), " ")
	hour, minute, colon := strings.Cut(clock, ":")
	h, herr := strconv.Atoi(hour)
	m, merr := strconv.Atoi(minute)
	if !ok || !colon || len(hour) != 2 || len(minute) != 2 || herr != nil || merr != nil || h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, fmt.Errorf("%q is no day and time such as Fri 18:00", strings.TrimSpace(text))
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(day, d.String()) || strings.EqualFold(day, d.String()[:3]) {
			return int(d)*24*60 + h*60 + m, nil
		}
	}
	return 0, fmt.Errorf("%q is no day of the week such as Fri", day)
}

// holds reports whether a time lies in it, and for how long on by the zone's
// clock.
func (w *Week) holds(now time.Time) (left time.Duration, in bool) {
	at := now.In(w.Zone)
	m := int(at.Weekday())*24*60 + at.Hour()*60 + at.Minute()
	length, since := (w.To-w.From+week)%week, (m-w.From+week)%week
	if since >= length {
		return 0, false
	}
	return time.Duration(length-since)*time.Minute - time.Duration(at.Second())*time.Second, true
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

// ends says when a freeze that holds now is over.
func (f Freeze) ends(now time.Time) (at time.Time, in bool) {
	if f.Weekly != nil {
		left, in := f.Weekly.holds(now)
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
		if until, in := f.ends(now); in {
			return &Refusal{Rule: "freeze", Reason: fmt.Sprintf("changes are frozen until %s: %s", until.UTC().Format(time.RFC3339), f.Reason), Ask: then == AskFirst}
		}
	}
	return nil
}
