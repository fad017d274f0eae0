package clock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// jumped is the ledger's payload of a jump.
type jumped struct {
	Host string `json:"host"`
	// By is what the wall clock gained, in nanoseconds; To is where it stood then.
	By int64     `json:"by"`
	To time.Time `json:"to"`
}

// keep stores the reading and the jumps that are not stored yet, with their ledger
// entries.
func (w *Watch) keep(ctx context.Context) error {
	w.mu.Lock()
	fresh, all, at := w.jumps[w.kept:], len(w.jumps), w.anchor
	w.mu.Unlock()
	err := w.o.DB.Update(ctx, func(tx *store.Tx) error {
		for _, j := range fresh {
			if err := w.put(tx, j); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`INSERT INTO clock_readings (host, wall, up) VALUES (?, ?, ?) ON CONFLICT (host) DO UPDATE SET wall = excluded.wall, up = excluded.up`,
			w.o.Host, at.Wall.UnixNano(), int64(at.Up))
		return err
	})
	if err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	w.mu.Lock()
	w.kept = max(w.kept, all)
	w.mu.Unlock()
	return nil
}

// put stores a jump, unless another process of this machine has stored it.
func (w *Watch) put(tx *store.Tx, j Jump) error {
	if err := tx.Alone("clock.jumps"); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM clock_jumps WHERE host = ? AND up BETWEEN ? AND ? AND gained BETWEEN ? AND ?`,
		w.o.Host, int64(j.Up-time.Minute), int64(j.Up+time.Minute), int64(j.By-step), int64(j.By+step)).Scan(&n); err != nil || n > 0 {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO clock_jumps (host, up, wall, gained) VALUES (?, ?, ?, ?)`, w.o.Host, int64(j.Up), j.At.UnixNano(), int64(j.By)); err != nil {
		return err
	}
	_, err := w.o.Ledger.Append(tx, ledger.Row{Kind: "clock.jumped", Tenant: w.o.Tenant, Actor: "system:clock"}, jumped{w.o.Host, int64(j.By), j.At.UTC()})
	return err
}

func (w *Watch) load(tx *store.Tx) error {
	rows, err := tx.Query(`SELECT up, wall, gained FROM clock_jumps WHERE host = ? ORDER BY up`, w.o.Host)
	if err != nil {
		return err
	}
	for rows.Next() {
		var up, wall, gained int64
		if err := rows.Scan(&up, &wall, &gained); err != nil {
			return errors.Join(err, rows.Close())
		}
		w.jumps = append(w.jumps, Jump{At: time.Unix(0, wall), Up: time.Duration(up), By: time.Duration(gained)})
	}
	return errors.Join(rows.Err(), rows.Close())
}

// last is the reading of an earlier process of this boot, or none.
func (w *Watch) last(tx *store.Tx) (Reading, error) {
	var wall, up int64
	err := tx.QueryRow(`SELECT wall, up FROM clock_readings WHERE host = ?`, w.o.Host).Scan(&wall, &up)
	if errors.Is(err, sql.ErrNoRows) {
		return Reading{}, nil
	}
	return Reading{time.Unix(0, wall), time.Duration(up)}, err
}
