package approval

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Approved tells whether people approved a request of a run: a request whose time
// ran out was not, whatever its playbook does then. It is asked in the
// transaction that admits what was approved. A request that does not exist was
// not approved.
func Approved(tx *store.Tx, id, runID string) (bool, error) {
	var decision, of, kind string
	err := tx.QueryRow(`SELECT decision, run, kind FROM requests WHERE id = ?`, id).Scan(&decision, &of, &kind)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("approval: read %s: %w", id, err)
	}
	return decision == "approved" && of == runID && kind == Approval, nil
}

// Answer is how long people took to decide one request.
type Answer struct {
	Run  string
	Took time.Duration
}

// Answered lists the approvals and questions that people decided since a time, the
// newest first, at most 10,000. What nobody answered is not among them.
func (a *Approvals) Answered(ctx context.Context, tenant string, since time.Time) ([]Answer, error) {
	var out []Answer
	err := a.db.View(ctx, func(tx *store.Tx) error {
		out = nil
		rows, err := tx.Query(`SELECT run, opened, closed FROM requests WHERE tenant = ? AND decision IN ('approved', 'denied') AND opened > ?
			AND kind IN ('approval', 'question') ORDER BY opened DESC LIMIT 10000`, tenant, since.UnixNano())
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var one Answer
			var opened, closed int64
			if err := rows.Scan(&one.Run, &opened, &closed); err != nil {
				return err
			}
			one.Took = max(0, time.Duration(closed-opened))
			out = append(out, one)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("approval: answered: %w", err)
	}
	return out, nil
}
