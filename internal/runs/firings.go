package runs

import (
	"fmt"

	"github.com/quell-soar/quell/internal/store"
)

// Fire claims a run for one firing of a schedule: the same firing again is what
// it was. Whether the run before is still alive, Claim decides by OnceValue.
func (r *Runs) Fire(tx *store.Tx, firing string, c Claim) (Claimed, error) {
	res, err := tx.Exec(`INSERT INTO firings (id, run) VALUES (?, '') ON CONFLICT (id) DO NOTHING`, firing)
	if err != nil {
		return Claimed{}, fmt.Errorf("firing %s: %w", firing, err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return Claimed{}, err
	} else if n == 0 {
		got := Claimed{Repeated: true}
		err := tx.QueryRow(`SELECT run FROM firings WHERE id = ?`, firing).Scan(&got.ID)
		return got, err
	}
	got, err := r.Claim(tx, c)
	if err != nil {
		return got, err
	}
	if _, err := tx.Exec(`UPDATE firings SET run = ? WHERE id = ?`, got.ID, firing); err != nil {
		return Claimed{}, fmt.Errorf("firing %s: %w", firing, err)
	}
	return got, nil
}
