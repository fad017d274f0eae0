package rest

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Form is how a header tells when to come back.
type Form int

// The dialects of the vendors. A vendor that says nothing has no LimitHeader.
const (
	// Delay is seconds from now, or an HTTP date: Retry-After as the standard
	// has it.
	Delay Form = iota
	// Epoch is a moment in seconds since 1970, as Falcon, Okta and GitHub write.
	Epoch
	// ISO is a moment in RFC 3339, as Jira writes.
	ISO
)

// LimitHeader is one header that may tell when to come back.
type LimitHeader struct {
	Name string
	Form Form
}

// Bounds of what is believed of a vendor, and what is taken where it is silent.
const (
	leastWait  = 100 * time.Millisecond
	mostWait   = time.Hour
	silentWait = 5 * time.Second
)

// Wait reads how long a rate-limited caller shall stay away. The first header
// that can be read counts. Moments are taken against the reply's own Date, so a
// clock that is wrong here does no harm.
func Wait(headers []LimitHeader, h http.Header, now time.Time) time.Duration {
	if d, err := http.ParseTime(h.Get("Date")); err == nil {
		now = d
	}
	for _, l := range headers {
		if d, ok := l.Form.read(strings.TrimSpace(h.Get(l.Name)), now); ok {
			return min(max(d, leastWait), mostWait)
		}
	}
	return silentWait
}

func (f Form) read(s string, now time.Time) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	if f == ISO {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
			if at, err := time.Parse(layout, s); err == nil {
				return at.Sub(now), true
			}
		}
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		at, err := http.ParseTime(s)
		return at.Sub(now), err == nil && f == Delay
	}
	if math.IsNaN(n) || n < 0 || n > math.MaxInt32*4 {
		return 0, false
	}
	if f == Epoch {
		return time.UnixMilli(int64(n * 1000)).Sub(now), true
	}
	return min(time.Duration(n*float64(time.Second)), mostWait), true
}
