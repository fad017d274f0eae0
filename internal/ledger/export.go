package ledger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// Rows stands in the end line: the number of the last row.
	Rows int64 `json:"rows,omitempty"`
	// Base stands in the header where rows left the store before.
	Base *lineBase `json:"base,omitempty"`
}

// lineBase stands for the rows that an export begins after.
type lineBase struct {
	Rows int64 `json:"rows"`
	// Hash is the chain's hash after them.
	Hash []byte `json:"hash"`
	// Tree are the roots of the largest whole subtrees over them, from the left.
	Tree [][]byte `json:"tree"`
}

// Export writes what the store has of the ledger, as it is at one moment, as JSON
// lines: a header with the public key and what stands for the rows that left the
// store, the rows in order with their payloads, the checkpoints, and an end by which
// a broken download shows. VerifyExport reads it.
func (l *Ledger) Export(ctx context.Context, w io.Writer) error {
	enc := json.NewEncoder(w)
	var last int64
	err := l.db.View(ctx, func(tx *store.Tx) error {
		from, err := l.exportHeader(tx, enc)
		if err != nil {
			return err
		}
		n, err := exportRows(tx, enc, from, math.MaxInt64)
		if err != nil {
			return err
		}
		last = from + n
		return exportCheckpoints(tx, enc, 0, math.MaxInt64)
	})
	if err != nil {
		return err
	}
	return enc.Encode(line{Type: "end", Rows: last})
}

// exportHeader writes the header and returns the number of the row that it stands
// behind.
func (l *Ledger) exportHeader(tx *store.Tx, enc *json.Encoder) (int64, error) {
	b, err := base(tx)
	if err != nil {
		return 0, err
	}
	h := line{Type: "header", Public: l.key.Public}
	if b.Seq > 0 {
		edge, err := reader(tx).ReadHashes(edgeOf(b.Seq))
		if err != nil {
			return 0, err
		}
		h.Base = &lineBase{Rows: b.Seq, Hash: b.Hash}
		for _, one := range edge {
			h.Base.Tree = append(h.Base.Tree, one[:])
		}
	}
	return b.Seq, enc.Encode(h)
}

// ExportPart writes the rows that come after a row's number, at most so many, and
// the checkpoints over them; the header stands before the first row of all. Parts
// one after the other are an export without an end: see Trust.Open. It returns the
// number of the last row, which is after where there is nothing new.
func (l *Ledger) ExportPart(ctx context.Context, w io.Writer, after, most int64) (last int64, err error) {
	enc := json.NewEncoder(w)
	err = l.db.View(ctx, func(tx *store.Tx) error {
		if b, err := base(tx); err != nil {
			return err
		} else if after < b.Seq {
			return fmt.Errorf("ledger: export after row %d: rows up to %d left the store", after, b.Seq)
		}
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

// ReadExport reads entries out of an export, or of parts of one, in their order. It
// verifies nothing; VerifyExport does.
func ReadExport(in io.Reader, f Filter) ([]Entry, error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 1000
	}
	var out []Entry
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 64<<20)
	for n := 1; sc.Scan() && len(out) < f.Limit; n++ {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			return out, fmt.Errorf("ledger: line %d is none of an export; run quell audit verify", n)
		}
		if l.Type != "row" {
			continue
		}
		e := Entry{Body: l.Body}
		if err := json.Unmarshal(l.Row, &e.Row); err != nil {
			return out, fmt.Errorf("ledger: the row in line %d is damaged; run quell audit verify", n)
		}
		if f.has(e.Row) {
			out = append(out, e)
		}
	}
	if err := sc.Err(); err != nil {
		return out, fmt.Errorf("ledger: read the export: %w", err)
	}
	return out, nil
}

// has says whether a row passes the filter.
func (f Filter) has(r Row) bool {
	return r.Seq > f.After && (f.Run == "" || f.Run == r.Run) && (f.Kind == "" || f.Kind == r.Kind) && (f.Key == "" || f.Key == r.Key)
}
