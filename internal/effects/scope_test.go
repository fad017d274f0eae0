package effects_test

import (
	"fmt"
	"testing"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
)

// quarantine is an action on a file of a host; the host is the target.
func quarantine(runID string, generation int, file string) effects.Intent {
	a := isolate()
	a.Name, a.Inverse, a.Targets = "edr.quarantine_file", "edr.restore_file", "host"
	in := do(runID, generation, a, "h")
	in.Inputs = fmt.Appendf(nil, `{"host":"h","path":%q}`, file)
	return in
}

// TestScope holds two files of one host apart, and the same file together.
func TestScope(t *testing.T) {
	none := guard.Rules{}
	row(t, "one run, two files, newest first: both are restored, each to its own state", none, func(h *house) {
		one, two := quarantine("r1", 1, "one"), quarantine("r1", 2, "two")
		h.done(one, spec.Done, `{"was":1}`)
		h.done(two, spec.Done, `{"was":2}`)
		for i, in := range []effects.Intent{two, one} {
			p := h.goes(undo(in, 1))
			h.eq([]string{string(p.Inputs), string(p.Prior)}, []string{string(in.Inputs), fmt.Sprintf(`{"was":%d}`, 2-i)})
			h.settle(p, effects.Result{Outcome: spec.Done})
		}
		stack, err := h.fx.Stack(h.ctx, "t", "r1", nil)
		if err != nil || len(stack) != 0 {
			h.Fatal(stack, err)
		}
	})
	row(t, "two runs, one file: one hold, one release", none, func(h *house) {
		first, second := quarantine("r1", 1, "one"), quarantine("r2", 1, "one")
		second.Inputs = []byte(`{"path":"one", "host":"h"}`) // the same in another writing
		h.done(first, spec.Done, `{"was":1}`)
		h.done(second, spec.Already, ``)
		h.settled(undo(first, 1), effects.Skipped)
		h.eq(string(h.goes(undo(second, 1)).Prior), `{"was":1}`)
	})
	row(t, "what was there before is not ours though another file is held", none, func(h *house) {
		h.done(quarantine("r1", 1, "one"), spec.Done, `{}`)
		foreign := quarantine("r2", 1, "two")
		h.done(foreign, spec.Already, ``)
		h.settled(undo(foreign, 1), effects.Skipped)
	})
	row(t, "one target at a time all the same", none, func(h *house) {
		p := h.goes(quarantine("r1", 1, "one"))
		h.waits(quarantine("r2", 1, "two"))
		h.settle(p, effects.Result{Outcome: spec.Done})
		h.goes(quarantine("r2", 1, "two"))
	})
	row(t, "inputs that are no object", none, func(h *house) {
		in := quarantine("r1", 1, "one")
		in.Inputs = []byte(`["h"]`)
		if _, err := h.fx.Admit(h.ctx, in); err == nil {
			h.Fatal("they were taken")
		}
	})
}
