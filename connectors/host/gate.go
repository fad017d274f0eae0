package host

import (
	"context"
	"sync"
	"time"
)

// runKey is the context key of ForRun.
type runKey struct{}

// ForRun names the run on whose behalf calls are made with this context. Where
// calls wait for a slot or for the rate, the runs take turns.
func ForRun(ctx context.Context, run string) context.Context {
	return context.WithValue(ctx, runKey{}, run)
}

func runOf(ctx context.Context) string {
	run, _ := ctx.Value(runKey{}).(string)
	return run
}

// gate bounds the calls at once and the calls a second of one instance. Who waits
// is let in by turns between runs, and in order within a run: a run with a
// thousand calls does not keep one with a single call waiting.
type gate struct {
	slots int
	// rate is calls a second, 0 for any number; burst how many at once after quiet.
	rate, burst float64

	mu     sync.Mutex
	used   int
	tokens float64
	filled time.Time
	// waiting holds those who wait by run, turns the runs in their order.
	waiting map[string][]*waiter
	turns   []string
	timer   *time.Timer
}

// waiter is a call that waits at the gate; in is closed when it may pass.
type waiter struct {
	in   chan struct{}
	gone bool
}

func newGate(slots int, rate float64, burst int) *gate {
	g := &gate{slots: slots, rate: rate, burst: float64(max(burst, 1)), filled: time.Now(), waiting: map[string][]*waiter{}}
	g.tokens = g.burst
	return g
}

// try passes at once or not at all.
func (g *gate) try() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.turns) == 0 && g.pass()
}

// enter waits for its turn. It reports false when one of the channels was closed
// first. Who entered must leave.
func (g *gate) enter(run string, done, closing <-chan struct{}) bool {
	g.mu.Lock()
	if len(g.turns) == 0 && g.pass() {
		g.mu.Unlock()
		return true
	}
	w := &waiter{in: make(chan struct{})}
	if len(g.waiting[run]) == 0 {
		g.turns = append(g.turns, run)
	}
	g.waiting[run] = append(g.waiting[run], w)
	g.admit()
	g.mu.Unlock()
	select {
	case <-w.in:
		return true
	case <-done:
	case <-closing:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.in: // let in at the same moment
		g.used--
		g.admit()
	default:
		w.gone = true
	}
	return false
}

// leave gives the slot back.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used--
	g.admit()
}

// unspent gives back a slot whose call was not made, and what it took of the rate.
func (g *gate) unspent() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used--
	g.tokens = min(g.burst, g.tokens+1)
	g.admit()
}

// taken is how many slots are in use.
func (g *gate) taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.used
}

// pass takes a slot and a share of the rate, if both are there. The caller has
// the lock.
func (g *gate) pass() bool {
	if g.used >= g.slots {
		return false
	}
	if g.rate > 0 {
		now := time.Now()
		g.tokens = min(g.burst, g.tokens+now.Sub(g.filled).Seconds()*g.rate)
		g.filled = now
		if g.tokens < 1 {
			return false
		}
		g.tokens--
	}
	g.used++
	return true
}

// admit lets in whoever may pass, by turns. The caller has the lock.
func (g *gate) admit() {
	for len(g.turns) > 0 {
		run := g.turns[0]
		list := g.waiting[run]
		for len(list) > 0 && list[0].gone {
			list = list[1:]
		}
		if len(list) == 0 {
			delete(g.waiting, run)
			g.turns = g.turns[1:]
			continue
		}
		if !g.pass() {
			g.waiting[run] = list
			g.later()
			return
		}
		close(list[0].in)
		g.turns = g.turns[1:]
		if list = list[1:]; len(list) == 0 {
			delete(g.waiting, run)
			continue
		}
		g.waiting[run] = list
		g.turns = append(g.turns, run)
	}
}

// later comes back when the rate allows the next call; a slot that becomes free
// comes by itself. The caller has the lock.
func (g *gate) later() {
	if g.rate <= 0 || g.used >= g.slots || g.timer != nil {
		return
	}
	wait := time.Duration((1 - g.tokens) / g.rate * float64(time.Second))
	g.timer = time.AfterFunc(max(wait, time.Millisecond), func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.timer = nil
		g.admit()
	})
}
