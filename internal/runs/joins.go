package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// The states of runs.alerted. A flood of alerts about one thing nudges its run
// once: until the run has looked, nothing more is said to it.
const (
	alertedNot  = 0
	alertedNew  = 1
	alertedTold = 2
)

// correlate keeps that an alert joined the run, for a step that waits for one.
// The claim's row is locked, so the numbers have no gaps and are never doubled.
func (e ended) correlate(tx *store.Tx, alertID string) error {
	if alertID == "" {
		return nil
	}
	if _, err := tx.Exec(`INSERT INTO joins (run, seq, alert) VALUES (?, (SELECT COUNT(*) + 1 FROM joins WHERE run = ?), ?)`,
		e.id, e.id, alertID); err != nil {
		return fmt.Errorf("join %s: %w", e.id, err)
	}
	if _, err := tx.Exec(`UPDATE runs SET alerted = ? WHERE id = ? AND alerted = ?`, alertedNew, e.id, alertedNot); err != nil {
		return fmt.Errorf("join %s: %w", e.id, err)
	}
	return nil
}

// Nudge is a run to be told that alerts joined it; Seq is the newest's number.
type Nudge struct {
	Run string
	Seq int64
}

// Alerted lists the live runs to nudge.
func (r *Runs) Alerted(ctx context.Context) ([]Nudge, error) {
	var out []Nudge
	err := r.db.View(ctx, func(tx *store.Tx) error {
		out = nil
		rows, err := tx.Query(`SELECT r.id, (SELECT MAX(j.seq) FROM joins j WHERE j.run = r.id) FROM runs r
			WHERE r.alerted = 1 AND r.status = 'running' ORDER BY r.id LIMIT 256`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var n Nudge
			if err := rows.Scan(&n.Run, &n.Seq); err != nil {
				return err
			}
			out = append(out, n)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("runs: alerts to tell of: %w", err)
	}
	return out, nil
}

// AlertTold records that a run was nudged. Again changes nothing.
func (r *Runs) AlertTold(ctx context.Context, id string) error {
	return r.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE runs SET alerted = ? WHERE id = ? AND alerted = ?`, alertedTold, id, alertedNew)
		return err
	})
}

// Joined is one alert that joined a run. Seq counts from 1; the alert that
// started the run is not among them.
type Joined struct {
	Seq   int64
	Alert string
	// Value is what expressions see, as canonical JSON.
	Value json.RawMessage
}

// Bounds of one look.
const (
	mostJoined      = 64
	mostJoinedBytes = 256 << 10
)

// JoinedAfter lists the alerts that joined a run after the one numbered after,
// in order; more says that there are others. The run has looked then: the next
// alert nudges it again.
func (r *Runs) JoinedAfter(ctx context.Context, id string, after int64) (out []Joined, more bool, err error) {
	err = r.db.Update(ctx, func(tx *store.Tx) error {
		out, more = nil, false
		if _, err := tx.Exec(`UPDATE runs SET alerted = ? WHERE id = ?`, alertedNot, id); err != nil {
			return err
		}
		rows, err := tx.Query(`SELECT j.seq, j.alert, a.value FROM joins j JOIN alerts a ON a.id = j.alert
			WHERE j.run = ? AND j.seq > ? ORDER BY j.seq LIMIT ?`, id, after, mostJoined+1)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		size := 0
		for rows.Next() {
			var j Joined
			var value []byte
			if err := rows.Scan(&j.Seq, &j.Alert, &value); err != nil {
				return err
			}
			if size += len(value); len(out) == mostJoined || (len(out) > 0 && size > mostJoinedBytes) {
				more = true
				break
			}
			j.Value = value
			out = append(out, j)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, false, fmt.Errorf("runs: alerts that joined %s: %w", id, err)
	}
	return out, more, nil
}

// JoinedAt is an alert that joined a run, and when it came.
type JoinedAt struct {
	Joined
	Received time.Time
}

// Joins lists the alerts that joined a run, in order, at most limit. Unlike
// JoinedAfter it is nobody's look: the run's nudges stay as they are.
func (r *Runs) Joins(ctx context.Context, id string, limit int) (out []JoinedAt, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		out = nil
		rows, err := tx.Query(`SELECT j.seq, j.alert, a.value, a.received FROM joins j JOIN alerts a ON a.id = j.alert
			WHERE j.run = ? ORDER BY j.seq LIMIT ?`, id, limit)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var j JoinedAt
			var value []byte
			var received int64
			if err := rows.Scan(&j.Seq, &j.Alert, &value, &received); err != nil {
				return err
			}
			j.Value, j.Received = value, time.Unix(0, received).UTC()
			out = append(out, j)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("runs: alerts that joined %s: %w", id, err)
	}
	return out, nil
}
