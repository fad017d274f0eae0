package approval

import (
	"context"

	"github.com/quell-soar/quell/internal/store"
)

// Pending is a vote, or a withdrawal, that the waiting workflow may not have been
// told of.
type Pending struct{ Vote, Request string }

// Undelivered lists such votes for the dispatcher, the oldest first.
func (a *Approvals) Undelivered(ctx context.Context) ([]Pending, error) {
	var out []Pending
	err := a.db.View(ctx, func(tx *store.Tx) error {
		out = nil
		rows, err := tx.Query(`SELECT id, request FROM (
				SELECT id, request, at FROM votes WHERE delivered = 0
				UNION ALL SELECT id, request, at FROM request_events WHERE delivered = 0) AS w
			ORDER BY at, id LIMIT 256`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var p Pending
			if err := rows.Scan(&p.Vote, &p.Request); err != nil {
				return err
			}
			out = append(out, p)
		}
		return rows.Err()
	})
	return out, err
}

// Delivered marks a vote as told. It may be called again.
func (a *Approvals) Delivered(ctx context.Context, vote string) error {
	return a.db.Update(ctx, func(tx *store.Tx) error {
		for _, table := range []string{"votes", "request_events"} {
			if _, err := tx.Exec(`UPDATE `+table+` SET delivered = 1 WHERE id = ?`, vote); err != nil {
				return err
			}
		}
		return nil
	})
}
