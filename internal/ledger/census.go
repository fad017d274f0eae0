package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Standing is how far the ledger and its checkpoints are.
type Standing struct {
	Entries int64
	// Unsigned of them are under no checkpoint yet; Since is when the oldest of
	// these was made, zero where there is none.
	Unsigned int64
	Since    time.Time
}

// Census tells how far the ledger is, for metrics. It checks nothing; see
// VerifyStore.
func (l *Ledger) Census(ctx context.Context) (Standing, error) {
	var s Standing
	err := l.db.View(ctx, func(tx *store.Tx) error {
		s = Standing{}
		var signed sql.NullInt64
		err := tx.QueryRow(`SELECT seq FROM ledger_head WHERE id = 1`).Scan(&s.Entries)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := tx.QueryRow(`SELECT MAX(size) FROM ledger_checkpoints`).Scan(&signed); err != nil {
			return err
		}
		if s.Unsigned = s.Entries - signed.Int64; s.Unsigned <= 0 {
			s.Unsigned = 0
			return nil
		}
		var raw []byte
		if err := tx.QueryRow(`SELECT row_bytes FROM ledger_rows WHERE seq = ?`, signed.Int64+1).Scan(&raw); err != nil {
			return err
		}
		var r Row
		if err := json.Unmarshal(raw, &r); err != nil {
			return err
		}
		s.Since = time.Unix(0, r.Time).UTC()
		return nil
	})
	return s, err
}
