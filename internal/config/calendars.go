package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/calendar"
)

// Calendar is business hours.
type Calendar struct {
	// Zone is an IANA name such as Europe/Berlin.
	Zone string `yaml:"zone"`
	// Hours are spans such as 08:00-18:00 by weekday (mon), range of weekdays
	// (mon-fri) or daily. A span may end after midnight.
	Hours map[string][]string `yaml:"hours"`
	// Holidays are days without hours: 2026-12-25, or 12-25 for every year.
	Holidays []string `yaml:"holidays"`
}

// Rotation is a duty that goes round.
type Rotation struct {
	Zone string `yaml:"zone"`
	// Starts is the local time of the first hand-over: 2026-01-05T09:00.
	Starts string `yaml:"starts"`
	// Every is how long a turn is, in whole days: 7d.
	Every string `yaml:"every"`
	// Turns are the people of each turn, in order.
	Turns [][]string `yaml:"turns"`
}

// Read makes the calendar of a name.
func (c Calendar) Read(name string) (*calendar.Calendar, error) {
	return calendar.New(name, c.Zone, c.Hours, c.Holidays)
}

// Read makes the rotation.
func (r Rotation) Read() (*calendar.Rotation, error) {
	v, err := kind.Parse(kind.Of(kind.Duration), r.Every)
	if err != nil {
		return nil, fmt.Errorf("every %q is no duration; write whole days, such as 7d", r.Every)
	}
	d, _ := v.(time.Duration)
	return calendar.NewRotation(r.Zone, r.Starts, d, r.Turns)
}

// hours checks calendars and rotations.
func (k *checker) hours(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Calendars)) {
		path := "calendars." + name
		k.name(path, name)
		if _, err := c.Calendars[name].Read(name); err != nil {
			k.bad(path, "", "%v", err)
		}
	}
	for _, duty := range slices.Sorted(maps.Keys(c.Rotations)) {
		path, r := "rotations."+duty, c.Rotations[duty]
		k.name(path, duty)
		if _, err := r.Read(); err != nil {
			k.bad(path, "", "%v", err)
		}
		for i, turn := range r.Turns {
			for j, p := range turn {
				if !personForm.MatchString(p) {
					k.bad(path+".turns."+strconv.Itoa(i)+"."+strconv.Itoa(j), "write alice, user:alice or local:1000", "%s is no person", short(p))
				}
			}
		}
	}
}
