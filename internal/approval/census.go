package approval

import (
	"context"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Open is how many requests wait for people.
type Open struct {
	// Kinds counts them by kind. Oldest is when the first of them was opened; zero
	// where none is.
	Kinds  map[string]int
	Oldest time.Time
}

// Census counts the requests that wait, for metrics. It reads an index only.
func (a *Approvals) Census(ctx context.Context) (Open, error) {
	var out Open
	err := a.db.View(ctx, func(tx *store.Tx) error {
		out = Open{Kinds: map[string]int{}}
		rows, err := tx.Query(`SELECT kind, COUNT(*), MIN(opened) FROM requests WHERE decision = '' GROUP BY kind`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var kind string
			var n int
			var first int64
			if err := rows.Scan(&kind, &n, &first); err != nil {
				return err
			}
			out.Kinds[kind] = n
			if at := time.Unix(0, first).UTC(); out.Oldest.IsZero() || at.Before(out.Oldest) {
				out.Oldest = at
			}
		}
		return rows.Err()
	})
	return out, err
}
