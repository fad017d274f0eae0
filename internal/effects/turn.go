package effects

import (
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// question is what guards are asked about an effect. Its targets are the
// intent's, with what was read about them just now.
func (e *Effects) question(tx *store.Tx, ef *Effect, in Intent) (guard.Question, error) {
	q := guard.Question{
		Key: ef.Key, Tenant: ef.Tenant, Action: ef.Action, Instance: ef.Instance, Playbook: in.Playbook,
		Trigger: in.Trigger, Source: in.Source, Severity: in.Severity, Actor: in.Actor, Mode: in.Mode,
		Targets: in.Targets, Approved: in.Approval != "",
	}
	if q.Approved && e.Approved != nil {
		var err error
		if q.Approved, err = e.Approved(tx, in.Approval, ef.Run); err != nil {
			return q, fmt.Errorf("effects: approval %s: %w", in.Approval, err)
		}
	}
	return q, nil
}

// off records that an inverse waits, and stores nothing else of it: once the
// switch is lifted it is admitted as if it had never been asked for.
func (e *Effects) off(tx *store.Tx, in Intent, no *guard.Refusal, err error) (Verdict, error) {
	if err != nil {
		return Verdict{}, err
	}
	row := ledger.Row{Kind: "undo.put_off", Tenant: in.Key.Tenant, Run: in.Key.Run, Step: in.Key.Step, Key: in.Key.String(), Actor: in.Actor}
	if _, err := e.ledger.Append(tx, row, map[string]any{"of": in.Of, "reason": no.String()}); err != nil {
		return Verdict{}, err
	}
	return Verdict{Off: no}, nil
}

// lanes are pseudo-targets for what effects on other targets wait for too.
func lanes(targets []guard.Target) []guard.Target {
	var out []guard.Target
	for _, t := range targets {
		if l := t.Lane(); l != "" && len(out) == 0 {
			out = append(out, guard.Target{ID: lanePrefix + l, Label: l})
		}
	}
	return out
}

const lanePrefix = "lane:"

// turn takes the targets of an effect, and the lanes that they are in. The time
// that it returns is when to come back: another effect has one of them, or had a
// lane since the facts about our targets were read.
func (e *Effects) turn(tx *store.Tx, ef *Effect, in Intent, now time.Time) (again time.Time, err error) {
	var extra []guard.Target
	if ef.Direction == string(run.Do) {
		extra = lanes(in.Targets)
	}
	busy, err := lock(tx, ef, append(append([]guard.Target{}, ef.Targets...), extra...))
	if err != nil {
		return time.Time{}, err
	}
	if busy != "" {
		return now.Add(busyWait), unlock(tx, ef.Key)
	}
	if len(extra) == 0 {
		return time.Time{}, nil
	}
	var last int64
	err = tx.QueryRow(`SELECT COALESCE(MAX(ended), 0) FROM effect_turns WHERE tenant = ? AND instance = ? AND lane = ?`, ef.Tenant, ef.Instance, extra[0].ID).Scan(&last)
	if err != nil {
		return time.Time{}, fmt.Errorf("effects: lane: %w", err)
	}
	for _, t := range in.Targets {
		if t.Lane() != "" && (t.Facts == nil || t.Facts.At.UnixNano() <= last) {
			return now, unlock(tx, ef.Key)
		}
	}
	return time.Time{}, nil
}

// unread answers an intent for which nothing was read.
func (e *Effects) unread(tx *store.Tx, ef *Effect, in Intent, now time.Time) (Verdict, error) {
	for _, t := range append(append([]guard.Target{}, ef.Targets...), lanes(in.Targets)...) {
		var n int
		err := tx.QueryRow(`SELECT COUNT(*) FROM effect_locks WHERE tenant = ? AND instance = ? AND target = ? AND effect_key <> ?`,
			ef.Tenant, ef.Instance, t.ID, ef.Key).Scan(&n)
		if err != nil {
			return Verdict{}, fmt.Errorf("effects: whether %s is busy: %w", t.Label, err)
		}
		if n > 0 {
			return Verdict{Wait: now.Add(busyWait)}, nil
		}
	}
	return Verdict{Read: true}, nil
}

// yield gives up what an effect had locked, and notes when it left a lane.
func (e *Effects) yield(tx *store.Tx, ef *Effect) error {
	for _, t := range ef.Targets {
		if t.Kind != "user" { // nothing else is in a lane
			continue
		}
		_, err := tx.Exec(`INSERT INTO effect_turns (tenant, instance, lane, ended)
			SELECT tenant, instance, target, ? FROM effect_locks WHERE effect_key = ? AND target LIKE 'lane:%'
			ON CONFLICT (tenant, instance, lane) DO UPDATE SET ended = excluded.ended`, e.now().UnixNano(), ef.Key)
		if err != nil {
			return fmt.Errorf("effects: leave the lane: %w", err)
		}
		break
	}
	return unlock(tx, ef.Key)
}

// giveBack returns to the budgets what an effect took that is known to have
// changed nothing.
func giveBack(tx *store.Tx, ef *Effect) error {
	if ef.Direction != string(run.Do) || ef.Fence == 0 {
		return nil
	}
	switch ef.Outcome {
	case Failed, Refused, Simulated, Skipped, Already:
		return guard.GiveBack(tx, ef.Key)
	}
	return nil
}
