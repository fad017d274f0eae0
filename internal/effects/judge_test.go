package effects_test

import (
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/workflows/run"
)

// mayRelease checks that the one who releases is the last holder and goes back to
// what the first one found.
func (w *world) mayRelease(a *actor, p *effects.Permit) {
	w.Releases++
	key := a.of.in.Key.String()
	if len(a.h.holders) != 1 || !a.h.holders[key] {
		w.Errorf("%s may release %s, held by %v", a.in.Key, a.h.id, a.h.holders)
	}
	if string(p.Prior) != a.h.prior {
		w.Errorf("%s goes back to %s, the first holder found %s", a.in.Key, p.Prior, a.h.prior)
	}
}

// call makes the call that an effect was let out for, or dies before or after.
func (w *world) call(a *actor, faults bool) {
	p := a.permit
	a.permit = nil
	if w.clock.now().After(p.Expires) { // the host does not write it
		w.settles(a, p, effects.Result{Err: spec.Errorf(spec.Unavailable, "the permit is over")})
		return
	}
	w.Calls++
	fault := 99
	if faults {
		fault = w.r.IntN(14)
	}
	switch fault {
	case 0:
		w.Crashes++
		w.say("crash before the call of %s", a.in.Key)
		a.late, a.replaced = p, false
	case 1:
		w.Crashes++
		w.say("crash after the call of %s", a.in.Key)
		w.land(a)
		a.late, a.replaced = p, false
	case 2:
		w.Lost++
		w.land(a)
		w.settles(a, p, effects.Result{Err: spec.Errorf(spec.Uncertain, "answer lost")})
	case 3:
		w.Lost++
		w.settles(a, p, effects.Result{Err: spec.Errorf(spec.Uncertain, "call lost")})
	case 4, 5:
		w.Lost++
		over := p.Deadline.Add(settling).Sub(w.clock.now())
		w.landings = append(w.landings, landing{at: w.clock.now().Add(time.Duration(w.r.Int64N(int64(over)))), a: a})
		if fault == 4 {
			w.settles(a, p, effects.Result{Outcome: spec.Pending})
		} else {
			a.late, a.replaced = p, false
		}
	case 6, 7:
		w.settles(a, p, effects.Result{Err: spec.Errorf(spec.Transient, "busy")})
	case 8:
		w.settles(a, p, effects.Result{Err: spec.Errorf(spec.Permission, "no")})
	default:
		w.answer(a, p)
	}
}

// answer is a vendor that works.
func (w *world) answer(a *actor, p *effects.Permit) {
	r := effects.Result{Outcome: spec.Done, Prior: prior(a.h.isolated)}
	if a.h.isolated == (a.in.Key.Direction == run.Do) {
		r.Outcome = spec.Already
	} else {
		w.land(a)
	}
	w.settles(a, p, r)
}

func (w *world) settles(a *actor, p *effects.Permit, r effects.Result) {
	ef := w.settle(p, r)
	w.say("settle %s with %s %v: %s %s", a.in.Key, r.Outcome, r.Err, ef.State, ef.Outcome)
	if !ef.Idle() && !ef.Open() {
		w.ended(a, ef)
	}
}

// readBack answers what the vendor would: a lagging one does not always see yet
// what is there.
func (w *world) readBack(a *actor, p *effects.Permit) {
	found := spec.Absent
	if a.h.isolated == (a.in.Key.Direction == run.Do) && (a.in.Action.ReadBack == spec.Strong || w.r.IntN(2) == 0) {
		found = spec.Present
	}
	ef := w.conclude(p, found)
	w.say("read back %s: %s, so %s %s", a.in.Key, found, ef.State, ef.Outcome)
	if !ef.Idle() {
		w.ended(a, ef)
	}
}

// ended moves the model on, and compares.
func (w *world) ended(a *actor, ef *effects.Effect) {
	a.end = ef
	key := ef.Key
	if a.of != nil {
		w.undone(a, ef)
	} else if ef.Outcome == effects.Unknown {
		w.Unknown++
		a.h.unknown = true
	} else if ef.Outcome == effects.Done || ef.Outcome == effects.Already {
		w.holds(a, ef)
	}
	var want []string
	for k := range a.h.holders {
		want = append(want, k)
	}
	got := w.holders(a.h.id)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("after %s (%s): held by %v, the model says %v", key, ef.Outcome, got, want)
	}
}

func (w *world) holds(a *actor, ef *effects.Effect) {
	switch {
	case len(a.h.holders) > 0:
		w.Joined++
	case ef.Outcome == effects.Done && a.h.foreign:
		w.Errorf("%s takes a foreign hand's work for its own", ef.Key)
	case ef.Outcome == effects.Already:
		if !a.h.foreign && !a.h.unknown {
			w.Errorf("%s takes our own work for a foreign hand's", ef.Key)
		}
		return
	default:
		a.h.prior = string(prior(false))
	}
	a.h.holders[ef.Key] = true
}

func (w *world) undone(a *actor, ef *effects.Effect) {
	of := a.of.in.Key.String()
	switch ef.Outcome {
	case effects.Done, effects.Already:
	case effects.Skipped:
		if a.h.holders[of] && len(a.h.holders) == 1 {
			w.Errorf("%s was skipped (%s) though it is the last holder", ef.Key, ef.Detail)
		}
		if a.h.holders[of] && !strings.HasPrefix(ef.Detail, "still held by") {
			w.Errorf("%s was skipped though it holds: %s", ef.Key, ef.Detail)
		}
	default:
		return
	}
	delete(a.h.holders, of)
}

// judge compares the world with the model once all effects are settled.
func (w *world) judge() {
	if len(w.landings) > 0 {
		w.Errorf("all is settled while %d calls may still land", len(w.landings))
	}
	for _, h := range w.hosts {
		if want := h.foreign || len(h.holders) > 0; !h.unknown && h.isolated != want {
			w.Errorf("%s: isolated is %v, held by %v, by a foreign hand: %v", h.id, h.isolated, h.holders, h.foreign)
		}
	}
	for _, a := range w.actors {
		n := 0
		for _, kind := range w.entries(a.in.Key.String()) {
			if kind == "effect.outcome" || kind == "undo.nothing" {
				n++
			}
		}
		if n != 1 {
			w.Errorf("%s has %d outcomes in the ledger", a.in.Key, n)
		}
	}
}
