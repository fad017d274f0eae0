package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/quell-soar/quell/internal/store"
)

// line is one line of an export: exactly one of the fields beside Type's is set.
type line struct {
	// Type is header, row or checkpoint.
	Type   string `json:"type"`
	Public string `json:"public,omitempty"`
	// Row, Hash, Salt and Body are bytes in base64, as they are stored.
	Row  []byte `json:"row,omitempty"`
	Hash []byte `json:"hash,omitempty"`
	Salt []byte `json:"salt,omitempty"`
	Body []byte `json:"body,omitempty"`
	Note string `json:"note,omitempty"`
}

// Export writes the whole ledger as JSON lines: a header with the public key,
// the rows in order with their payloads, the checkpoints. VerifyExport reads it.
func (l *Ledger) Export(ctx context.Context, w io.Writer) error {
	enc := json.NewEncoder(w)
	if err := enc.Encode(line{Type: "header", Public: l.key.Public}); err != nil {
		return err
	}
	return l.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT r.row_bytes, r.hash, p.salt, p.body FROM ledger_rows r LEFT JOIN ledger_payloads p ON p.seq = r.seq ORDER BY r.seq`)
		if err != nil {
			return err
		}
		for rows.Next() {
			l := line{Type: "row"}
			if err := rows.Scan(&l.Row, &l.Hash, &l.Salt, &l.Body); err != nil {
				return errors.Join(err, rows.Close())
			}
			if err := enc.Encode(l); err != nil {
				return errors.Join(err, rows.Close())
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		notes, err := tx.Query(`SELECT note FROM ledger_checkpoints ORDER BY size`)
		if err != nil {
			return err
		}
		defer func() { _ = notes.Close() }()
		for notes.Next() {
			l := line{Type: "checkpoint"}
			if err := notes.Scan(&l.Note); err != nil {
				return err
			}
			if err := enc.Encode(l); err != nil {
				return err
			}
		}
		return notes.Err()
	})
}

// Finding is one thing that is wrong, and the row where it shows.
type Finding struct {
	Seq     int64  `json:"seq"`
	Problem string `json:"problem"`
}

// Report is what a verification found.
type Report struct {
	// OK says that there are no findings.
	OK   bool  `json:"ok"`
	Rows int64 `json:"rows"`
	// Covered is how many rows a checkpoint covers; those after it are protected
	// by the chain alone.
	Covered int64 `json:"covered"`
	// Erased counts payloads that were erased.
	Erased   int64     `json:"erased"`
	Findings []Finding `json:"findings,omitempty"`
}

// Trust is what a verifier knows from elsewhere.
type Trust struct {
	// Public is the ledger's public key. Empty takes the export's own, which
	// proves nothing against someone who made all of it anew.
	Public string
	// Outside is a checkpoint that was kept elsewhere, or empty.
	Outside string
}

// VerifyStore verifies the ledger in the store.
func (l *Ledger) VerifyStore(ctx context.Context, outside string) (Report, error) {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(l.Export(ctx, w)) }()
	rep, err := VerifyExport(r, Trust{Public: l.key.Public, Outside: outside})
	_ = r.Close()
	return rep, err
}

// VerifyExport verifies an export without the store and without the private key.
// An error means that it could not be read to its end; what is wrong with the
// ledger stands in the report.
func VerifyExport(in io.Reader, t Trust) (Report, error) {
	v := &verifier{trust: t, prev: make([]byte, 32)}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		if err := v.line(sc.Bytes()); err != nil {
			return v.report, err
		}
	}
	if err := sc.Err(); err != nil {
		return v.report, fmt.Errorf("ledger: read the export: %w", err)
	}
	v.end()
	v.report.OK = len(v.report.Findings) == 0
	return v.report, nil
}

type verifier struct {
	trust  Trust
	report Report
	prev   []byte
	next   int64
	hashes []tlog.Hash
	header bool
}

func (v *verifier) found(seq int64, format string, args ...any) {
	const most = 100
	if len(v.report.Findings) < most {
		v.report.Findings = append(v.report.Findings, Finding{Seq: seq, Problem: fmt.Sprintf(format, args...)})
	}
}

func (v *verifier) line(raw []byte) error {
	var l line
	if err := json.Unmarshal(raw, &l); err != nil {
		v.found(v.report.Rows+1, "line %d of the export is not JSON", v.report.Rows+2)
		return nil
	}
	switch l.Type {
	case "header":
		v.header = true
		if v.trust.Public == "" {
			v.trust.Public = l.Public
		} else if l.Public != "" && l.Public != v.trust.Public {
			v.found(0, "the export names another public key than the trusted one")
		}
	case "row":
		v.row(l)
	case "checkpoint":
		v.checkpoint(l.Note, "checkpoint")
	default:
		return fmt.Errorf("ledger: a line of type %q; a newer build wrote this export", l.Type)
	}
	return nil
}

// row checks one row: its place, its link, its payload. After a fault it goes on
// from the stored hash, so that one changed row is one finding.
func (v *verifier) row(l line) {
	v.report.Rows++
	place := v.next + 1
	var r Row
	if err := json.Unmarshal(l.Row, &r); err != nil {
		r.Seq = place
		v.found(place, "row %d is not JSON", place)
	}
	if want := chain(v.prev, l.Row); !bytes.Equal(want, l.Hash) {
		v.found(place, "row %d was changed, or what stood before it", place)
	}
	switch {
	case r.Seq == place:
	case r.Seq > place:
		v.found(place, "rows %d to %d are missing", place, r.Seq-1)
	default:
		v.found(place, "in the place of row %d stands row %d", place, r.Seq)
		r.Seq = place
	}
	v.next = max(v.next, r.Seq)
	v.prev = l.Hash
	if len(l.Salt) == 0 && len(l.Body) == 0 {
		v.report.Erased++
	} else if payloadDigest(l.Salt, l.Body) != r.Payload {
		v.found(r.Seq, "the payload of row %d was changed", r.Seq)
	}
	stored, err := tlog.StoredHashesForRecordHash(v.report.Rows-1, tlog.RecordHash(l.Row), v.reader())
	if err != nil {
		v.found(r.Seq, "the tree cannot be built over row %d: %v", r.Seq, err)
		return
	}
	v.hashes = append(v.hashes, stored...)
}

func (v *verifier) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			if x >= int64(len(v.hashes)) {
				return nil, fmt.Errorf("hash %d is not there", x)
			}
			out[i] = v.hashes[x]
		}
		return out, nil
	})
}

func (v *verifier) checkpoint(text, what string) {
	c, err := openCheckpoint(text, v.trust.Public)
	if err != nil {
		v.found(0, "%s: %v", what, err)
		return
	}
	if c.Size > v.report.Rows {
		v.found(v.report.Rows+1, "the %s covers %d rows; rows %d to %d were cut off", what, c.Size, v.report.Rows+1, c.Size)
		return
	}
	root, err := tlog.TreeHash(c.Size, v.reader())
	if err != nil || root != c.Root {
		v.found(c.Size, "the %s over rows 1 to %d does not match them: one of them, after row %d, was changed, removed or swapped", what, c.Size, v.report.Covered)
		return
	}
	v.report.Covered = max(v.report.Covered, c.Size)
}

func (v *verifier) end() {
	if !v.header {
		v.found(0, "the export has no header")
	}
	if v.trust.Outside != "" {
		v.checkpoint(v.trust.Outside, "outside checkpoint")
	}
}
