package effects_test

import (
	"testing"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
)

// TestCensus counts what needs an eye, and knows which effect of a run was the first
// that did something.
func TestCensus(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		count := func(want effects.Standing) {
			h.Helper()
			got, err := h.fx.Census(h.ctx)
			if err != nil {
				h.Fatal(err)
			}
			h.eq(got, want)
		}
		count(effects.Standing{})
		foreign, one, two := do("r1", 1, isolate(), "a"), do("r1", 2, isolate(), "b"), do("r1", 3, isolate(), "c")
		h.done(foreign, spec.Already, `{}`)
		h.done(one, spec.Done, `{}`)
		h.done(two, spec.Done, `{}`)
		count(effects.Standing{Held: 2})
		h.goes(do("r2", 1, isolate(), "d"))
		count(effects.Standing{Held: 2, Open: 1})
		for in, want := range map[string]bool{one.Key.String(): true, two.Key.String(): false} {
			got, err := h.fx.FirstOf(h.ctx, "r1", in)
			if err != nil || got != want {
				h.Errorf("%s is the first: %v, %v", in, got, err)
			}
		}
		h.done(undo(one, 1), spec.Done, ``)
		count(effects.Standing{Held: 1, Open: 1})
	})
}
