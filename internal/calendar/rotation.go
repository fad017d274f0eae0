package calendar

import (
	"errors"
	"fmt"
	"time"
)

// Rotation is a duty that goes round: each of Turns has it for Every, the first
// from Starts on. Hand-overs stay at the same local hour when clocks change.
type Rotation struct {
	zone  *time.Location
	first time.Time
	days  int
	turns [][]string
}

// NewRotation reads a rotation as the configuration writes it. starts is the
// local time of the first hand-over, 2026-01-05T09:00; every is whole days.
func NewRotation(zone, starts string, every time.Duration, turns [][]string) (*Rotation, error) {
	loc, err := location(zone)
	if err != nil {
		return nil, err
	}
	first, err := time.ParseInLocation("2006-01-02T15:04", starts, loc)
	if err != nil {
		return nil, fmt.Errorf("starts %q is no local time; write 2026-01-05T09:00", starts)
	}
	const day = 24 * time.Hour
	if every < day || every%day != 0 {
		return nil, errors.New("every must be whole days, such as 7d")
	}
	if len(turns) == 0 {
		return nil, errors.New("it has no turns: nobody would ever have the duty")
	}
	for i, t := range turns {
		if len(t) == 0 {
			return nil, fmt.Errorf("turn %d has nobody", i+1)
		}
	}
	return &Rotation{zone: loc, first: first, days: int(every / day), turns: turns}, nil
}

// On lists who has the duty at t; before the first hand-over nobody has.
func (r *Rotation) On(t time.Time) []string {
	if t.Before(r.first) {
		return nil
	}
	local := t.In(r.zone)
	// Days are counted on the calendar, not by 24 hours.
	n := civilDays(local) - civilDays(r.first)
	if clock(local) < clock(r.first) {
		n--
	}
	return r.turns[(n/r.days)%len(r.turns)]
}

// Next is when the duty is next handed over after t.
func (r *Rotation) Next(t time.Time) time.Time {
	if t.Before(r.first) {
		return r.first.UTC()
	}
	local := t.In(r.zone)
	n := civilDays(local) - civilDays(r.first)
	if clock(local) < clock(r.first) {
		n--
	}
	turn := n/r.days + 1
	f := r.first
	return time.Date(f.Year(), f.Month(), f.Day()+turn*r.days, f.Hour(), f.Minute(), 0, 0, r.zone).UTC()
}

func civilDays(t time.Time) int {
	return int(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func clock(t time.Time) int { return t.Hour()*60 + t.Minute() }
