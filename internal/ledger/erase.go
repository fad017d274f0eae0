package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/quell-soar/quell/internal/store"
)

// ErrKept says that a payload may not be erased: it tells of erasures, and
// without it those would look like theft.
var ErrKept = errors.New("the payload of a ledger.erased entry is kept for ever")

// ErrNoEntry says that there is no entry of that number.
var ErrNoEntry = errors.New("the ledger has no such entry")

const kindErased = "ledger.erased"

// erasure is the payload of a ledger.erased entry.
type erasure struct {
	Seqs   []int64 `json:"seqs"`
	Reason string  `json:"reason"`
}

// Erase removes the payloads of entries, and writes that it did, in one
// transaction. The rows stay and every proof holds. All of seqs must exist; none
// is erased where one may not be. It may be called again: what is erased already
// is told of again and changes nothing.
func (l *Ledger) Erase(ctx context.Context, seqs []int64, actor, reason string) error {
	if len(seqs) == 0 {
		return nil
	}
	return l.db.Update(ctx, func(tx *store.Tx) error {
		for _, s := range seqs {
			var kind string
			err := tx.QueryRow(`SELECT kind FROM ledger_rows WHERE seq = ?`, s).Scan(&kind)
			if errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("ledger: erase %d: %w", s, ErrNoEntry)
			}
			if err != nil {
				return fmt.Errorf("ledger: erase %d: %w", s, err)
			}
			if kind == kindErased {
				return fmt.Errorf("ledger: erase %d: %w", s, ErrKept)
			}
			if _, err := tx.Exec(`DELETE FROM ledger_payloads WHERE seq = ?`, s); err != nil {
				return fmt.Errorf("ledger: erase %d: %w", s, err)
			}
		}
		_, err := l.Append(tx, Row{Kind: kindErased, Actor: actor}, erasure{Seqs: seqs, Reason: reason})
		return err
	})
}

// erasures reads which payloads a row tells of as erased.
func erasures(r Row, body []byte) []int64 {
	var e erasure
	if r.Kind != kindErased || json.Unmarshal(body, &e) != nil {
		return nil
	}
	return e.Seqs
}
