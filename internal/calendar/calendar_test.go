package calendar

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNext(t *testing.T) {
	desk, err := New("desk", "Europe/Berlin", map[string][]string{"mon-fri": {"08:00-12:00", "13:00-18:00"}, "sat": {"22:00-02:00"}},
		[]string{"2026-12-25", "01-01"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, want string }{
		{"2026-11-18T09:00:00Z", "2026-11-18T09:00:00Z"}, // Wednesday 10:00
		{"2026-11-18T11:30:00Z", "2026-11-18T12:00:00Z"}, // the lunch hour
		{"2026-11-18T17:00:00Z", "2026-11-19T07:00:00Z"}, // 18:00 is closed
		{"2026-11-21T00:00:00Z", "2026-11-21T21:00:00Z"}, // Saturday: the late span
		{"2026-11-22T00:59:59Z", "2026-11-22T00:59:59Z"}, // which reaches into Sunday
		{"2026-11-22T01:00:00Z", "2026-11-23T07:00:00Z"}, // and ends there
		{"2026-12-24T17:00:00Z", "2026-12-26T21:00:00Z"}, // Friday is a holiday
		{"2026-12-31T23:30:00Z", "2027-01-02T21:00:00Z"}, // a holiday of every year
		{"2026-03-28T20:00:00Z", "2026-03-28T21:00:00Z"}, // the clock goes forward that night
		{"2026-03-29T01:00:00Z", "2026-03-30T06:00:00Z"}, // and Monday is in summer time
		{"2026-10-24T23:30:00Z", "2026-10-24T23:30:00Z"}, // 01:30, before the clock goes back
		{"2026-10-25T01:30:00Z", "2026-10-26T07:00:00Z"}, // 02:30 for the second time
	} {
		got, ok, err := desk.Next(at(t, c.from))
		want := at(t, c.want)
		if err != nil || !ok || !got.Equal(want) {
			t.Errorf("from %s: %s %v %v, want %s", c.from, got.Format(time.RFC3339), ok, err, want.Format(time.RFC3339))
		}
	}
}

// TestNextHolds checks on random calendars that what Next gives is open, and
// that nothing before it is.
func TestNextHolds(t *testing.T) {
	const seed = 7
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	for range 200 {
		c := &Calendar{Zone: []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"}[r.IntN(4)]}
		for d := range c.Week {
			for range r.IntN(3) {
				if s := (Span{r.IntN(1440), 1 + r.IntN(1440)}); s.Start != s.End {
					c.Week[d] = append(c.Week[d], s)
				}
			}
		}
		from := time.Unix(1_700_000_000+r.Int64N(100_000_000), 0)
		got, ok, err := c.Next(from)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		if open, _ := c.Open(got); !open || got.Before(from) {
			t.Fatalf("%+v from %s: %s is not open", c, from, got)
		}
		for range 20 {
			if gap := got.Sub(from); gap > 0 {
				if open, _ := c.Open(from.Add(time.Duration(r.Int64N(int64(gap))))); open {
					t.Fatalf("%+v: open between %s and %s", c, from, got)
				}
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	week := map[string][]string{"daily": {"08:00-18:00"}}
	for _, c := range []struct {
		zone     string
		hours    map[string][]string
		holidays []string
		want     string
	}{
		{"", week, nil, "zone"},
		{"Local", week, nil, "zone"},
		{"Mars/Olympus", week, nil, "Mars"},
		{"UTC", nil, nil, "no hours"},
		{"UTC", map[string][]string{"monday": {"08:00-18:00"}}, nil, "monday"},
		{"UTC", map[string][]string{"mon": {"8-18"}}, nil, "8-18"},
		{"UTC", map[string][]string{"mon": {"08:00-08:00"}}, nil, "08:00-08:00"},
		{"UTC", week, []string{"2026-02-30"}, "2026-02-30"},
	} {
		if _, err := New("x", c.zone, c.hours, c.holidays); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestDigest(t *testing.T) {
	a, _ := New("x", "UTC", map[string][]string{"mon-wed": {"08:00-18:00"}, "thu": {"09:00-10:00"}}, []string{"12-25", "01-01"})
	b, _ := New("x", "UTC", map[string][]string{"thu": {"09:00-10:00"}, "mon": {"08:00-18:00"}, "tue-wed": {"08:00-18:00"}}, []string{"01-01", "12-25"})
	c, _ := New("x", "UTC", map[string][]string{"thu": {"09:00-10:01"}}, nil)
	if a.Digest() != b.Digest() || a.Digest() == c.Digest() {
		t.Error("the digest does not say what the calendar says")
	}
}

func TestRotation(t *testing.T) {
	r, err := NewRotation("Europe/Berlin", "2026-03-23T09:00", 7*24*time.Hour, [][]string{{"ann"}, {"ben", "cem"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ at, want, next string }{
		{"2026-03-23T07:59:59Z", "", "2026-03-23T08:00:00Z"},
		{"2026-03-23T08:00:00Z", "ann", "2026-03-30T07:00:00Z"}, // summer time begins on the 29th
		{"2026-03-30T06:59:59Z", "ann", "2026-03-30T07:00:00Z"},
		{"2026-03-30T07:00:00Z", "ben cem", "2026-04-06T07:00:00Z"},
		{"2026-04-06T07:00:00Z", "ann", "2026-04-13T07:00:00Z"},
	} {
		if got := strings.Join(r.On(at(t, c.at)), " "); got != c.want || !r.Next(at(t, c.at)).Equal(at(t, c.next)) {
			t.Errorf("at %s: %q until %s", c.at, got, r.Next(at(t, c.at)))
		}
	}
}
