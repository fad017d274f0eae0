package effects_test

import (
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
)

// TestSlowCommit takes longer over each commit than a permit lives: the call may
// leave all the same, unless the kill switch was turned before we heard of the
// commit. A release that a person asked for leaves even then.
func TestSlowCommit(t *testing.T) {
	for _, c := range []struct {
		name       string
		undo       bool
		unattended bool
		kill       bool
		leaves     bool
	}{
		{"a new effect", false, false, false, true},
		{"a new effect, and the kill switch", false, false, true, false},
		{"a person's release, and the kill switch", true, false, true, true},
		{"a hold's release", true, true, false, true},
		{"a hold's release, and the kill switch", true, true, true, false},
	} {
		row(t, c.name, guard.Rules{}, func(h *house) {
			calls, last := 0, 0 // of the clock; last is that behind the commit
			slow := effects.New(h.db, h.ledger, h.guard, func() time.Time {
				if calls++; calls == last && c.kill {
					h.kill(true)
				}
				h.clock.add(effects.PermitLife)
				return h.clock.now()
			})
			admit := func(target string, n int) effects.Verdict {
				in := do("r1", n, isolate(), target)
				if c.undo {
					h.done(in, spec.Done, `{}`)
					in = undo(in, 1)
					in.Unattended = c.unattended
				}
				calls = 0
				v, err := slow.Admit(h.ctx, in)
				if err != nil || v.Go == nil {
					h.Fatalf("%s, %v", show(v), err)
				}
				return v
			}
			admit("a", 1)
			last = calls
			v := admit("b", 2)
			if calls != last {
				h.Fatalf("the clock was asked %d times, and then %d times", last, calls)
			}
			if leaves := v.Go.Expires.After(h.clock.now()); leaves != c.leaves {
				h.Errorf("it leaves: %v; it expires at %s, and it is %s", leaves, v.Go.Expires, h.clock.now())
			}
		})
	}
}
