package runs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Shedable lists runs that ended before a time, with their detail still there, the
// oldest first, without so many of them; not those whose caller or callee has not
// ended.
func (r *Runs) Shedable(ctx context.Context, before time.Time, skip, limit int) ([]string, error) {
	return r.names(ctx, `SELECT id FROM runs WHERE status = 'ended' AND shed = 0 AND ended < ?
		AND NOT EXISTS (SELECT 1 FROM runs c WHERE c.parent <> '' AND c.parent = runs.id AND c.status <> 'ended')
		AND NOT EXISTS (SELECT 1 FROM runs p WHERE p.id = runs.parent AND p.status <> 'ended')
		ORDER BY ended, id LIMIT ? OFFSET ?`, before.UnixNano(), limit, skip)
}

// Shed deletes the detail of a run: inputs, result, settings, what joined it. That
// it was, when, by whom and how it closed stays, and so does its id: it is not
// given away again.
func (r *Runs) Shed(tx *store.Tx, id string) error {
	if _, err := tx.Exec(`UPDATE runs SET shed = 1, inputs = ?, settings = ?, bindings = ?, targets = ?, result = NULL, calendars = NULL, calls = NULL WHERE id = ?`,
		[]byte("{}"), []byte("{}"), []byte("[]"), []byte("[]"), id); err != nil {
		return fmt.Errorf("shed %s: %w", id, err)
	}
	for _, q := range []string{`DELETE FROM joins WHERE run = ?`, `DELETE FROM verbs WHERE run = ?`, `DELETE FROM firings WHERE run = ?`} {
		if _, err := tx.Exec(q, id); err != nil {
			return fmt.Errorf("shed %s: %w", id, err)
		}
	}
	return nil
}

// Forgettable lists runs without their detail that ended in a span of time, the
// oldest first, without so many of them.
func (r *Runs) Forgettable(ctx context.Context, from, before time.Time, skip, limit int) ([]string, error) {
	return r.names(ctx, `SELECT id FROM runs WHERE shed = 1 AND ended >= ? AND ended < ? ORDER BY ended, id LIMIT ? OFFSET ?`,
		nanos(from), before.UnixNano(), limit, skip)
}

// Forget deletes what Shed left of a run, and what was claimed with it unless a later
// run is about the same. Its id is not given away again: what is claimed anew begins
// with a generation that none of the forgotten had. It does nothing and returns false
// while a run that this one called is known: an undo finds that one through it.
func (r *Runs) Forget(tx *store.Tx, id string) (bool, error) {
	var tenant, playbook, hash string
	var generation int
	err := tx.QueryRow(`SELECT tenant, playbook, hash, generation FROM runs WHERE id = ? AND shed = 1
		AND NOT EXISTS (SELECT 1 FROM runs c WHERE c.parent <> '' AND c.parent = runs.id)`, id).Scan(&tenant, &playbook, &hash, &generation)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("forget %s: %w", id, err)
	}
	// The claim first, as Claim does: who claims the same waits for it.
	var claimed int
	err = tx.QueryRow(`DELETE FROM claims WHERE tenant = ? AND playbook = ? AND hash = ? AND generation = ? RETURNING 1`, tenant, playbook, hash, generation).Scan(&claimed)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO claims_floor (id, generation) VALUES (1, ?)
			ON CONFLICT (id) DO UPDATE SET generation = excluded.generation WHERE excluded.generation > claims_floor.generation`, generation)
	} else if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if err == nil {
		_, err = tx.Exec(`DELETE FROM runs WHERE id = ?`, id)
	}
	if err != nil {
		return false, fmt.Errorf("forget %s: %w", id, err)
	}
	return true, nil
}

// Keeps tells whether a run has not ended before a time, or has its detail still.
// One that is not known does not.
func (r *Runs) Keeps(tx *store.Tx, id string, before time.Time) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM runs WHERE id = ? AND (shed = 0 OR ended >= ?)`, id, before.UnixNano()).Scan(&n)
	if err != nil {
		return true, fmt.Errorf("runs: %w", err)
	}
	return n > 0, nil
}

// ShedableAlerts lists alerts that were received before a time and have no run
// whose detail is still there, the oldest first, without so many of them.
func (r *Runs) ShedableAlerts(ctx context.Context, before time.Time, skip, limit int) ([]string, error) {
	return r.names(ctx, `SELECT id FROM alerts WHERE received < ? AND NOT EXISTS
		(SELECT 1 FROM verdicts v JOIN runs ON runs.id = v.run WHERE v.alert = alerts.id AND runs.shed = 0)
		ORDER BY received, id LIMIT ? OFFSET ?`, before.UnixNano(), limit, skip)
}

// ShedAlert deletes an alert and what it meant. The same alert, should it come
// again after so long, is a new one.
func (r *Runs) ShedAlert(tx *store.Tx, id string) error {
	for _, q := range []string{`DELETE FROM verdicts WHERE alert = ?`, `DELETE FROM alerts WHERE id = ?`} {
		if _, err := tx.Exec(q, id); err != nil {
			return fmt.Errorf("shed alert %s: %w", id, err)
		}
	}
	return nil
}

// OldestOpen is when the oldest run was claimed that has not ended; zero where all
// have.
func (r *Runs) OldestOpen(ctx context.Context) (time.Time, error) {
	var first int64
	err := r.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COALESCE(MIN(created), 0) FROM runs WHERE status <> 'ended'`).Scan(&first)
	})
	return fromNanos(first), err
}

func (r *Runs) names(ctx context.Context, q string, args ...any) ([]string, error) {
	out, err := r.db.Texts(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	return out, nil
}
