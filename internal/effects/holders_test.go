package effects_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
)

// TestHolders has hosts held by several runs.
func TestHolders(t *testing.T) {
	none := guard.Rules{}
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		row(t, fmt.Sprintf("two runs, undone in order %v: one release, by the last, to the first state", order), none, func(h *house) {
			runs := []effects.Intent{do("r1", 1, isolate(), "a"), do("r2", 1, isolate(), "a")}
			h.done(runs[0], spec.Done, `{"first":1}`)
			h.done(runs[1], spec.Already, `{"second":2}`)
			h.eq(h.holders("a"), []string{runs[0].Key.String(), runs[1].Key.String()})
			first, last := runs[order[0]], runs[order[1]]
			h.settled(undo(first, 1), effects.Skipped)
			h.eq(h.holders("a"), []string{last.Key.String()})
			p := h.goes(undo(last, 1))
			h.eq(string(p.Prior), `{"first":1}`)
			h.eq(len(h.holders("a")), 1)
			h.settle(p, effects.Result{Outcome: spec.Done})
			h.eq(len(h.holders("a")), 0)
			h.settled(undo(last, 2), effects.Skipped) // it was taken back before
		})
	}
	row(t, "foreign already is not held, its undo is nothing", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		h.done(in, spec.Already, `{}`)
		h.eq(len(h.holders("a")), 0)
		h.settled(undo(in, 1), effects.Skipped)
		bare := do("r2", 1, isolate())
		h.done(bare, spec.Already, `{}`)
		h.settled(undo(bare, 1), effects.Skipped)
	})
	row(t, "contain, undo, contain again", none, func(h *house) {
		one, two := do("r1", 1, isolate(), "a"), do("r1", 2, isolate(), "a")
		h.done(one, spec.Done, `{"n":1}`)
		h.done(undo(one, 1), spec.Done, ``)
		h.settled(one, effects.Done) // the old key is history
		h.done(two, spec.Done, `{"n":2}`)
		h.eq(h.holders("a"), []string{two.Key.String()})
		h.eq(string(h.goes(undo(two, 1)).Prior), `{"n":2}`)
	})
	row(t, "answer lost after it was there before: not ours", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		in.Before = spec.Present
		h.goes(in)
		h.clock.add(deadline + settling)
		h.eq(h.conclude(h.backs(in), spec.Present).Outcome, effects.Already)
		h.eq(len(h.holders("a")), 0)
	})
	row(t, "an undo that failed keeps the hold", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		h.done(in, spec.Done, `{}`)
		h.settle(h.goes(undo(in, 1)), effects.Result{Err: spec.Errorf(spec.Permission, "no")})
		h.eq(len(h.holders("a")), 1)
		h.settle(h.goes(undo(in, 2)), effects.Result{Err: spec.Errorf(spec.Transient, "busy")})
		h.done(do("r2", 1, isolate(), "a"), spec.Already, ``)
		h.settled(undo(in, 2), effects.Skipped) // meanwhile r2 holds it too
	})
	row(t, "shared and own targets in one undo", none, func(h *house) {
		both, one := do("r1", 1, isolate(), "a", "b"), do("r2", 1, isolate(), "b")
		h.done(both, spec.Done, `{}`)
		h.done(one, spec.Already, `{}`)
		p := h.goes(undo(both, 1))
		h.eq(p.Targets, hosts("a"))
		h.eq(h.holders("b"), []string{one.Key.String()})
		q := h.goes(undo(one, 1)) // the last holder of b, while a is under way
		h.eq(q.Targets, hosts("b"))
		h.settle(p, effects.Result{Outcome: spec.Done})
		h.settle(q, effects.Result{Outcome: spec.Done})
		h.eq(len(h.holders("a"))+len(h.holders("b")), 0)
	})
	row(t, "a partial effect holds what it reached", none, func(h *house) {
		in := do("r1", 1, isolate(), "a", "b")
		h.settle(h.goes(in), effects.Result{Outcome: spec.Partial, Failed: map[string]string{"b": "offline"}})
		h.eq([]int{len(h.holders("a")), len(h.holders("b"))}, []int{1, 0})
		h.eq(h.goes(undo(in, 1)).Targets, hosts("a"))
	})
	row(t, "another tenant's effect is not there", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		h.done(in, spec.Done, `{}`)
		u := undo(in, 1)
		u.Key.Tenant = "other"
		h.settled(u, effects.Skipped)
		h.eq(len(h.holders("a")), 1)
	})
}

// TestTargetLock keeps two effects off one target.
func TestTargetLock(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		one, two := do("r1", 1, isolate(), "a", "b"), do("r2", 1, isolate(), "c", "b")
		p := h.goes(one)
		h.waits(two)
		h.goes(do("r3", 1, isolate(), "c")) // a waiting effect blocks nothing
		h.settle(p, effects.Result{Outcome: spec.Done})
		h.waits(two)
		h.waits(do("r3", 1, isolate(), "c"))
		u := undo(one, 1)
		q := h.goes(u)
		h.waits(two)
		h.waits(u)
		h.settle(q, effects.Result{Err: spec.Errorf(spec.Transient, "busy")})
		h.waits(two) // c is still r3's
		h.goes(u)
	})
}

