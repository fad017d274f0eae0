package ledger

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// Finding is one thing that is wrong, and the row where it shows.
type Finding struct {
	// Seq is 0 where it is no row that is wrong.
	Seq     int64  `json:"seq"`
	Problem string `json:"problem"`
}

// Report is what a verification found.
type Report struct {
	// OK says that there are no findings.
	OK   bool  `json:"ok"`
	Rows int64 `json:"rows"`
	// Covered is how many rows a checkpoint covers; those after it, Covered+1 to
	// Rows, are protected by the chain alone.
	Covered int64 `json:"covered"`
	// Erased counts payloads that were erased on record.
	Erased int64 `json:"erased"`
	// Findings are the first hundred.
	Findings []Finding `json:"findings,omitempty"`
}

// Trust is what a verifier knows from elsewhere.
type Trust struct {
	// Public is the ledger's public key. Empty takes the export's own, which
	// proves nothing against someone who made all of it anew.
	Public string
	// Outside is a checkpoint that was kept elsewhere, or empty.
	Outside string
	// Open says that the export is made in parts and goes on: it has no end by
	// which a cut would show.
	Open bool
}

// VerifyExport verifies an export without the store and without the private key.
// An error means that it could not be read to its end; what is wrong with the
// ledger stands in the report.
func VerifyExport(in io.Reader, t Trust) (Report, error) {
	v, err := examine(in, t)
	return v.report, err
}

func examine(in io.Reader, t Trust) (*verifier, error) {
	v := &verifier{trust: t, prev: make([]byte, sha256.Size), told: map[int64]bool{}}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		if err := v.line(sc.Bytes()); err != nil {
			return v, err
		}
	}
	if err := sc.Err(); err != nil {
		return v, fmt.Errorf("ledger: read the export: %w", err)
	}
	v.finish()
	v.conclude()
	return v, nil
}

type verifier struct {
	trust  Trust
	report Report
	prev   []byte
	next   int64
	hashes []tlog.Hash
	// bare are rows without a payload, told those that an entry calls erased.
	bare []int64
	told map[int64]bool
	// broken says that a checkpoint did not match; the later ones cannot either.
	broken      bool
	header, end bool
}

func (v *verifier) found(seq int64, format string, args ...any) {
	const most = 100
	if len(v.report.Findings) < most {
		v.report.Findings = append(v.report.Findings, Finding{Seq: seq, Problem: fmt.Sprintf(format, args...)})
	}
}

func (v *verifier) conclude() { v.report.OK = len(v.report.Findings) == 0 }

func (v *verifier) line(raw []byte) error {
	var l line
	if err := json.Unmarshal(raw, &l); err != nil {
		v.found(v.report.Rows+1, "a line after row %d of the export is not one of an export", v.report.Rows)
		return nil
	}
	if v.end {
		v.found(0, "something stands after the end of the export")
	}
	switch l.Type {
	case "header":
		if v.header {
			v.found(0, "the export has two headers")
		}
		v.header = true
		if v.trust.Public == "" {
			v.trust.Public = l.Public
		} else if l.Public != v.trust.Public {
			v.found(0, "the export does not name the trusted public key as its own")
		}
	case "row":
		v.row(l)
	case "checkpoint":
		v.checkpoint(l.Note, "checkpoint")
	case "end":
		v.end = true
		if l.Rows != v.report.Rows {
			v.found(min(l.Rows, v.report.Rows)+1, "the export ends with %d rows and says that it had %d", v.report.Rows, l.Rows)
		}
	default:
		return fmt.Errorf("ledger: a line of type %q after row %d: a newer build wrote this export, or it was damaged", l.Type, v.report.Rows)
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
		r = Row{Seq: place}
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
	v.payload(r, l)
	stored, err := tlog.StoredHashesForRecordHash(v.report.Rows-1, tlog.RecordHash(l.Row), v.reader())
	if err != nil {
		v.found(r.Seq, "the tree cannot be built over row %d: %v", r.Seq, err)
		return
	}
	v.hashes = append(v.hashes, stored...)
}

func (v *verifier) payload(r Row, l line) {
	switch {
	case len(l.Salt) == 0 && len(l.Body) == 0:
		v.bare = append(v.bare, r.Seq)
	case payloadDigest(l.Salt, l.Body) != r.Payload:
		v.found(r.Seq, "the payload of row %d was changed", r.Seq)
	default:
		for _, s := range erasures(r, l.Body) {
			if s < r.Seq {
				v.told[s] = true
			}
		}
	}
}

func (v *verifier) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			if x < 0 || x >= int64(len(v.hashes)) {
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
		v.found(0, "%s after row %d: %v", what, v.report.Covered, err)
		return
	}
	if c.Size > v.report.Rows {
		v.found(v.report.Rows+1, "the %s covers %d rows; rows %d to %d were cut off", what, c.Size, v.report.Rows+1, c.Size)
		return
	}
	root, err := tlog.TreeHash(c.Size, v.reader())
	if err == nil && root == c.Root {
		v.report.Covered = max(v.report.Covered, c.Size)
		return
	}
	if v.broken {
		return
	}
	v.broken = true
	v.found(v.report.Covered+1, "the %s over rows 1 to %d does not match them: one of rows %d to %d was changed, removed or swapped", what, c.Size, v.report.Covered+1, c.Size)
}

// finish looks at what only the whole shows.
func (v *verifier) finish() {
	if !v.header {
		v.found(0, "the export has no header")
	}
	if !v.end && !v.trust.Open {
		v.found(0, "the export has no end: it was cut after row %d; fetch it again", v.report.Rows)
	}
	for _, s := range v.bare {
		if v.told[s] {
			v.report.Erased++
			continue
		}
		v.found(s, "the payload of row %d is gone, and no entry says that it was erased", s)
	}
	if v.trust.Outside != "" {
		v.broken = false // it has its own say
		v.checkpoint(v.trust.Outside, "outside checkpoint")
	}
}
