package effects_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
)

// row runs one row of the crash table.
func row(t *testing.T, name string, r guard.Rules, f func(h *house)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { each(t, r, f) })
}

// TestCrashTable goes through what is found after a crash, row by row.
func TestCrashTable(t *testing.T) {
	none := guard.Rules{}
	row(t, "intent without outcome, deadline not over: wait", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		p := h.goes(in)
		over := p.Deadline.Add(settling)
		h.eq(h.waits(in), over)
		h.clock.add(deadline + settling - 1)
		h.eq(h.waits(in), over)
		h.clock.add(1)
		h.eq(h.backs(in).Fence, 2)
		h.eq(h.entries(p.Key), []string{"effect.intent"})
	})
	row(t, "read-back says done: done, verified, no second call", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		in.Before, in.BeforePrior = spec.Absent, []byte(`{"was":1}`)
		h.goes(in)
		h.clock.add(deadline + settling)
		ef := h.conclude(h.backs(in), spec.Present)
		h.eq([]any{ef.Outcome, ef.Verified, string(ef.Prior)}, []any{"done", true, `{"was":1}`})
		h.eq(h.settled(in, effects.Done).Fence, 2)
		h.eq(h.holders("a"), []string{ef.Key})
		h.eq(h.entries(ef.Key), []string{"effect.intent", "effect.outcome"})
	})
	row(t, "outcome stored: returned, no call", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		p := h.goes(in)
		h.settle(p, effects.Result{Outcome: spec.Done, Output: []byte(`{"x":1}`)})
		h.eq(string(h.settled(in, effects.Done).Output), `{"x":1}`)
		again := h.settle(p, effects.Result{Err: spec.Errorf(spec.Transient, "late doubt")})
		h.eq(again.Outcome, effects.Done)
		h.eq(h.entries(p.Key), []string{"effect.intent", "effect.outcome"})
	})
	row(t, "late settle is fenced", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		late := h.goes(in)
		h.clock.add(deadline + settling)
		first, second := h.backs(in), h.backs(in)
		if _, err := h.fx.Settle(h.ctx, late.Key, late.Fence, effects.Result{Outcome: spec.Done}); !errors.Is(err, effects.ErrFenced) {
			h.Fatal(err)
		}
		if _, err := h.fx.Conclude(h.ctx, first.Key, first.Fence, spec.Present, nil, nil); !errors.Is(err, effects.ErrFenced) {
			h.Fatal(err)
		}
		h.eq(h.conclude(second, spec.Present).Outcome, effects.Done)
		if _, err := h.fx.Settle(h.ctx, late.Key, late.Fence, effects.Result{Outcome: spec.Done}); !errors.Is(err, effects.ErrFenced) {
			h.Fatal(err)
		}
		if _, err := h.fx.Settle(h.ctx, "t|no|such||do|1", 1, effects.Result{}); !errors.Is(err, effects.ErrNotFound) {
			h.Fatal(err)
		}
	})
	row(t, "late settle before anyone looked counts", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		p := h.goes(in)
		h.clock.add(deadline + settling + 1)
		h.eq(h.settle(p, effects.Result{Outcome: spec.Done}).Outcome, effects.Done)
	})
	row(t, "answer lost or pending: stays open", none, func(h *house) {
		for i, r := range []effects.Result{{Err: spec.Errorf(spec.Uncertain, "cut")}, {Err: spec.Errorf(spec.Internal, "fault")}, {Outcome: spec.Pending}} {
			in := do("r1", i+1, isolate(), fmt.Sprint(i))
			ef := h.settle(h.goes(in), r)
			h.eq(ef.Open(), true)
			h.waits(in)
		}
	})
	row(t, "retry asks the guards again", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		ef := h.settle(h.goes(in), effects.Result{Err: spec.Errorf(spec.RateLimited, "slow down")})
		h.eq(ef.Idle(), true)
		h.kill(true)
		h.settled(in, effects.Refused)
		h.eq(h.entries(ef.Key), []string{"effect.intent", "effect.attempt_failed", "effect.outcome"})
	})
	row(t, "tries used up", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		p := h.goes(in)
		if ef, err := h.fx.Abandon(h.ctx, p.Key, nil); err != nil || !ef.Open() {
			h.Fatal("an open attempt was given up", ef, err)
		}
		h.settle(p, effects.Result{Err: spec.Errorf(spec.Unavailable, "away")})
		ef, err := h.fx.Abandon(h.ctx, p.Key, spec.Errorf(spec.Unavailable, "away for good"))
		if err != nil || ef.Outcome != effects.Failed || ef.Detail != "away for good" {
			h.Fatal(ef, err)
		}
	})
	row(t, "changed inputs", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		h.done(in, spec.Done, `{}`)
		other := do("r1", 1, isolate(), "b")
		for _, in := range []effects.Intent{other, func() effects.Intent { x := in; x.Instance = "edr2"; return x }()} {
			if _, err := h.fx.Admit(h.ctx, in); !errors.Is(err, effects.ErrChanged) {
				h.Fatal(err)
			}
		}
		u := undo(in, 1)
		h.done(u, spec.Done, `{}`)
		u.Of = "t|another|contain||do|1"
		if _, err := h.fx.Admit(h.ctx, u); !errors.Is(err, effects.ErrChanged) {
			h.Fatal(err)
		}
	})
}