// TestResolve takes a person's word for what is unknown.
func TestResolve(t *testing.T) {
	once := isolate()
	once.Class, once.ReadBack = spec.Once, spec.NoReadBack
	each(t, guard.Rules{}, func(h *house) {
		unknown := func(i int) effects.Intent {
			in := do(fmt.Sprint("r", i), 1, once, fmt.Sprint("h", i))
			h.goes(in)
			h.clock.add(deadline + settling)
			h.eq(h.conclude(h.backs(in), spec.Unsure).Outcome, effects.Unknown)
			return in
		}
		for i, as := range []string{"done", "not_done", "by_hand", "skipped"} {
			in := unknown(i)
			key := in.Key.String()
			h.settled(undo(in, 1), effects.Skipped)
			for range 2 {
				if err := h.fx.Resolve(h.ctx, key, as, "ann", "looked"); err != nil {
					h.Fatal(err)
				}
			}
			if err := h.fx.Resolve(h.ctx, key, "other", "ann", ""); !errors.Is(err, effects.ErrNotUnknown) {
				h.Fatal(err)
			}
			stack, err := h.fx.Stack(h.ctx, "t", fmt.Sprint("r", i), nil)
			if err != nil {
				h.Fatal(err)
			}
			held := len(h.holders(fmt.Sprint("h", i)))
			want := map[string]int{"done": 1}[as]
			h.eq([]int{held, len(stack)}, []int{want, want})
			h.eq(h.entries(key)[2:], []string{"effect.resolved"})
		}
		if err := h.fx.Resolve(h.ctx, unknown(9).Key.String(), "perhaps", "ann", ""); err == nil {
			h.Fatal("any word was taken")
		}
		if err := h.fx.Resolve(h.ctx, "t|no|such||do|1", "done", "ann", ""); !errors.Is(err, effects.ErrNotFound) {
			h.Fatal(err)
		}
	})
}

// TestGuards has every guard refuse doing, and none refuse taking back.
func TestGuards(t *testing.T) {
	rules := guard.Rules{Protected: []string{"dc"}, Freezes: []guard.Freeze{{From: epoch.Add(time.Hour), To: epoch.Add(2 * time.Hour), Reason: "audit"}}}
	each(t, rules, func(h *house) {
		held := do("r0", 1, isolate(), "a")
		h.done(held, spec.Done, `{}`)
		ask := do("r1", 1, isolate(), "b")
		ask.Mode = guard.Ask
		h.settled(ask, effects.Refused)
		ask.Key.Generation, ask.Approval = 2, "request"
		h.done(ask, spec.Done, `{}`)
		watch := do("r2", 1, isolate(), "c")
		watch.Mode = guard.Observe
		h.settled(watch, effects.Simulated)
		h.eq(len(h.holders("c")), 0)
		h.settled(undo(watch, 1), effects.Skipped)
		h.settled(do("r3", 1, isolate(), "x", "DC"), effects.Refused)
		h.kill(true)
		h.settled(do("r4", 1, isolate(), "d"), effects.Refused)
		h.clock.add(90 * time.Minute)
		h.done(undo(held, 1), spec.Done, ``) // killed and frozen
		h.kill(false)
		no := h.settled(do("r5", 1, isolate(), "d"), effects.Refused)
		h.eq(no.Detail, "freeze: changes are frozen until 2026-03-01T14:00:00Z: audit")
		h.clock.add(time.Hour)
		h.done(do("r6", 1, isolate(), "d"), spec.Done, `{}`)
	})
}

// TestLimit counts targets, not calls, and gives back only what is known to have
// had no effect.
func TestLimit(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		limited := func(n int, ids ...string) effects.Intent {
			in := do("r", n, isolate(), ids...)
			in.Limit = 3
			return in
		}
		h.done(limited(1, "a", "b"), spec.Done, `{}`)
		h.settled(limited(2, "c", "d"), effects.Refused)
		h.settle(h.goes(limited(3, "c")), effects.Result{Err: spec.Errorf(spec.Permission, "no")})
		lost := h.goes(limited(4, "c"))
		h.settle(lost, effects.Result{Err: spec.Errorf(spec.Uncertain, "cut")})
		h.settled(limited(5, "e"), effects.Refused)
		other := limited(6, "e")
		other.Key.Run = "r'"
		h.goes(other) // another run has its own
	})
}

// TestAtOnce admits from many callers: one key lets one attempt out, one target
// has one open effect, a limit of 8 lets 8 out.
func TestAtOnce(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		count := func(n int, in func(i int) effects.Intent) (lets int) {
			var mu sync.Mutex
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					v, err := h.fx.Admit(context.WithoutCancel(h.ctx), in(i))
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						h.Error(err)
					}
					if v.Go != nil {
						lets++
					}
				})
			}
			wg.Wait()
			return lets
		}
		h.eq(count(32, func(int) effects.Intent { return do("r1", 1, isolate(), "a") }), 1)
		h.eq(count(32, func(i int) effects.Intent { return do(fmt.Sprint("x", i), 1, isolate(), "b") }), 1)
		h.eq(count(32, func(i int) effects.Intent {
			in := do("lim", i+1, isolate(), fmt.Sprint("t", i))
			in.Limit = 8
			return in
		}), 8)
		h.eq(count(32, func(i int) effects.Intent { // opposite orders must not lock each other out
			ids := []string{fmt.Sprint("p", i/2), fmt.Sprint("q", i/2)}
			if i%2 == 1 {
				ids[0], ids[1] = ids[1], ids[0]
			}
			return do(fmt.Sprint("o", i), 1, isolate(), ids...)
		}), 16)
	})
}
