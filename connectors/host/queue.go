package host

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// mostAttending is how many pieces of work are at an instance at once, with or
	// without a slot: enough to keep all its slots busy. Of each run ownAttending may
	// be there whatever others do.
	mostAttending = 100
	ownAttending  = 2
	// leastAway and mostAway bound for how long work is sent away.
	leastAway = 2 * time.Second
	mostAway  = time.Minute
)

// queue bounds the work at an instance. Work that waits costs: a place in the worker
// that runs it, and heartbeats. Where a vendor hangs and runs want a thousand calls of
// it, those of other vendors would have neither; so what is too much goes away and
// comes back about when its turn would have come.
type queue struct {
	mu sync.Mutex
	in int
	// runs counts what is there by run.
	runs map[string]int
	// pace is the mean time from one end to the next, ended when the last one was.
	pace  time.Duration
	ended time.Time
	// next is when the last one that was sent away comes back.
	next time.Time
}

func newQueue(slots int) *queue {
	return &queue{runs: map[string]int{}, pace: time.Second / time.Duration(max(1, slots))}
}

// join takes a place for a run, or says for how long to go away.
func (q *queue) join(run string, now time.Time) (wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.in < mostAttending || q.runs[run] < ownAttending {
		q.in++
		q.runs[run]++
		return 0
	}
	if first := now.Add(leastAway); q.next.Before(first) {
		q.next = first
	}
	q.next = q.next.Add(q.pace)
	if wait = q.next.Sub(now); wait > mostAway { // so many that they would all come at once
		q.next = now.Add(mostAway)
		wait = mostAway/2 + rand.N(mostAway/2) //nolint:gosec // it only spreads the tries
	}
	return wait
}

// leave gives a place back.
func (q *queue) leave(run string, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.in--
	if q.runs[run]--; q.runs[run] == 0 {
		delete(q.runs, run)
	}
	if !q.ended.IsZero() {
		const weight = 10
		q.pace += (min(now.Sub(q.ended), mostAway) - q.pace) / weight
	}
	q.ended = now
}

// Attend takes a place at an instance for work that is about to call it, on behalf of
// a run (ForRun). Where wait is above 0 there is none: the work had better come again
// after that. Nothing depends on a place: a call without one waits as any other. done
// is never nil and may be called once.
func (h *Host) Attend(ctx context.Context, instance string) (done func(), wait time.Duration) {
	i, ok := h.byName[instance]
	if !ok {
		return func() {}, 0
	}
	run := runOf(ctx)
	if wait = i.queue.join(run, h.opts.Clock()); wait > 0 {
		return func() {}, wait
	}
	return func() { i.queue.leave(run, h.opts.Clock()) }, 0
}
