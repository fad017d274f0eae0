package effects

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
)

// Schema makes the tables of effects and holders.
func Schema() store.Schema {
	return store.Schema{Name: "effects", Steps: []string{
		`CREATE TABLE effects (
			effect_key TEXT PRIMARY KEY, tenant TEXT NOT NULL, run TEXT NOT NULL, playbook TEXT NOT NULL,
			step TEXT NOT NULL, iteration TEXT NOT NULL, direction TEXT NOT NULL, of_key TEXT NOT NULL,
			action TEXT NOT NULL, instance TEXT NOT NULL,
			class TEXT NOT NULL, read_back TEXT NOT NULL, reversal TEXT NOT NULL, inverse TEXT NOT NULL, settle BIGINT NOT NULL,
			inputs BLOB NOT NULL, targets BLOB NOT NULL, scope TEXT NOT NULL, target_count BIGINT NOT NULL, actor TEXT NOT NULL, approval TEXT NOT NULL,
			state TEXT NOT NULL, fence BIGINT NOT NULL, deadline BIGINT NOT NULL,
			outcome TEXT NOT NULL, output BLOB, prior BLOB, detail TEXT NOT NULL, error_kind TEXT NOT NULL, vendor_code TEXT NOT NULL,
			verified BIGINT NOT NULL, found TEXT NOT NULL, doubt BIGINT NOT NULL, undone TEXT NOT NULL, resolved TEXT NOT NULL,
			created BIGINT NOT NULL, settled BIGINT NOT NULL, seq BIGINT NOT NULL)`,
		`CREATE INDEX effects_run ON effects (run, seq)`,
		`CREATE INDEX effects_open ON effects (state, deadline)`,
		`CREATE TABLE effect_locks (
			tenant TEXT NOT NULL, instance TEXT NOT NULL, target TEXT NOT NULL, effect_key TEXT NOT NULL,
			PRIMARY KEY (tenant, instance, target))`,
		`CREATE INDEX effect_locks_key ON effect_locks (effect_key)`,
		`CREATE TABLE effect_held (
			tenant TEXT NOT NULL, instance TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, scope TEXT NOT NULL,
			first_key TEXT NOT NULL, prior BLOB, PRIMARY KEY (tenant, instance, action, target, scope))`,
		`CREATE TABLE effect_holders (
			tenant TEXT NOT NULL, instance TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, scope TEXT NOT NULL,
			effect_key TEXT NOT NULL, since BIGINT NOT NULL, PRIMARY KEY (tenant, instance, action, target, scope, effect_key))`,
		`CREATE INDEX effect_holders_key ON effect_holders (effect_key)`,
		`ALTER TABLE effects ADD COLUMN refusal BLOB`,
		`CREATE INDEX effects_outcome ON effects (outcome, created)`,
		`CREATE TABLE effect_turns (
			tenant TEXT NOT NULL, instance TEXT NOT NULL, lane TEXT NOT NULL, ended BIGINT NOT NULL,
			PRIMARY KEY (tenant, instance, lane))`,
		`CREATE TABLE effect_seen (effect_key TEXT PRIMARY KEY, looked BIGINT NOT NULL, present BIGINT NOT NULL)`,
		`CREATE TABLE effect_arranged (
			effect_key TEXT PRIMARY KEY, action TEXT NOT NULL, instance TEXT NOT NULL, inputs BLOB NOT NULL, targets BLOB NOT NULL)`,
	}}
}

const columns = `effect_key, tenant, run, playbook, step, iteration, direction, of_key, action, instance,
	class, read_back, reversal, inverse, settle, inputs, targets, scope, actor, approval, state, fence, deadline,
	outcome, output, prior, detail, error_kind, vendor_code, verified, found, doubt, undone, resolved, created, settled, seq, refusal`

type scanner interface{ Scan(...any) error }

func scan(s scanner) (*Effect, error) {
	var e Effect
	var targets []byte
	var inputs, output, prior, refusal []byte
	var settle, deadline, created, settled int64
	var verified, doubt int64
	err := s.Scan(&e.Key, &e.Tenant, &e.Run, &e.Playbook, &e.Step, &e.Iteration, &e.Direction, &e.Of, &e.Action, &e.Instance,
		&e.Class, &e.ReadBack, &e.Reversal, &e.Inverse, &settle, &inputs, &targets, &e.Scope, &e.Actor, &e.Approval, &e.State, &e.Fence, &deadline,
		&e.Outcome, &output, &prior, &e.Detail, &e.ErrorKind, &e.VendorCode, &verified, &e.Found, &doubt, &e.Undone, &e.Resolved, &created, &settled, &e.Seq, &refusal)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(targets, &e.Targets); err != nil {
		return nil, fmt.Errorf("effect %s: targets: %w", e.Key, err)
	}
	if len(refusal) > 0 {
		if err := json.Unmarshal(refusal, &e.Refusal); err != nil {
			return nil, fmt.Errorf("effect %s: refusal: %w", e.Key, err)
		}
	}
	e.Inputs, e.Output, e.Prior, e.Verified, e.Doubt = inputs, output, prior, verified != 0, doubt != 0
	e.Settle, e.Deadline, e.Created, e.Settled = time.Duration(settle), nanos(deadline), nanos(created), nanos(settled)
	return &e, nil
}

func nanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// get reads and locks one effect; nil where there is none.
func get(tx *store.Tx, key string) (*Effect, error) {
	e, err := scan(tx.QueryRow(`SELECT `+columns+` FROM effects WHERE effect_key = ?`+tx.ForUpdate(), key))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("effects: read %s: %w", key, err)
	}
	return e, nil
}

// insert stores a new effect; fresh is false where another transaction has stored
// it meanwhile.
func insert(tx *store.Tx, e *Effect) (fresh bool, err error) {
	targets, err := json.Marshal(append([]guard.Target{}, e.Targets...))
	if err != nil {
		return false, fmt.Errorf("effects: %w", err)
	}
	res, err := tx.Exec(`INSERT INTO effects (`+columns+`, target_count) VALUES
		(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (effect_key) DO NOTHING`,
		e.Key, e.Tenant, e.Run, e.Playbook, e.Step, e.Iteration, e.Direction, e.Of, e.Action, e.Instance,
		e.Class, e.ReadBack, e.Reversal, e.Inverse, int64(e.Settle), []byte(e.Inputs), targets, e.Scope, e.Actor, e.Approval, e.State, e.Fence, unix(e.Deadline),
		e.Outcome, null(e.Output), null(e.Prior), e.Detail, e.ErrorKind, e.VendorCode, flag(e.Verified), e.Found, flag(e.Doubt), e.Undone, e.Resolved, unix(e.Created), unix(e.Settled), e.Seq, refused(e.Refusal),
		len(e.Targets))
	if err != nil {
		return false, fmt.Errorf("effects: store %s: %w", e.Key, err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// save writes what changes in an effect's life.
func save(tx *store.Tx, e *Effect) error {
	_, err := tx.Exec(`UPDATE effects SET state = ?, fence = ?, deadline = ?, outcome = ?, output = ?, prior = ?, detail = ?,
		error_kind = ?, vendor_code = ?, verified = ?, found = ?, doubt = ?, undone = ?, resolved = ?, settled = ?, seq = ?, refusal = ? WHERE effect_key = ?`,
		e.State, e.Fence, unix(e.Deadline), e.Outcome, null(e.Output), null(e.Prior), e.Detail,
		e.ErrorKind, e.VendorCode, flag(e.Verified), e.Found, flag(e.Doubt), e.Undone, e.Resolved, unix(e.Settled), e.Seq, refused(e.Refusal), e.Key)
	if err != nil {
		return fmt.Errorf("effects: store %s: %w", e.Key, err)
	}
	return nil
}

// retarget stores what an undo is to be called for.
func retarget(tx *store.Tx, e *Effect) error {
	raw, err := json.Marshal(append([]guard.Target{}, e.Targets...))
	if err != nil {
		return fmt.Errorf("effects: %w", err)
	}
	if _, err := tx.Exec(`UPDATE effects SET targets = ?, target_count = ?, prior = ? WHERE effect_key = ?`, raw, len(e.Targets), null(e.Prior), e.Key); err != nil {
		return fmt.Errorf("effects: store %s: %w", e.Key, err)
	}
	return nil
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func null(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return []byte(raw)
}

func refused(r *guard.Refusal) any {
	if r == nil {
		return nil
	}
	raw, err := json.Marshal(r)
	if err != nil { // plain texts: it cannot fail
		return nil
	}
	return raw
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// lock takes the targets for an effect; busy is the key of another effect that
// has one of them.
func lock(tx *store.Tx, e *Effect, targets []guard.Target) (busy string, err error) {
	for _, t := range targets {
		owner, err := lockTarget(tx, e, t.ID)
		if err != nil {
			return "", fmt.Errorf("effects: lock %s: %w", t.Label, err)
		}
		if owner != e.Key {
			return owner, nil
		}
	}
	return "", nil
}

// lockTarget takes one target, or tells who has it. On PostgreSQL the owner that
// stood in the way of the insert may be gone by the time of the look.
func lockTarget(tx *store.Tx, e *Effect, target string) (owner string, err error) {
	for {
		res, err := tx.Exec(`INSERT INTO effect_locks (tenant, instance, target, effect_key) VALUES (?, ?, ?, ?) ON CONFLICT (tenant, instance, target) DO NOTHING`,
			e.Tenant, e.Instance, target, e.Key)
		if err != nil {
			return "", err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return e.Key, err
		}
		err = tx.QueryRow(`SELECT effect_key FROM effect_locks WHERE tenant = ? AND instance = ? AND target = ?`+tx.ForUpdate(),
			e.Tenant, e.Instance, target).Scan(&owner)
		if !errors.Is(err, sql.ErrNoRows) {
			return owner, err
		}
	}
}

func unlock(tx *store.Tx, key string) error {
	if _, err := tx.Exec(`DELETE FROM effect_locks WHERE effect_key = ?`, key); err != nil {
		return fmt.Errorf("effects: unlock: %w", err)
	}
	return nil
}
