package subject

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

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

// Holds reports whether a time lies in it, and for how long on by the zone's
// clock.
func (w *Week) Holds(now time.Time) (left time.Duration, in bool) {
	at := now.In(w.Zone)
	m := int(at.Weekday())*24*60 + at.Hour()*60 + at.Minute()
	length, since := (w.To-w.From+week)%week, (m-w.From+week)%week
	if since >= length {
		return 0, false
	}
	return time.Duration(length-since)*time.Minute - time.Duration(at.Second())*time.Second, true
}
