package effects

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// The life of a permit and how soon a busy target is looked at again.
const (
	PermitLife = 500 * time.Millisecond
	busyWait   = 250 * time.Millisecond
)

// The states of an effect.
const (
	stateOpen    = "open"
	stateIdle    = "idle"
	stateSettled = "settled"
)

// Effects admits effects and keeps what came of them.
type Effects struct {
	db     *store.DB
	ledger *ledger.Ledger
	guard  *guard.Guard
	now    func() time.Time
	// Approved tells whether a person approved a request of a run: not whether its
	// time ran out. nil takes the caller's word. It is set before the first use.
	Approved func(tx *store.Tx, request, runID string) (bool, error)
	// Early says why what was waited for since began may not happen although it is
	// due, or "": the clock was set. nil believes the clock. It is set before the
	// first use.
	Early func(began, due time.Time) string
}

// New opens the room; its tables must be there (Schema).
func New(db *store.DB, l *ledger.Ledger, g *guard.Guard, now func() time.Time) *Effects {
	return &Effects{db: db, ledger: l, guard: g, now: now}
}

// Admit decides about an effect in one transaction: what is stored of it, modes,
// kill switch, freeze, protected assets, the run's limit, other effects on its
// targets, holders, and the intent in the ledger. Without its commit no call is
// made. It is called again after every crash and every retry; the same key with
// other inputs is ErrChanged.
func (e *Effects) Admit(ctx context.Context, in Intent) (Verdict, error) {
	var v Verdict
	err := e.db.Update(ctx, func(tx *store.Tx) (err error) {
		v, err = e.admit(tx, in)
		return err
	})
	if err == nil && v.Go != nil {
		e.slow(ctx, in, v.Go)
	}
	return v, err
}

// slow gives a permit its time anew where the commit took most of it: on a disk
// that is slow no call would ever leave. The kill switch is looked at again, since
// it may have been turned after a commit of which we heard late; if it was, or
// cannot be read, the permit stays as it is, and the next admission says why.
func (e *Effects) slow(ctx context.Context, in Intent, p *Permit) {
	now := e.now()
	if p.Expires.Sub(now) > PermitLife/2 || p.Deadline.Sub(now) < PermitLife {
		return
	}
	killed := false
	err := e.db.View(ctx, func(tx *store.Tx) (err error) {
		killed, _, err = guard.Killed(tx)
		return err
	})
	attended := in.Key.Direction == run.Undo && !in.Unattended // which no switch holds back
	if err == nil && (!killed || attended) {
		p.Expires = now.Add(PermitLife)
	}
}

func (e *Effects) admit(tx *store.Tx, in Intent) (Verdict, error) {
	ef, err := get(tx, in.Key.String())
	if err != nil {
		return Verdict{}, err
	}
	now := e.now()
	if in.Unattended && in.Key.Direction == run.Undo && (ef == nil || ef.State == stateIdle) {
		if no, err := e.putOff(tx, in); no != nil || err != nil {
			return e.off(tx, in, no, err)
		}
	}
	switch {
	case ef == nil:
		return e.fresh(tx, in, now)
	case ef.Of != in.Of || ef.Direction == string(run.Do) && (ef.Action != in.Action.Name || ef.Instance != in.Instance || !bytes.Equal(ef.Inputs, in.Inputs)):
		return Verdict{}, fmt.Errorf("%w: %s", ErrChanged, ef.Key)
	case ef.State == stateSettled:
		return Verdict{Settled: ef}, nil
	case ef.State == stateOpen:
		return e.reopened(tx, ef, now)
	case ef.Direction == string(run.Undo):
		return e.undoAgain(tx, ef, in, now)
	}
	return e.attempt(tx, ef, in, now)
}

// putOff says why an inverse that nobody asked for waits, or nil.
func (e *Effects) putOff(tx *store.Tx, in Intent) (*guard.Refusal, error) {
	if e.Early != nil && !in.Due.IsZero() {
		if why := e.Early(in.Began, in.Due); why != "" {
			return &guard.Refusal{Rule: "clock", Reason: why + "; it stays held until then, or until a person releases it"}, nil
		}
	}
	return e.guard.PutOff(tx)
}

