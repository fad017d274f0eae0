package calendar

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the same rules on every machine
)

// Calendar is business hours. Its JSON is what a run keeps.
type Calendar struct {
	Name string `json:"name"`
	// Zone is an IANA name such as Europe/Berlin.
	Zone string `json:"zone"`
	// Week has the spans of each weekday, from Sunday (0) on, in the order of the
	// day.
	Week [7][]Span `json:"week"`
	// Holidays are days on which nothing opens: YYYY-MM-DD, or MM-DD for every
	// year; sorted.
	Holidays []string `json:"holidays,omitempty"`
}

// Span is a time of a day, in minutes since its midnight. One whose End is not
// after its Start goes on into the next day; End may be 1440.
type Span struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// days are the names of weekdays, as time.Weekday counts them.
var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// horizon is how far Next looks ahead.
const horizon = 400

// New reads a calendar as the configuration writes it: hours by weekday ("mon"),
// range of weekdays ("mon-fri") or "daily", as "08:00-18:00".
func New(name, zone string, hours map[string][]string, holidays []string) (*Calendar, error) {
	c := &Calendar{Name: name, Zone: zone, Holidays: slices.Sorted(slices.Values(holidays))}
	if _, err := location(zone); err != nil {
		return nil, err
	}
	for _, h := range c.Holidays {
		if !holiday(h) {
			return nil, fmt.Errorf("holiday %q is no day; write 2026-12-25, or 12-25 for every year", h)
		}
	}
	for key, list := range hours {
		on, err := weekdays(key)
		if err != nil {
			return nil, err
		}
		for _, text := range list {
			s, err := span(text)
			if err != nil {
				return nil, err
			}
			for _, d := range on {
				c.Week[d] = append(c.Week[d], s)
			}
		}
	}
	open := 0
	for d := range c.Week {
		slices.SortFunc(c.Week[d], func(a, b Span) int { return a.Start - b.Start })
		open += len(c.Week[d])
	}
	if open == 0 {
		return nil, errors.New("it has no hours: nothing that waits for it would ever go on")
	}
	return c, nil
}

// location loads a zone. Local is refused: it is another place on each machine.
func location(zone string) (*time.Location, error) {
	if zone == "" || zone == "Local" {
		return nil, errors.New("it needs a zone such as Europe/Berlin or UTC")
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("there is no zone %q; names are those of the IANA database, such as Europe/Berlin", zone)
	}
	return loc, nil
}

func holiday(text string) bool {
	if len(text) == len("12-25") {
		text = "2024-" + text // a leap year: 02-29 is a day
	}
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

// weekdays reads "mon", "mon-fri" or "daily".
func weekdays(key string) ([]int, error) {
	if key == "daily" {
		return []int{0, 1, 2, 3, 4, 5, 6}, nil
	}
	from, to, ranged := strings.Cut(key, "-")
	a := slices.Index(days, from)
	b := a
	if ranged {
		b = slices.Index(days, to)
	}
	if a < 0 || b < 0 {
		return nil, fmt.Errorf("%q is no weekday; write mon, mon-fri or daily", key)
	}
	out := []int{a}
	for d := a; d != b; {
		d = (d + 1) % len(days)
		out = append(out, d)
	}
	return out, nil
}

// span reads "08:00-18:00".
func span(text string) (Span, error) {
	from, to, ok := strings.Cut(text, "-")
	a, errA := minutes(from)
	b, errB := minutes(to)
	if !ok || errA != nil || errB != nil || a == b || a == 24*60 {
		return Span{}, fmt.Errorf("%q is no span of hours; write 08:00-18:00", text)
	}
	return Span{Start: a, End: b}, nil
}

func minutes(text string) (int, error) {
	if text = strings.TrimSpace(text); text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != 5 {
		return 0, errors.New("no time of day")
	}
	return t.Hour()*60 + t.Minute(), nil
}

// Digest is the SHA-256 of what the calendar says, in hex.
func (c *Calendar) Digest() string {
	raw, err := json.Marshal(c)
	if err != nil { // plain data: it cannot fail
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Next is the first moment from t on at which the calendar is open: t itself
// where it is open now. ok is false where there is none within a year.
func (c *Calendar) Next(t time.Time) (at time.Time, ok bool, err error) {
	loc, err := location(c.Zone)
	if err != nil {
		return time.Time{}, false, err
	}
	local := t.In(loc)
	// From the day before: its last span may reach into this one.
	for d := -1; d < horizon; d++ {
		day := time.Date(local.Year(), local.Month(), local.Day()+d, 0, 0, 0, 0, loc)
		if c.closed(day) {
			continue
		}
		for _, s := range c.Week[day.Weekday()] {
			from, to := s.on(day)
			if !from.Before(to) || !t.Before(to) {
				continue
			}
			if from.Before(t) {
				from = t
			}
			if !ok || from.Before(at) {
				at, ok = from, true
			}
		}
		if ok && day.After(local) {
			break
		}
	}
	return at.UTC(), ok, nil
}

// Open reports whether the calendar is open at t.
func (c *Calendar) Open(t time.Time) (bool, error) {
	at, ok, err := c.Next(t)
	return ok && at.Equal(t), err
}

func (c *Calendar) closed(day time.Time) bool {
	for _, text := range []string{day.Format(time.DateOnly), day.Format("01-02")} {
		if _, found := slices.BinarySearch(c.Holidays, text); found {
			return true
		}
	}
	return false
}

// on gives the span of one day as moments. Where a clock is put forward, a time
// that the day does not have is the same time after.
func (s Span) on(day time.Time) (from, to time.Time) {
	at := func(day time.Time, m int) time.Time {
		return time.Date(day.Year(), day.Month(), day.Day(), m/60, m%60, 0, 0, day.Location())
	}
	from = at(day, s.Start)
	if s.End > s.Start {
		return from, at(day, s.End)
	}
	return from, at(day.AddDate(0, 0, 1), s.End)
}
