package host

import (
	"sync"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
)

// Circuit says whether calls go out to a vendor that keeps failing.
type Circuit string

// The states of a circuit.
const (
	// CircuitClosed: calls go out.
	CircuitClosed Circuit = "closed"
	// CircuitOpen: the vendor failed too often at a stretch; nothing goes out for a
	// while.
	CircuitOpen Circuit = "open"
	// CircuitHalfOpen: one call tries whether the vendor answers again.
	CircuitHalfOpen Circuit = "half-open"
)

// probeWait is how soon a call looks again while another one tries the vendor.
const probeWait = 100 * time.Millisecond

// circuit holds calls back from a vendor that does not answer, so that they do
// not fill the slots with waiting. Failures at a stretch open it, for a time that
// doubles as long as the vendor stays away; then one call tries.
type circuit struct {
	limit       int
	first, most time.Duration

	mu       sync.Mutex
	failures int
	// opened counts the times that it opened since the vendor last answered.
	opened  int
	until   time.Time
	probing bool
	why     string
}

// enter asks whether a call may go out. With left above 0 it may not, and comes
// back after that. probe says that this call tries for all: its end must be told
// by record.
func (c *circuit) enter(now time.Time, mayProbe bool) (left time.Duration, probe bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.until.IsZero():
		return 0, false
	case now.Before(c.until):
		return c.until.Sub(now), false
	case c.probing, !mayProbe:
		return probeWait, false
	}
	c.probing = true
	return 0, true
}

// verdict is what the end of a call says about the vendor.
type verdict int

const (
	silent   verdict = iota // nothing: it never left, or the process died
	answered                // the vendor is there, whatever it said
	failing                 // no answer, or one that says that it is in trouble
)

// judge reads the end of a call that reached the connector.
func judge(err *spec.Error) verdict {
	switch {
	case err == nil:
		return answered
	case err.Kind == spec.Transient, err.Kind == spec.Uncertain, err.Kind == spec.Unavailable:
		return failing
	case err.Kind == spec.RateLimited, err.Kind == spec.Internal:
		return silent
	}
	return answered
}

// record takes the end of a call. It returns true when the circuit opened or
// closed by it.
func (c *circuit) record(now time.Time, v verdict, probe bool, why string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if probe {
		c.probing = false
	}
	switch v {
	case answered:
		was := !c.until.IsZero()
		if was && !probe { // a call from before it opened
			return false
		}
		c.failures, c.opened, c.until, c.why = 0, 0, time.Time{}, ""
		return was
	case failing:
		if !c.until.IsZero() && !probe {
			return false
		}
		if c.failures++; c.failures < c.limit && !probe {
			return false
		}
		c.why = why
		c.until = now.Add(min(c.first<<min(c.opened, 16), c.most))
		c.opened++
		return true
	}
	return false
}

// left is how long it stays open.
func (c *circuit) left(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(0, c.until.Sub(now))
}

// shown is the state for people: until when it is open, and why.
func (c *circuit) shown(now time.Time) (Circuit, time.Time, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.until.IsZero():
		return CircuitClosed, time.Time{}, ""
	case now.Before(c.until):
		return CircuitOpen, c.until, c.why
	}
	return CircuitHalfOpen, time.Time{}, c.why
}
