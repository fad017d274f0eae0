package effects

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// Settle stores how an attempt ended. With an error that asserts that nothing
// happened and that may pass, the effect becomes idle and is admitted anew; with
// one that will not pass it failed. An error that leaves open what happened, and
// an outcome of pending, change nothing: Admit says when to read back.
//
// It returns the effect as it stands. Called again with the same fence it
// returns the same; with an older fence ErrFenced.
func (e *Effects) Settle(ctx context.Context, key string, fence int64, r Result) (*Effect, error) {
	var ef *Effect
	err := e.db.Update(ctx, func(tx *store.Tx) (err error) {
		if ef, err = e.owned(tx, key, fence); err != nil || ef.State != stateOpen {
			return err
		}
		return e.conclude(tx, ef, r)
	})
	if err != nil {
		return nil, err
	}
	return ef, nil
}

// owned reads an effect for the attempt that has the fence.
func (e *Effects) owned(tx *store.Tx, key string, fence int64) (*Effect, error) {
	ef, err := get(tx, key)
	switch {
	case err != nil:
		return nil, err
	case ef == nil:
		return nil, fmt.Errorf("%w: %s", ErrNotFound, key)
	case ef.Fence != fence:
		return nil, fmt.Errorf("%w: %s", ErrFenced, key)
	}
	return ef, nil
}

func (e *Effects) conclude(tx *store.Tx, ef *Effect, r Result) error {
	if r.Err != nil {
		return e.failed(tx, ef, r.Err)
	}
	// After a doubtful attempt the vendor may tell of our own work: then the state
	// before the first attempt is the one to go back to.
	if len(r.Prior) > 0 && (!ef.Doubt || len(ef.Prior) == 0) {
		ef.Prior = r.Prior
	}
	ef.Output = r.Output
	switch {
	case r.Outcome == spec.Done, r.Outcome == spec.Already && ef.Doubt && ef.Found != string(spec.Present):
		ef.Verified = true
		return e.settle(tx, ef, Done)
	case r.Outcome == spec.Already:
		return e.settle(tx, ef, Already)
	case r.Outcome == spec.Partial:
		ef.failed = r.Failed
		return e.settle(tx, ef, Partial)
	}
	return e.uncertain(tx, ef, string(r.Outcome), "the vendor had not finished by the deadline")
}

func (e *Effects) failed(tx *store.Tx, ef *Effect, why *spec.Error) error {
	ef.ErrorKind, ef.VendorCode, ef.Detail = string(why.Kind), why.VendorCode, why.Message
	switch {
	case !why.Kind.NoEffect():
		return e.uncertain(tx, ef, ef.ErrorKind, ef.Detail)
	case !why.Kind.Retryable():
		return e.settle(tx, ef, Failed)
	}
	ef.State = stateIdle
	if _, err := e.note(tx, ef, "effect.attempt_failed", map[string]any{"error": ef.ErrorKind, "detail": ef.Detail, "attempt": ef.Fence}); err != nil {
		return err
	}
	return rest(tx, ef)
}

// rest stores an idle effect. It frees the targets, but not while there is a
// doubt: whoever came to them would find our own work and take it for another's.
func rest(tx *store.Tx, ef *Effect) error {
	if err := save(tx, ef); err != nil || ef.Doubt {
		return err
	}
	return unlock(tx, ef.Key)
}

// uncertain leaves an attempt open and writes down why.
func (e *Effects) uncertain(tx *store.Tx, ef *Effect, kind, detail string) error {
	if _, err := e.note(tx, ef, "effect.uncertain", map[string]any{"error": kind, "detail": detail, "attempt": ef.Fence}); err != nil {
		return err
	}
	return save(tx, ef)
}

// Abandon settles an effect as failed when its tries are used up. It may be
// called only while nothing of it can be under way: after Settle made it idle.
func (e *Effects) Abandon(ctx context.Context, key string, why *spec.Error) (*Effect, error) {
	var ef *Effect
	err := e.db.Update(ctx, func(tx *store.Tx) (err error) {
		if ef, err = get(tx, key); err != nil {
			return err
		}
		if ef == nil {
			return fmt.Errorf("%w: %s", ErrNotFound, key)
		}
		if ef.State != stateIdle {
			return nil
		}
		if why != nil {
			ef.ErrorKind, ef.VendorCode, ef.Detail = string(why.Kind), why.VendorCode, why.Message
		}
		return e.settle(tx, ef, Failed)
	})
	return ef, err
}

