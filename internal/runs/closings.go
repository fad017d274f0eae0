package runs

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// CloseAlerts marks the alerts that started or joined a run as closed: as says
// what they turned out to be. It returns how many there are and how many were
// closed so before. Doing it twice is doing it once.
func (r *Runs) CloseAlerts(ctx context.Context, runID, as string) (all, already int, err error) {
	err = r.db.Update(ctx, func(tx *store.Tx) error {
		all, already = 0, 0
		rows, err := tx.Query(`SELECT DISTINCT a.id, a.closed_as FROM alerts a JOIN verdicts v ON v.alert = a.id
			WHERE v.run = ? AND v.verdict IN ('started', 'joined') ORDER BY a.id`, runID)
		if err != nil {
			return err
		}
		var change []string
		for rows.Next() {
			var id, was string
			if err := rows.Scan(&id, &was); err != nil {
				return cmp.Or(err, rows.Close())
			}
			all++
			if was == as {
				already++
				continue
			}
			change = append(change, id)
		}
		if err := cmp.Or(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for _, id := range change {
			if _, err := tx.Exec(`UPDATE alerts SET closed_as = ?, closed_by = ?, closed = ? WHERE id = ?`, as, runID, r.now().UnixNano(), id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("close the alerts of %s: %w", runID, err)
	}
	return all, already, nil
}

// Closing is what an alert turned out to be, by which run and when; As is empty
// while it is open.
type Closing struct {
	As, By string
	At     time.Time
}

// ClosingOf returns an alert's closing, for every alert that is there.
func (r *Runs) ClosingOf(ctx context.Context, alertID string) (Closing, error) {
	var c Closing
	err := r.db.View(ctx, func(tx *store.Tx) error {
		var at int64
		if err := tx.QueryRow(`SELECT closed_as, closed_by, closed FROM alerts WHERE id = ?`, alertID).Scan(&c.As, &c.By, &at); err != nil {
			return missing("alert "+alertID, err)
		}
		if at != 0 {
			c.At = time.Unix(0, at).UTC()
		}
		return nil
	})
	return c, err
}

// OpenAlerts counts the alerts of a run that are not closed as as.
func (r *Runs) OpenAlerts(ctx context.Context, runID, as string) (n int, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(DISTINCT a.id) FROM alerts a JOIN verdicts v ON v.alert = a.id
			WHERE v.run = ? AND v.verdict IN ('started', 'joined') AND a.closed_as <> ?`, runID, as).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("the open alerts of %s: %w", runID, err)
	}
	return n, nil
}