// fresh admits an effect that was never tried.
func (e *Effects) fresh(tx *store.Tx, in Intent, now time.Time) (Verdict, error) {
	if in.Key.Direction == run.Undo {
		return e.freshUndo(tx, in, now)
	}
	scope, err := scopeOf(in.Action, in.Inputs)
	if err != nil {
		return Verdict{}, err
	}
	ef := &Effect{
		Key: in.Key.String(), Tenant: in.Key.Tenant, Run: in.Key.Run, Playbook: in.Playbook, Scope: scope, Step: in.Key.Step, Iteration: in.Key.Iteration,
		Direction: string(in.Key.Direction), Action: in.Action.Name, Instance: in.Instance,
		Class: string(in.Action.Class), ReadBack: string(in.Action.ReadBack), Reversal: string(in.Action.Reversal), Inverse: in.Action.Inverse,
		Settle: in.Action.Settle, Inputs: in.Inputs, Targets: in.Targets, Actor: in.Actor, Approval: in.Approval,
		State: stateIdle, Created: now, Found: string(in.Before),
	}
	if in.Before == spec.Absent {
		ef.Prior = in.BeforePrior
	}
	if fresh, err := insert(tx, ef); err != nil {
		return Verdict{}, err
	} else if !fresh {
		return e.admit(tx, in)
	}
	return e.attempt(tx, ef, in, now)
}

// attempt asks all guards and lets one attempt out.
func (e *Effects) attempt(tx *store.Tx, ef *Effect, in Intent, now time.Time) (Verdict, error) {
	var q guard.Question
	if ef.Direction == string(run.Do) {
		var err error
		if in.Unread {
			return e.unread(tx, ef, in, now)
		}
		if q, err = e.question(tx, ef, in); err != nil {
			return Verdict{}, err
		}
		if in.Before != "" && !ef.Doubt { // with a doubt, what is there now may be ours
			ef.Found, ef.Prior = string(in.Before), nil
			if in.Before == spec.Absent {
				ef.Prior = in.BeforePrior
			}
		}
		if v, done, err := e.guarded(tx, ef, in, q, now); done || err != nil {
			return v, err
		}
	}
	again, err := e.turn(tx, ef, in, now)
	if err != nil || !again.IsZero() {
		return Verdict{Wait: again}, err
	}
	if ef.Direction == string(run.Do) {
		no, err := e.guard.Spend(tx, now, q)
		if err != nil {
			return Verdict{}, err
		}
		if no != nil {
			v, _, err := e.uncalled(tx, ef, Refused, no)
			return v, err
		}
	}
	return e.let(tx, ef, in.Action.Deadline, now)
}

// let opens an attempt: intent, fence, permit.
func (e *Effects) let(tx *store.Tx, ef *Effect, within time.Duration, now time.Time) (Verdict, error) {
	ef.State, ef.Fence, ef.Deadline = stateOpen, ef.Fence+1, now.Add(within)
	ef.ErrorKind, ef.VendorCode, ef.Detail = "", "", ""
	if err := save(tx, ef); err != nil {
		return Verdict{}, err
	}
	if _, err := e.note(tx, ef, "effect.intent", map[string]any{
		"action": ef.Action, "instance": ef.Instance, "direction": ef.Direction, "targets": ef.Targets,
		"inputs": ef.Inputs, "attempt": ef.Fence, "deadline": ef.Deadline, "approval": ef.Approval, "of": ef.Of,
	}); err != nil {
		return Verdict{}, err
	}
	return Verdict{Go: &Permit{
		Key: ef.Key, Fence: ef.Fence, Expires: now.Add(PermitLife), Deadline: ef.Deadline,
		Inputs: ef.Inputs, Prior: ef.Prior, Targets: ef.Targets,
	}}, nil
}

// reopened is for an effect whose attempt has no outcome. Once nothing of that
// attempt can land any more, its fence is broken and it is read back.
func (e *Effects) reopened(tx *store.Tx, ef *Effect, now time.Time) (Verdict, error) {
	if over := ef.Deadline.Add(ef.Settle); now.Before(over) {
		return Verdict{Wait: over}, nil
	}
	ef.Fence++
	if err := save(tx, ef); err != nil {
		return Verdict{}, err
	}
	return Verdict{Back: &Permit{Key: ef.Key, Fence: ef.Fence, Inputs: ef.Inputs, Prior: ef.Prior, Targets: ef.Targets}}, nil
}