// TestConclude tries every answer of a read-back with every class and kind of
// read-back.
func TestConclude(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		n := 0
		for _, class := range []spec.Class{spec.Idempotent, spec.Keyed, spec.Once} {
			for _, rb := range []spec.ReadBack{spec.Strong, spec.Lagging, spec.NoReadBack} {
				for _, found := range []spec.Outcome{spec.Present, spec.Absent, spec.Unsure} {
					n++
					a := isolate()
					a.Class, a.ReadBack = class, rb
					in := do(fmt.Sprint("run", n), 1, a, fmt.Sprint("host", n))
					h.goes(in)
					h.clock.add(deadline + settling)
					ef := h.conclude(h.backs(in), found)
					got := ef.Outcome
					if ef.Idle() {
						got = "idle"
					}
					want := "unknown"
					switch {
					case found == spec.Present:
						want = "done"
					case class != spec.Once, found == spec.Absent && rb == spec.Strong:
						want = "idle"
					}
					if got != want {
						h.Errorf("%s, read-back %s, %s: %s, want %s", class, rb, found, got, want)
					}
					if want == "idle" {
						h.eq(h.goes(in).Fence, 3)
					} else {
						h.settled(in, want)
					}
				}
			}
		}
	})
}

// TestDoubt retries what cannot double, though the first attempt may have landed:
// then the second tells of the first one's work.
func TestDoubt(t *testing.T) {
	lagging := isolate()
	lagging.ReadBack = spec.Lagging
	doubtful := func(h *house, before spec.Outcome) effects.Intent {
		in := do("r1", 1, lagging, "a")
		in.Before = before
		if before == spec.Absent {
			in.BeforePrior = []byte(`{"isolated":false}`)
		}
		h.goes(in)
		h.clock.add(deadline + settling)
		h.eq(h.conclude(h.backs(in), spec.Absent).Idle(), true)
		in.Before, in.BeforePrior = spec.Present, nil // what a new read would find
		return in
	}
	none := guard.Rules{}
	row(t, "already is ours, with the first state", none, func(h *house) {
		in := doubtful(h, spec.Absent)
		ef := h.done(in, spec.Already, `{"isolated":true}`)
		h.eq([]any{ef.Outcome, string(ef.Prior)}, []any{"done", `{"isolated":false}`})
		h.eq(h.holders("a"), []string{ef.Key})
		h.eq(string(h.goes(undo(in, 1)).Prior), `{"isolated":false}`)
	})
	row(t, "already is not ours if it was so before", none, func(h *house) {
		in := doubtful(h, spec.Present)
		h.eq(h.done(in, spec.Already, ``).Outcome, effects.Already)
		h.eq(h.holders("a"), []string{})
	})
	row(t, "a refusal does not prove that nothing happened", none, func(h *house) {
		in := doubtful(h, spec.Absent)
		h.kill(true)
		h.settled(in, effects.Unknown)
	})
	row(t, "nor does an error", none, func(h *house) {
		in := doubtful(h, spec.Absent)
		h.eq(h.settle(h.goes(in), effects.Result{Err: spec.Errorf(spec.Permission, "no")}).Outcome, effects.Unknown)
	})
	row(t, "nor does giving up", none, func(h *house) {
		in := doubtful(h, spec.Absent)
		ef, err := h.fx.Abandon(h.ctx, in.Key.String(), nil)
		if err != nil || ef.Outcome != effects.Unknown {
			h.Fatal(ef, err)
		}
	})
	row(t, "without a doubt the newest look counts", none, func(h *house) {
		in := do("r1", 1, isolate(), "a")
		in.Before = spec.Absent
		h.settle(h.goes(in), effects.Result{Err: spec.Errorf(spec.Transient, "busy")})
		in.Before = spec.Present // someone else came meanwhile
		h.goes(in)
		h.clock.add(deadline + settling)
		h.eq(h.conclude(h.backs(in), spec.Present).Outcome, effects.Already)
		h.eq(h.holders("a"), []string{})
	})
}
