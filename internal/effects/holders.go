package effects

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

func (e *Effect) reversible() bool {
	return e.Reversal == string(spec.Exact) || e.Reversal == string(spec.Lossy)
}

// scopeOf tells what of its targets an action changes: a digest of the inputs
// beside the targets. Two files of one host are two holds; the same file twice is
// one. It is empty where there are no such inputs.
func scopeOf(a spec.Action, inputs json.RawMessage) (string, error) {
	if a.Targets == "" {
		return "", nil
	}
	var rest map[string]json.RawMessage
	if err := json.Unmarshal(inputs, &rest); err != nil {
		return "", fmt.Errorf("effects: inputs of %s: %w", a.Name, err)
	}
	delete(rest, a.Targets)
	if len(rest) == 0 {
		return "", nil
	}
	raw, err := json.Marshal(rest) // keys in order
	if err != nil {
		return "", fmt.Errorf("effects: inputs of %s: %w", a.Name, err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// hold does what an outcome means for holders: an effect that is there is held,
// an undo that is done ends the hold of its original.
func (e *Effects) hold(tx *store.Tx, ef *Effect) error {
	if ef.Direction == string(run.Undo) {
		if ef.Outcome == Done || ef.Outcome == Already {
			return e.leave(tx, ef.Of, ef.Key)
		}
		return nil
	}
	if !ef.reversible() || (ef.Outcome != Done && ef.Outcome != Already && ef.Outcome != Partial) {
		return nil
	}
	for _, t := range ef.Targets {
		if _, missed := ef.failed[t.Label]; missed {
			continue
		}
		if err := e.holdTarget(tx, ef, t); err != nil {
			return fmt.Errorf("effects: hold %s: %w", t.Label, err)
		}
	}
	return nil
}

// holdTarget adds a holder. What was already so is held only if Quell holds it.
func (e *Effects) holdTarget(tx *store.Tx, ef *Effect, t guard.Target) error {
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM effect_held WHERE tenant = ? AND instance = ? AND action = ? AND target = ? AND scope = ?`,
		ef.Tenant, ef.Instance, ef.Action, t.ID, ef.Scope).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		if ef.Outcome == Already {
			return nil
		}
		if _, err := tx.Exec(`INSERT INTO effect_held (tenant, instance, action, target, scope, first_key, prior) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, instance, action, target, scope) DO NOTHING`,
			ef.Tenant, ef.Instance, ef.Action, t.ID, ef.Scope, ef.Key, null(priorOf(ef.Prior, t))); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`INSERT INTO effect_holders (tenant, instance, action, target, scope, effect_key, since) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, instance, action, target, scope, effect_key) DO NOTHING`,
		ef.Tenant, ef.Instance, ef.Action, t.ID, ef.Scope, ef.Key, e.now().UnixNano())
	return err
}

// leave ends an effect's holds and marks it as undone.
func (e *Effects) leave(tx *store.Tx, key, by string) error {
	of, err := get(tx, key)
	if err != nil || of == nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM effect_holders WHERE effect_key = ?`, key); err != nil {
		return fmt.Errorf("effects: leave: %w", err)
	}
	for _, t := range of.Targets {
		if _, err := tx.Exec(`DELETE FROM effect_held WHERE tenant = ? AND instance = ? AND action = ? AND target = ? AND scope = ? AND NOT EXISTS
			(SELECT 1 FROM effect_holders h WHERE h.tenant = effect_held.tenant AND h.instance = effect_held.instance
				AND h.action = effect_held.action AND h.target = effect_held.target AND h.scope = effect_held.scope)`,
			of.Tenant, of.Instance, of.Action, t.ID, of.Scope); err != nil {
			return fmt.Errorf("effects: leave: %w", err)
		}
	}
	of.Undone = by
	return save(tx, of)
}

