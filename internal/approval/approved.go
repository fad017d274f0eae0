package approval

import (
	"database/sql"
	"errors"
	"fmt"

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
