package dispatch

import (
	"context"
	"sync"
	"time"
)

// mostErrands is how many workflows are told of something at once.
const mostErrands = 64

// A workflow that could not be told is left alone for a while, longer each time.
const (
	firstRest = 500 * time.Millisecond
	lastRest  = 5 * time.Second
)

// errands tell workflows things, each workflow in a goroutine of its own and of
// one thing at a time: one that does not answer, because its workflow task fails
// again and again, holds up no other. What they did not get told stands in the
// store, and the next scan brings it again.
type errands struct {
	again func()
	slots chan struct{}

	mu   sync.Mutex
	out  map[string]bool // those under way; true where more came meanwhile
	rest map[string]rested
	wg   sync.WaitGroup
}

// rested is a workflow that could not be told, and until when it is left alone.
type rested struct {
	until time.Time
	next  time.Duration
}

func newErrands(again func()) *errands {
	return &errands{again: again, slots: make(chan struct{}, mostErrands), out: map[string]bool{}, rest: map[string]rested{}}
}

// run calls f in the background, where nothing is told to the workflow already and
// it need not be left alone. It waits for one of the slots at most.
func (e *errands) run(ctx context.Context, workflow string, f func() error) {
	if !e.take(workflow) {
		return
	}
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		e.done(workflow, nil)
		return
	}
	e.wg.Go(func() {
		err := f()
		<-e.slots
		e.done(workflow, err)
	})
}

func (e *errands) take(workflow string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, busy := e.out[workflow]; busy {
		e.out[workflow] = true
		return false
	}
	if time.Now().Before(e.rest[workflow].until) {
		return false
	}
	e.out[workflow] = false
	return true
}

func (e *errands) done(workflow string, err error) {
	e.mu.Lock()
	more := e.out[workflow]
	delete(e.out, workflow)
	if err == nil {
		delete(e.rest, workflow)
	} else {
		wait := max(firstRest, e.rest[workflow].next)
		e.rest[workflow] = rested{time.Now().Add(wait), min(2*wait, lastRest)}
		more = false
	}
	e.mu.Unlock()
	if more {
		e.again()
	}
}