// freshUndo admits taking an effect back. No guard is asked: what was contained
// can always be released.
func (e *Effects) freshUndo(tx *store.Tx, in Intent, now time.Time) (Verdict, error) {
	of, err := get(tx, in.Of)
	if err != nil {
		return Verdict{}, err
	}
	if of != nil && of.Tenant != in.Key.Tenant {
		of = nil
	}
	back, err := arranged(tx, in.Of)
	if err != nil {
		return Verdict{}, err
	}
	ef := &Effect{
		Key: in.Key.String(), Tenant: in.Key.Tenant, Run: in.Key.Run, Step: in.Key.Step, Iteration: in.Key.Iteration,
		Direction: string(run.Undo), Of: in.Of, Actor: in.Actor, Approval: in.Approval, Inputs: []byte("{}"),
		Action: in.Action.Name, Instance: in.Instance, State: stateIdle, Created: now,
		Class: string(in.Action.Class), ReadBack: string(in.Action.ReadBack), Reversal: string(in.Action.Reversal), Settle: in.Action.Settle,
	}
	if why := notToUndo(of, back); why != "" {
		if fresh, err := insert(tx, ef); err != nil {
			return Verdict{}, err
		} else if !fresh {
			return e.admit(tx, in)
		}
		return e.nothing(tx, ef, why)
	}
	ef.Playbook, ef.Inputs, ef.Instance = of.Playbook, of.Inputs, of.Instance
	if back != nil {
		ef.Inputs, ef.Instance = back.Inputs, back.Instance
	}
	if busy, err := e.busy(tx, of, ef); err != nil || busy {
		return Verdict{Wait: now.Add(busyWait)}, err
	}
	if fresh, err := insert(tx, ef); err != nil {
		return Verdict{}, err
	} else if !fresh {
		return e.admit(tx, in)
	}
	return e.release(tx, of, ef, in, back, now)
}

// undoAgain admits an undo whose earlier attempts did nothing. Meanwhile others
// may hold what it would release.
func (e *Effects) undoAgain(tx *store.Tx, ef *Effect, in Intent, now time.Time) (Verdict, error) {
	of, err := get(tx, ef.Of)
	if err != nil {
		return Verdict{}, err
	}
	back, err := arranged(tx, ef.Of)
	if err != nil {
		return Verdict{}, err
	}
	if why := notToUndo(of, back); why != "" {
		return e.nothing(tx, ef, why)
	}
	if busy, err := e.busy(tx, of, ef); err != nil || busy {
		return Verdict{Wait: now.Add(busyWait)}, err
	}
	return e.release(tx, of, ef, in, back, now)
}

// release calls for what the effect holds alone; what others hold too is only
// left to them. What is taken back as the author arranged it was never held.
func (e *Effects) release(tx *store.Tx, of, ef *Effect, in Intent, back *Arrangement, now time.Time) (Verdict, error) {
	if back != nil {
		ef.Targets = back.Targets
		if err := retarget(tx, ef); err != nil {
			return Verdict{}, err
		}
		return e.attempt(tx, ef, in, now)
	}
	alone, others, ours, err := e.alone(tx, of)
	if err != nil {
		return Verdict{}, err
	}
	if len(of.Targets) > 0 && len(alone) == 0 {
		if err := e.leave(tx, of.Key, ef.Key); err != nil {
			return Verdict{}, err
		}
		if !ours {
			return e.nothing(tx, ef, "it was so before Quell came")
		}
		return e.nothing(tx, ef, "still held by "+strings.Join(others, ", "))
	}
	// What others hold is left to them at once: were it left only with the
	// outcome, the last of them could go meanwhile, and nobody would release it.
	if len(others) > 0 {
		if err := e.leaveShared(tx, of, alone); err != nil {
			return Verdict{}, err
		}
	}
	ef.Targets = alone
	if ef.Prior, err = firstPriors(tx, of, alone); err != nil {
		return Verdict{}, err
	}
	if err := retarget(tx, ef); err != nil {
		return Verdict{}, err
	}
	return e.attempt(tx, ef, in, now)
}

