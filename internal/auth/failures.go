package auth

import (
	"sync"
	"time"
)

// Failures bounds how often one address may present what is not good. What is
// good is let in however often the address failed before: many people may stand
// behind one proxy, and nobody shall lock them out by guessing. It is safe for
// concurrent use and forgets what is a window old.
type Failures struct {
	most   int
	window time.Duration
	now    func() time.Time

	mu   sync.Mutex
	seen map[string]tally
}

type tally struct {
	count int
	until time.Time
}

// failuresKept bounds the addresses that are remembered; a flood from more of
// them is bounded all together.
const failuresKept = 4096

// NewFailures lets an address fail most times in a window.
func NewFailures(most int, window time.Duration, now func() time.Time) *Failures {
	return &Failures{most: most, window: window, now: now, seen: map[string]tally{}}
}

// Failed counts a failure of an address and reports how long it must wait before
// the next is answered, 0 while it may go on.
func (f *Failures) Failed(address string) time.Duration {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.seen[address]
	if !now.Before(t.until) {
		t = tally{until: now.Add(f.window)}
	}
	t.count++
	if _, known := f.seen[address]; !known && len(f.seen) >= failuresKept {
		f.forget(now)
		if len(f.seen) >= failuresKept {
			return f.window
		}
	}
	f.seen[address] = t
	if t.count > f.most {
		return t.until.Sub(now)
	}
	return 0
}

func (f *Failures) forget(now time.Time) {
	for a, t := range f.seen {
		if !now.Before(t.until) {
			delete(f.seen, a)
		}
	}
}