// guarded asks mode, guards and limit. done means that the effect is settled
// without a call.
func (e *Effects) guarded(tx *store.Tx, ef *Effect, in Intent, q guard.Question, now time.Time) (Verdict, bool, error) {
	no, err := e.guard.Check(tx, now, q)
	if err != nil {
		return Verdict{}, true, err
	}
	if in.Mode == guard.Observe {
		if in.Would != "" && (no == nil || no.Ask) { // the playbook's approval lifts what a guard asks too
			no = &guard.Refusal{Rule: guard.Approval, Ask: true, Reason: in.Would}
		}
		return e.uncalled(tx, ef, Simulated, no)
	}
	if no == nil && in.Mode == guard.Ask && !q.Approved {
		no = &guard.Refusal{Rule: "ask", Ask: true, Reason: ef.Instance + " is in ask mode and nobody approved this effect"}
	}
	if no == nil {
		if no, err = e.overLimit(tx, ef, in.Limit); err != nil {
			return Verdict{}, true, err
		}
	}
	if no != nil {
		return e.uncalled(tx, ef, Refused, no)
	}
	return Verdict{}, false, nil
}

// overLimit counts the targets of this action that the run acted on, or may
// have: only what is known to have had no effect is given back.
func (e *Effects) overLimit(tx *store.Tx, ef *Effect, limit int) (*guard.Refusal, error) {
	if limit == 0 {
		return nil, nil
	}
	// Two targets of one run may be admitted at once: one counts after the other.
	if err := tx.Alone("effects.limit " + ef.Run); err != nil {
		return nil, fmt.Errorf("effects: count targets: %w", err)
	}
	var n int64
	err := tx.QueryRow(`SELECT COALESCE(SUM(target_count), 0) FROM effects WHERE run = ? AND action = ? AND direction = 'do' AND effect_key <> ?
		AND outcome NOT IN ('failed', 'refused', 'simulated', 'skipped')`, ef.Run, ef.Action, ef.Key).Scan(&n)
	if err != nil {
		return nil, fmt.Errorf("effects: count targets: %w", err)
	}
	if int(n)+len(ef.Targets) > limit {
		return &guard.Refusal{Rule: "limit", Reason: fmt.Sprintf("the playbook allows %s on %d targets in one run; this would be number %d", ef.Action, max(0, limit), int(n)+len(ef.Targets))}, nil
	}
	return nil, nil
}

// uncalled settles an effect for which no call is made: refused, or simulated
// with what the guards would have said.
func (e *Effects) uncalled(tx *store.Tx, ef *Effect, outcome string, no *guard.Refusal) (Verdict, bool, error) {
	ef.Refusal = no
	switch {
	case outcome == Refused:
		ef.Detail = no.String()
	case no != nil && no.Rule == guard.Approval:
		ef.Detail = "observe mode: it would have waited for people: " + no.Reason
	case no != nil && no.Ask:
		ef.Detail = "observe mode: it would have waited for a person: " + no.String()
	case no != nil:
		ef.Detail = "observe mode: it would have been refused: " + no.String()
	case ef.Found == string(spec.Present):
		ef.Detail = "observe mode: it was so already"
	default:
		ef.Detail = "observe mode: it would have been done"
	}
	if err := e.settle(tx, ef, outcome); err != nil {
		return Verdict{}, true, err
	}
	return Verdict{Settled: ef}, true, nil
}

// settle stores an outcome with its ledger entry and frees the targets.
func (e *Effects) settle(tx *store.Tx, ef *Effect, outcome string) error {
	if ef.Doubt && (outcome == Failed || outcome == Refused || outcome == Simulated) {
		outcome, ef.Detail = Unknown, ef.Detail+"; an earlier attempt may have happened"
	}
	ef.State, ef.Outcome, ef.Settled = stateSettled, outcome, e.now()
	seq, err := e.note(tx, ef, "effect.outcome", map[string]any{
		"action": ef.Action, "instance": ef.Instance, "direction": ef.Direction, "targets": ef.Targets, "outcome": outcome,
		"detail": ef.Detail, "error": ef.ErrorKind, "vendor_code": ef.VendorCode, "verified": ef.Verified, "attempt": ef.Fence,
		"prior": ef.Prior, "of": ef.Of,
	})
	if err != nil {
		return err
	}
	ef.Seq = seq
	if err := e.hold(tx, ef); err != nil {
		return err
	}
	if err := giveBack(tx, ef); err != nil {
		return err
	}
	if err := save(tx, ef); err != nil {
		return err
	}
	return e.yield(tx, ef)
}

func (e *Effects) note(tx *store.Tx, ef *Effect, kind string, payload any) (int64, error) {
	return e.ledger.Append(tx, ledger.Row{Kind: kind, Tenant: ef.Tenant, Run: ef.Run, Step: ef.Step, Key: ef.Key, Actor: ef.Actor}, payload)
}
