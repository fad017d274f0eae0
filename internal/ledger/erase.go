package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// ErrKept says that a payload may not be erased: it tells of what is gone, and
// without it that would look like theft.
var ErrKept = errors.New("the payloads of ledger.erased and ledger.pruned entries are not erased")

// ErrNoEntry says that the store has no entry of that number.
var ErrNoEntry = errors.New("the ledger in the store has no such entry")

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
	return l.db.Update(ctx, func(tx *store.Tx) error { return l.erase(tx, seqs, actor, reason) })
}

func (l *Ledger) erase(tx *store.Tx, seqs []int64, actor, reason string) error {
	if len(seqs) == 0 {
		return nil
	}
	for _, s := range seqs {
		var kind string
		err := tx.QueryRow(`SELECT kind FROM ledger_rows WHERE seq = ?`, s).Scan(&kind)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("ledger: erase %d: %w", s, ErrNoEntry)
		}
		if err != nil {
			return fmt.Errorf("ledger: erase %d: %w", s, err)
		}
		if kind == kindErased || kind == kindPruned {
			return fmt.Errorf("ledger: erase %d: %w", s, ErrKept)
		}
		if _, err := tx.Exec(`DELETE FROM ledger_payloads WHERE seq = ?`, s); err != nil {
			return fmt.Errorf("ledger: erase %d: %w", s, err)
		}
	}
	_, err := l.Append(tx, Row{Kind: kindErased, Actor: actor}, erasure{Seqs: seqs, Reason: reason})
	return err
}

// EraseOf is Erase of all that is left of the entries of a run, or where run is
// empty of those about a key, within the caller's transaction. It erases nothing
// and returns false where one of them has a number above upto.
func (l *Ledger) EraseOf(tx *store.Tx, run, key string, upto int64, actor, reason string) (bool, error) {
	column, value := "run", run
	if run == "" {
		column, value = "entry_key", key
	}
	var last int64
	if err := tx.QueryRow(`SELECT COALESCE(MAX(seq), 0) FROM ledger_rows WHERE `+column+` = ?`, value).Scan(&last); err != nil || last > upto {
		return false, err
	}
	rows, err := tx.Query(`SELECT r.seq FROM ledger_rows r JOIN ledger_payloads p ON p.seq = r.seq WHERE r.`+column+` = ? AND r.kind <> ? ORDER BY r.seq`, value, kindErased)
	if err != nil {
		return false, fmt.Errorf("ledger: erase: %w", err)
	}
	var seqs []int64
	for rows.Next() {
		var s int64
		if err := rows.Scan(&s); err != nil {
			return false, errors.Join(err, rows.Close())
		}
		seqs = append(seqs, s)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return false, fmt.Errorf("ledger: erase: %w", err)
	}
	return true, l.erase(tx, seqs, actor, reason)
}

// ShedCheckpoints removes checkpoints that were made before a time and cover at
// most upto rows, but the last of all: each covers what the earlier ones did.
func (l *Ledger) ShedCheckpoints(tx *store.Tx, before time.Time, upto int64) error {
	_, err := tx.Exec(`DELETE FROM ledger_checkpoints WHERE made < ? AND size <= ? AND size < (SELECT MAX(size) FROM ledger_checkpoints)`, before.UnixNano(), upto)
	if err != nil {
		return fmt.Errorf("ledger: shed checkpoints: %w", err)
	}
	return nil
}

// erasures reads which payloads a row tells of as erased.
func erasures(r Row, body []byte) []int64 {
	var e erasure
	if r.Kind != kindErased || json.Unmarshal(body, &e) != nil {
		return nil
	}
	return e.Seqs
}
