package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"

	"github.com/quell-soar/quell/internal/store"
)

// line is one line of an export.
type line struct {
	// Type is header, row, checkpoint or end.
	Type   string `json:"type"`
	Public string `json:"public,omitempty"`
	// Row, Hash, Salt and Body are bytes in base64, as they are stored.
	Row  []byte `json:"row,omitempty"`
	Hash []byte `json:"hash,omitempty"`
	Salt []byte `json:"salt,omitempty"`
	Body []byte `json:"body,omitempty"`
	Note string `json:"note,omitempty"`
	// Rows stands in the end line: how many rows there are.
	Rows int64 `json:"rows,omitempty"`
}

// Export writes the whole ledger, as it is at one moment, as JSON lines: a header
// with the public key, the rows in order with their payloads, the checkpoints,
// and an end by which a broken download shows. VerifyExport reads it.
func (l *Ledger) Export(ctx context.Context, w io.Writer) error {
	enc := json.NewEncoder(w)
	if err := enc.Encode(line{Type: "header", Public: l.key.Public}); err != nil {
		return err
	}
	var n int64
	err := l.db.View(ctx, func(tx *store.Tx) (err error) {
		if n, err = exportRows(tx, enc, 0, math.MaxInt64); err != nil {
			return err
		}
		return exportCheckpoints(tx, enc, 0, math.MaxInt64)
	})
	if err != nil {
		return err
	}
	return enc.Encode(line{Type: "end", Rows: n})
}

// ExportPart writes the rows that come after a row's number, at most so many, and
// the checkpoints over them; the header stands before the first row of all. Parts
// one after the other are an export without an end: see Trust.Open. It returns the
// number of the last row, which is after where there is nothing new.
func (l *Ledger) ExportPart(ctx context.Context, w io.Writer, after, most int64) (last int64, err error) {
	enc := json.NewEncoder(w)
	err = l.db.View(ctx, func(tx *store.Tx) error {
		if after == 0 {
			if err := enc.Encode(line{Type: "header", Public: l.key.Public}); err != nil {
				return err
			}
		}
		n, err := exportRows(tx, enc, after, after+most)
		if err != nil {
			return err
		}
		last = after + n
		return exportCheckpoints(tx, enc, after, last)
	})
	return last, err
}

func exportRows(tx *store.Tx, enc *json.Encoder, after, upto int64) (n int64, err error) {
	rows, err := tx.Query(`SELECT r.row_bytes, r.hash, p.salt, p.body FROM ledger_rows r LEFT JOIN ledger_payloads p ON p.seq = r.seq
		WHERE r.seq > ? AND r.seq <= ? ORDER BY r.seq`, after, upto)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		one := line{Type: "row"}
		if err := rows.Scan(&one.Row, &one.Hash, &one.Salt, &one.Body); err != nil {
			return n, err
		}
		if err := enc.Encode(one); err != nil {
			return n, err
		}
		n++
	}
	return n, rows.Err()
}

func exportCheckpoints(tx *store.Tx, enc *json.Encoder, after, upto int64) (err error) {
	notes, err := tx.Query(`SELECT note FROM ledger_checkpoints WHERE size > ? AND size <= ? ORDER BY size`, after, upto)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, notes.Close()) }()
	for notes.Next() {
		one := line{Type: "checkpoint"}
		if err := notes.Scan(&one.Note); err != nil {
			return err
		}
		if err := enc.Encode(one); err != nil {
			return err
		}
	}
	return notes.Err()
}
