package effects

import (
	"context"

	"github.com/quell-soar/quell/internal/store"
)

// Standing is how many effects need an eye.
type Standing struct {
	// Held hold something; Unknown may have happened, and nobody has said; Open may
	// be under way.
	Held, Unknown, Open int
}

// Census counts the effects that need an eye, for metrics.
func (e *Effects) Census(ctx context.Context) (Standing, error) {
	var s Standing
	err := e.db.View(ctx, func(tx *store.Tx) error {
		for _, c := range []struct {
			q string
			n *int
		}{
			{`SELECT COUNT(DISTINCT effect_key) FROM effect_holders`, &s.Held},
			{`SELECT COUNT(*) FROM effects WHERE outcome = 'unknown' AND resolved = ''`, &s.Unknown},
			{`SELECT COUNT(*) FROM effects WHERE state = 'open'`, &s.Open},
		} {
			if err := tx.QueryRow(c.q).Scan(c.n); err != nil {
				return err
			}
		}
		return nil
	})
	return s, err
}

// FirstOf tells whether key is the first effect of its run that was done: no other
// one was before it.
func (e *Effects) FirstOf(ctx context.Context, runID, key string) (bool, error) {
	n := 0
	err := e.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM effects WHERE run = ? AND direction = 'do' AND outcome IN ('done', 'partial')
			AND effect_key <> ? AND seq < (SELECT seq FROM effects WHERE effect_key = ?)`, runID, key, key).Scan(&n)
	})
	return err == nil && n == 0, err
}
