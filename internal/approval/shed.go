package approval

import (
	"fmt"

	"github.com/quell-soar/quell/internal/store"
)

// Shed deletes the closed requests of a run, with their votes and events. What is
// still open stays: a hold may ask years after its run.
func (a *Approvals) Shed(tx *store.Tx, runID string) error {
	const closed = `(SELECT id FROM requests WHERE run = ? AND decision <> '')`
	for _, q := range []string{
		`DELETE FROM votes WHERE request IN ` + closed,
		`DELETE FROM request_events WHERE request IN ` + closed,
		`DELETE FROM requests WHERE run = ? AND decision <> ''`,
	} {
		if _, err := tx.Exec(q, runID); err != nil {
			return fmt.Errorf("approval: shed %s: %w", runID, err)
		}
	}
	return nil
}
