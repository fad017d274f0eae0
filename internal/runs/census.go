package runs

import (
	"context"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Counts is how many runs have not ended.
type Counts struct {
	Waiting, Running int
	// Oldest is when the run was claimed that waits the longest; zero where none
	// waits.
	Oldest time.Time
}

// Census counts a tenant's runs that have not ended, for metrics. It reads indexes
// only.
func (r *Runs) Census(ctx context.Context, tenant string) (Counts, error) {
	var c Counts
	err := r.db.View(ctx, func(tx *store.Tx) error {
		var first int64
		if err := tx.QueryRow(`SELECT COUNT(*), COALESCE(MIN(created), 0) FROM runs WHERE tenant = ? AND status = 'waiting'`, tenant).Scan(&c.Waiting, &first); err != nil {
			return err
		}
		c.Oldest = fromNanos(first)
		return tx.QueryRow(`SELECT COUNT(*) FROM runs WHERE tenant = ? AND status = 'running'`, tenant).Scan(&c.Running)
	})
	return c, err
}