// notToUndo says why there is nothing to take back, or "".
func notToUndo(of *Effect, back *Arrangement) string {
	switch {
	case of == nil:
		return "there is no such effect"
	case of.Undone != "":
		return "it was taken back before"
	case of.State != stateSettled:
		return "it has no outcome yet"
	case of.Outcome == Unknown:
		return "whether it happened is unknown; resolve it first"
	case of.Outcome != Done && of.Outcome != Already && of.Outcome != Partial:
		return "it had no effect: " + of.Outcome
	case back != nil:
	case of.Inverse == "":
		return "it has no inverse"
	case of.Outcome == Already && len(of.Targets) == 0:
		return "it was so before Quell came"
	}
	return ""
}

// nothing settles an undo that needs no call, on record.
func (e *Effects) nothing(tx *store.Tx, ef *Effect, why string) (Verdict, error) {
	ef.Detail = why
	ef.State, ef.Outcome, ef.Settled = stateSettled, Skipped, e.now()
	seq, err := e.note(tx, ef, "undo.nothing", map[string]any{"of": ef.Of, "reason": why})
	if err != nil {
		return Verdict{}, err
	}
	ef.Seq = seq
	if err := save(tx, ef); err != nil {
		return Verdict{}, err
	}
	return Verdict{Settled: ef}, unlock(tx, ef.Key)
}

// busy reports whether another effect is under way on a target of of; holders
// may change until it ends.
func (e *Effects) busy(tx *store.Tx, of, ef *Effect) (bool, error) {
	probe := &Effect{Tenant: of.Tenant, Instance: of.Instance, Key: ef.Key}
	owner, err := lock(tx, probe, of.Targets)
	if err != nil {
		return false, err
	}
	if err := unlock(tx, ef.Key); err != nil || !ef.Doubt {
		return owner != "", err
	}
	_, err = lock(tx, ef, ef.Targets) // in doubt it keeps what it was called for
	return owner != "", err
}

// alone returns the targets of an effect that nobody else holds, who holds the
// others, and whether the effect holds any at all.
func (e *Effects) alone(tx *store.Tx, of *Effect) (alone []guard.Target, others []string, ours bool, err error) {
	for _, t := range of.Targets {
		rows, err := tx.Query(`SELECT effect_key FROM effect_holders WHERE tenant = ? AND instance = ? AND action = ? AND target = ? AND scope = ? ORDER BY since, effect_key`,
			of.Tenant, of.Instance, of.Action, t.ID, of.Scope)
		if err != nil {
			return nil, nil, false, fmt.Errorf("effects: holders: %w", err)
		}
		keys, err := texts(rows)
		if err != nil {
			return nil, nil, false, fmt.Errorf("effects: holders: %w", err)
		}
		if !slices.Contains(keys, of.Key) {
			continue
		}
		ours = true
		if len(keys) == 1 {
			alone = append(alone, t)
			continue
		}
		for _, k := range keys {
			if k != of.Key {
				others = append(others, k)
			}
		}
	}
	return alone, others, ours, nil
}

