package effects_test

import (
	"encoding/json"
	"testing"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
)

// TestPriorOfEachTarget has two runs act on lists that share a target, and take
// back in both orders: each target goes back to what its own first holder found.
func TestPriorOfEachTarget(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		first, second := do("r1", 1, isolate(), "a", "b"), do("r2", 1, isolate(), "b", "c")
		// The inputs beside the targets tell holds apart; here there are none.
		first.Inputs, second.Inputs = []byte(`[]`), []byte(`[]`)
		h.done(first, spec.Done, `{"a":{"was":1},"b":{"was":2}}`)
		h.done(second, spec.Done, `{"b":{"was":"contained"},"c":{"was":3}}`)

		p := h.goes(undo(first, 1))
		h.eq(len(p.Targets), 1) // b is held by the second still
		same(h, p.Prior, `{"a":{"was":1}}`)
		h.settle(p, effects.Result{Outcome: spec.Done})
		p = h.goes(undo(second, 1))
		h.eq(len(p.Targets), 2)
		same(h, p.Prior, `{"b":{"was":2},"c":{"was":3}}`)
		h.settle(p, effects.Result{Outcome: spec.Done})

		// A connector that keeps one state for the whole call gets it back whole.
		whole := do("r3", 1, isolate(), "d", "e")
		h.done(whole, spec.Done, `{"state":"normal"}`)
		same(h, h.goes(undo(whole, 1)).Prior, `{"state":"normal"}`)
	})
}

func same(h *house, got json.RawMessage, want string) {
	h.Helper()
	h.eq(string(got), want)
}
