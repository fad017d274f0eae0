package effects_test

import (
	"errors"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
)

// TestForsaken has callers go away with a call under way and nobody come back for
// it: it is seen in the stack, a person may settle it once nothing can land, and
// then its target is free.
func TestForsaken(t *testing.T) {
	none := guard.Rules{}
	once := isolate()
	once.Class, once.ReadBack = spec.Once, spec.Lagging
	for as, held := range map[string]int{"done": 1, "not_done": 0, "by_hand": 0} {
		row(t, "resolved as "+as, none, func(h *house) {
			h.done(do("r1", 1, isolate(), "b"), spec.Done, `{}`)
			in, next := do("r1", 2, once, "a"), do("r2", 1, isolate(), "a")
			p := h.goes(in)
			key := p.Key
			h.eq(stack(h, "r1"), []string{key + " unknown", do("r1", 1, isolate(), "b").Key.String() + " done"})
			h.clock.add(deadline + settling - 1)
			if err := h.fx.Resolve(h.ctx, key, as, "ann", "looked"); !errors.Is(err, effects.ErrUnderWay) {
				h.Fatal(err)
			}
			h.waits(next)
			h.clock.add(1)
			for range 2 {
				if err := h.fx.Resolve(h.ctx, key, as, "ann", "looked"); err != nil {
					h.Fatal(err)
				}
			}
			h.eq(h.entries(key), []string{"effect.intent", "effect.outcome", "effect.resolved"})
			h.eq(len(h.holders("a")), held)
			h.goes(next)
			if _, err := h.fx.Settle(h.ctx, key, p.Fence, effects.Result{Outcome: spec.Done}); !errors.Is(err, effects.ErrFenced) {
				h.Fatal(err)
			}
			if err := h.fx.Resolve(h.ctx, key, "skipped", "bob", "other word"); !errors.Is(err, effects.ErrNotUnknown) {
				h.Fatal(err)
			}
		})
	}
	for as, held := range map[string]int{"done": 0, "not_done": 1, "by_hand": 0, "skipped": 1} {
		row(t, "a release resolved as "+as, none, func(h *house) {
			in := do("r1", 1, isolate(), "a")
			h.done(in, spec.Done, `{}`)
			back := undo(in, 1)
			h.goes(back)
			h.clock.add(deadline + settling)
			if err := h.fx.Resolve(h.ctx, back.Key.String(), as, "ann", "looked"); err != nil {
				h.Fatal(err)
			}
			h.eq(len(h.holders("a")), held)
			h.eq(len(stack(h, "r1")), held)
			if held > 0 { // and another try may take it back
				h.done(undo(in, 2), spec.Done, "")
				h.eq(len(h.holders("a")), 0)
			}
		})
	}
	row(t, "in doubt and left alone", none, func(h *house) {
		lagging := isolate()
		lagging.ReadBack = spec.Lagging
		in := do("r1", 1, lagging, "a")
		h.goes(in)
		h.clock.add(deadline + settling)
		h.eq(h.conclude(h.backs(in), spec.Absent).Idle(), true)
		h.eq(stack(h, "r1"), []string{in.Key.String() + " unknown"})
		h.waits(do("r2", 1, isolate(), "a"))
		if err := h.fx.Resolve(h.ctx, in.Key.String(), "not_done", "ann", "looked"); err != nil {
			h.Fatal(err)
		}
		h.eq(len(stack(h, "r1")), 0)
		h.goes(do("r2", 1, isolate(), "a"))
	})
	row(t, "what is idle or only waits is nothing to resolve", none, func(h *house) {
		idle := do("r1", 1, isolate(), "a")
		h.settle(h.goes(idle), effects.Result{Err: spec.Errorf(spec.Transient, "busy")})
		h.goes(do("r2", 1, isolate(), "b"))
		waits := do("r1", 2, isolate(), "b")
		h.waits(waits)
		h.clock.add(time.Hour)
		for _, in := range []effects.Intent{idle, waits} {
			if err := h.fx.Resolve(h.ctx, in.Key.String(), "done", "ann", "x"); !errors.Is(err, effects.ErrNotUnknown) {
				h.Fatal(err)
			}
		}
		h.eq(len(stack(h, "r1")), 0)
	})
}

func stack(h *house, runID string) []string {
	h.Helper()
	list, err := h.fx.Stack(h.ctx, "t", runID, nil)
	if err != nil {
		h.Fatal(err)
	}
	var out []string
	for _, ef := range list {
		out = append(out, ef.Key+" "+ef.Outcome)
	}
	return out
}