func texts(rows *sql.Rows) ([]string, error) {
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// leaveShared ends an effect's hold of all targets but those that it holds alone.
func (e *Effects) leaveShared(tx *store.Tx, of *Effect, alone []guard.Target) error {
	for _, t := range of.Targets {
		if slices.Contains(alone, t) {
			continue
		}
		if _, err := tx.Exec(`DELETE FROM effect_holders WHERE tenant = ? AND instance = ? AND action = ? AND target = ? AND effect_key = ?`,
			of.Tenant, of.Instance, of.Action, t.ID, of.Key); err != nil {
			return fmt.Errorf("effects: leave: %w", err)
		}
	}
	return nil
}

// Filter narrows List; zero fields do not narrow.
type Filter struct {
	Run, Direction, State, Outcome string
	Limit                          int
}

// List returns effects in the order in which they were begun.
func (e *Effects) List(ctx context.Context, f Filter) ([]*Effect, error) {
	if f.Limit <= 0 || f.Limit > 10000 {
		f.Limit = 10000
	}
	where, args := "1 = 1", []any{}
	for _, c := range []struct{ column, value string }{{"run", f.Run}, {"direction", f.Direction}, {"state", f.State}, {"outcome", f.Outcome}} {
		if c.value != "" { // only then: an index serves no "? = '' OR"
			where += " AND " + c.column + " = ?"
			args = append(args, c.value)
		}
	}
	return e.query(ctx, `SELECT `+columns+` FROM effects WHERE `+where+` ORDER BY created, effect_key LIMIT ?`, append(args, f.Limit)...)
}

// Stack returns what a run did and has not taken back, newest first. Steps, where
// given, are the step paths to look at. An effect without an outcome, whose call
// may have left, comes as unknown: nobody shall believe that all was taken back.
func (e *Effects) Stack(ctx context.Context, tenant, runID string, steps []string) ([]*Effect, error) {
	all, err := e.query(ctx, `SELECT `+columns+` FROM effects WHERE tenant = ? AND run = ? AND direction = 'do' AND undone = '' AND
		(outcome IN ('done', 'partial') OR (outcome = 'unknown' AND resolved = '')
			OR (outcome = 'already' AND EXISTS (SELECT 1 FROM effect_holders h WHERE h.effect_key = effects.effect_key))
			OR state = 'open' OR (state = 'idle' AND doubt = 1))
		ORDER BY CASE WHEN seq = 0 THEN 1 ELSE 0 END DESC, seq DESC, created DESC, effect_key`, tenant, runID)
	if err != nil {
		return nil, err
	}
	for _, ef := range all {
		if ef.State != stateSettled {
			ef.Outcome, ef.Detail = Unknown, "its outcome is not known yet"
		}
	}
	if len(steps) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(ef *Effect) bool { return !slices.Contains(steps, ef.Step) }), nil
}

// Forsaken lists effects of which nobody knows whether they happened: without an
// outcome though nothing of the last attempt can land since grace, or unknown and
// not resolved; the oldest first. Those of a run that goes on are its own to bring
// to an end; of others, people must be asked.
func (e *Effects) Forsaken(ctx context.Context, grace time.Duration) ([]*Effect, error) {
	all, err := e.query(ctx, `SELECT `+columns+` FROM effects WHERE state = 'open' OR (state = 'idle' AND doubt = 1) OR (outcome = 'unknown' AND resolved = '')
		ORDER BY created, effect_key LIMIT 10000`)
	if err != nil {
		return nil, err
	}
	last := e.now().Add(-grace)
	return slices.DeleteFunc(all, func(ef *Effect) bool { return ef.State != stateSettled && ef.Deadline.Add(ef.Settle).After(last) }), nil
}

func (e *Effects) query(ctx context.Context, q string, args ...any) ([]*Effect, error) {
	var out []*Effect
	err := e.db.View(ctx, func(tx *store.Tx) error {
		out = nil
		rows, err := tx.Query(q, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			ef, err := scan(rows)
			if err != nil {
				return err
			}
			out = append(out, ef)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("effects: read: %w", err)
	}
	return out, nil
}

// Get returns one effect, or ErrNotFound.
func (e *Effects) Get(ctx context.Context, key string) (*Effect, error) {
	out, err := e.query(ctx, `SELECT `+columns+` FROM effects WHERE effect_key = ?`, key)
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	return out[0], nil
}

// Holds tells whether an effect holds anything.
func (e *Effects) Holds(ctx context.Context, key string) (bool, error) {
	n := 0
	err := e.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM effect_holders WHERE effect_key = ?`, key).Scan(&n)
	})
	return n > 0, err
}

// Age tells for how long a settled effect has been there, by its clock: since its
// outcome was stored, and where that came later than its last call had to end, as by
// the word of a person, since then.
func (e *Effects) Age(of *Effect) time.Duration {
	since := of.Settled
	if !of.Deadline.IsZero() && of.Deadline.Before(since) {
		since = of.Deadline
	}
	return e.now().Sub(since)
}

// Holders lists the effects that hold a target, in whatever scope, the first
// first.
func (e *Effects) Holders(ctx context.Context, tenant, instance, action, target string) (keys []string, err error) {
	err = e.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT effect_key FROM effect_holders WHERE tenant = ? AND instance = ? AND action = ? AND target = ? ORDER BY since, effect_key`,
			tenant, instance, action, target)
		if err != nil {
			return err
		}
		keys, err = texts(rows)
		return err
	})
	return keys, err
}
