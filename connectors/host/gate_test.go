package host

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestGateTurns lets one run with many calls and some runs with one call wait for
// one slot: the small runs are served in the first round.
func TestGateTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 0, 0)
		if !g.try() || g.try() {
			t.Fatal("one slot is one slot")
		}
		var order []string
		var wg sync.WaitGroup
		wait := func(run string) {
			wg.Go(func() {
				if !g.enter(run, nil, nil) {
					t.Error("not let in")
				}
				order = append(order, run) // only one is in
				g.leave()
			})
			synctest.Wait()
		}
		for range 100 {
			wait("big")
		}
		for _, r := range []string{"a", "b", "c"} {
			wait(r)
		}
		g.leave()
		wg.Wait()
		if got := fmt.Sprint(order[:5]); got != "[big a b c big]" || len(order) != 103 || g.taken() != 0 {
			t.Errorf("%s, %d of 103, %d taken", got, len(order), g.taken())
		}
	})
}

// TestGateRate holds calls to the rate after the burst, whoever calls.
func TestGateRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(100, 10, 5)
		begun := time.Now()
		var wg sync.WaitGroup
		for i := range 105 {
			wg.Go(func() {
				if g.enter(fmt.Sprint("run", i%7), nil, nil) {
					time.Sleep(10 * time.Millisecond)
					g.leave()
				}
			})
		}
		wg.Wait()
		if took := time.Since(begun); took < 9900*time.Millisecond || took > 10500*time.Millisecond {
			t.Errorf("105 calls at 10 a second after a burst of 5 took %s", took)
		}
	})
}

// TestGateGone lets callers give up at moments of chance: no slot is lost and
// nobody is forgotten.
func TestGateGone(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		dice := rand.New(rand.NewPCG(seed, 0)) // it must be repeatable
		g := newGate(3, 200, 4)
		var wg sync.WaitGroup
		for i := range 500 {
			patience, work := time.Duration(dice.IntN(4000))*time.Millisecond, time.Duration(dice.IntN(20))*time.Millisecond
			wg.Go(func() {
				done := make(chan struct{})
				stop := time.AfterFunc(patience, func() { close(done) })
				defer stop.Stop()
				if g.enter(fmt.Sprint(i%9), done, nil) {
					if g.taken() > 3 {
						t.Error("more in than there are slots")
					}
					time.Sleep(work)
					g.leave()
				}
			})
		}
		wg.Wait()
		if g.taken() != 0 {
			t.Errorf("%d slots are lost", g.taken())
		}
		time.Sleep(time.Second)
		for range 3 {
			if !g.try() {
				t.Error("a free slot is not given")
			}
		}
	})
}
