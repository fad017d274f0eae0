package host

import (
	"sync"
	"time"
)

// maxPause bounds what a vendor, or a hostile connector, can ask for.
const maxPause = time.Hour

// pause holds calls back after a vendor's rate limit was hit.
type pause struct {
	mu    sync.Mutex
	until time.Time
}

// extend pauses for d from now, unless it lasts longer already.
func (p *pause) extend(now time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := now.Add(min(d, maxPause)); until.After(p.until) {
		p.until = until
	}
}

// left is how long calls have to wait from now on, at least 0.
func (p *pause) left(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.until.Sub(now))
}

// shown is the end of the pause, zero where there is none.
func (p *pause) shown(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.After(now) {
		return p.until
	}
	return time.Time{}
}