// Conclude takes what a read-back found. The returned effect is settled as done
// or unknown, or idle: then it did not happen, and Admit may let a new attempt
// out.
func (e *Effects) Conclude(ctx context.Context, key string, fence int64, found spec.Outcome, output, prior json.RawMessage) (*Effect, error) {
	var ef *Effect
	err := e.db.Update(ctx, func(tx *store.Tx) (err error) {
		if ef, err = e.owned(tx, key, fence); err != nil || ef.State != stateOpen {
			return err
		}
		if found == spec.Present {
			ef.Verified, ef.Output, ef.Detail = true, output, "the answer was lost; a read-back found it done"
			if len(ef.Prior) == 0 {
				ef.Prior = prior
			}
			if ef.Found == string(spec.Present) { // it was so before Quell came
				return e.settle(tx, ef, Already)
			}
			return e.settle(tx, ef, Done)
		}
		harmless := ef.Class == string(spec.Idempotent) || ef.Class == string(spec.Keyed)
		if harmless || (found == spec.Absent && ef.ReadBack == string(spec.Strong)) {
			ef.State = stateIdle
			ef.Doubt = ef.Doubt || found != spec.Absent || ef.ReadBack != string(spec.Strong)
			if _, err := e.note(tx, ef, "effect.read_back", map[string]any{"found": found, "attempt": ef.Fence}); err != nil {
				return err
			}
			return rest(tx, ef)
		}
		ef.Detail = "the answer was lost, and a read-back cannot tell whether it happened"
		return e.settle(tx, ef, Unknown)
	})
	if err != nil {
		return nil, err
	}
	return ef, nil
}

// Idle reports whether an effect that Settle or Conclude returned may be admitted
// again.
func (e *Effect) Idle() bool { return e.State == stateIdle }

// Open reports whether an attempt has no outcome yet.
func (e *Effect) Open() bool { return e.State == stateOpen }

// Resolve settles an unknown effect on a person's word: as done, not_done,
// by_hand or skipped. It may be called again with the same word. An effect that
// its caller left without an outcome is resolved too, once nothing of it can land
// any more; until then it is ErrUnderWay, and may be called again.
func (e *Effects) Resolve(ctx context.Context, key, as, actor, reason string) error {
	return e.db.Update(ctx, func(tx *store.Tx) error {
		ef, err := get(tx, key)
		switch {
		case err != nil:
			return err
		case ef == nil:
			return fmt.Errorf("%w: %s", ErrNotFound, key)
		case ef.Resolved == as:
			return nil
		}
		if err := e.forsaken(tx, ef); err != nil {
			return err
		}
		if ef.Outcome != Unknown || ef.Resolved != "" {
			return fmt.Errorf("%w: %s is %s", ErrNotUnknown, key, ef.Outcome)
		}
		return e.resolve(tx, ef, as, actor, reason)
	})
}

// forsaken settles an attempt that nobody brought to its end as unknown. Its
// fence is broken: who comes back all the same looks again.
func (e *Effects) forsaken(tx *store.Tx, ef *Effect) error {
	over := ef.Deadline.Add(ef.Settle)
	switch {
	case ef.State == stateOpen && e.now().Before(over):
		return fmt.Errorf("%w: %s, until %s", ErrUnderWay, ef.Key, over.Format(time.RFC3339))
	case ef.State == stateOpen, ef.State == stateIdle && ef.Doubt:
		ef.Fence++
		ef.Detail = "its outcome was never learned"
		return e.settle(tx, ef, Unknown)
	}
	return nil
}

func (e *Effects) resolve(tx *store.Tx, ef *Effect, as, actor, reason string) error {
	ef.Resolved = as
	switch as {
	case "done":
		ef.Outcome = Done
		if ef.Found == string(spec.Present) { // it was so before Quell came
			ef.Outcome = Already
		}
	case "not_done":
		ef.Outcome = Failed
	case "by_hand":
		// What a person did is not Quell's to undo. What they took back by hand is held
		// no longer.
		if ef.Direction == string(run.Undo) {
			if err := e.leave(tx, ef.Of, ef.Key); err != nil {
				return err
			}
		}
	case "skipped":
	default:
		return fmt.Errorf("effects: resolve as done, not_done, by_hand or skipped, not %q", as)
	}
	by := *ef
	by.Actor = actor
	if _, err := e.note(tx, &by, "effect.resolved", map[string]any{"as": as, "reason": reason}); err != nil {
		return err
	}
	if ef.Outcome == Done || ef.Outcome == Already {
		if err := e.hold(tx, ef); err != nil {
			return err
		}
	}
	if err := giveBack(tx, ef); err != nil {
		return err
	}
	return save(tx, ef)
}
