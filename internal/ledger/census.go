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
	// Entries were made; Stored of them are in the store, the others left it.
	Entries, Stored int64
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
		gone, err := base(tx)
		if err != nil {
			return err
		}
		s.Stored = s.Entries - gone.Seq
		if err := tx.QueryRow(`SELECT MAX(size) FROM ledger_checkpoints`).Scan(&signed); err != nil {
			return err
		}
		s.Unsigned = max(0, s.Entries-signed.Int64)
		s.Since, err = madeAfter(tx, signed.Int64)
		return err
	})
	return s, err
}

// MadeAfter is when the entry after a number was made; zero where there is none.
func (l *Ledger) MadeAfter(ctx context.Context, seq int64) (at time.Time, err error) {
	err = l.db.View(ctx, func(tx *store.Tx) (err error) {
		at, err = madeAfter(tx, seq)
		return err
	})
	return at, err
}

func madeAfter(tx *store.Tx, seq int64) (time.Time, error) {
	var raw []byte
	err := tx.QueryRow(`SELECT row_bytes FROM ledger_rows WHERE seq = ?`, seq+1).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	var r Row
	if err := json.Unmarshal(raw, &r); err != nil {
		return time.Time{}, err
	}
	return time.Unix(0, r.Time).UTC(), nil
}
