package ledger

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"slices"

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
	OK bool `json:"ok"`
	// Rows is the number of the last row.
	Rows int64 `json:"rows"`
	// Pruned is the last row that left the store, on record, before the first one
	// that was verified; 0 where the first row of all was there.
	Pruned int64 `json:"pruned,omitempty"`
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
	// Meets, where it is not zero, is where a store goes on whose rows left: the
	// export must come to the same.
	Meets Base
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
	// from is where the export begins: its hashes are edge at the places edgeAt.
	// hashes are those of the rows after it, the first at the place first.
	from   Base
	edge   []tlog.Hash
	edgeAt []int64
	first  int64
	hashes []tlog.Hash
	// says is the number of rows that the header says are not there.
	says int64
	// pruned says that an entry tells of the rows before from.
	pruned bool
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
		if l.Base != nil {
			v.begin(*l.Base)
		}
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

// begin takes what stands for the rows before the first one.
func (v *verifier) begin(b lineBase) {
	const most = 1 << 60
	v.says = b.Rows
	if b.Rows <= 0 || b.Rows > most || len(b.Hash) != sha256.Size || v.report.Rows > 0 {
		v.found(0, "the header's base is none")
		return
	}
	at := edgeOf(b.Rows)
	if len(b.Tree) != len(at) {
		v.found(b.Rows, "the header's base has %d hashes for %d rows, which are %d subtrees", len(b.Tree), b.Rows, len(at))
		return
	}
	v.edgeAt, v.edge = at, make([]tlog.Hash, len(at))
	for i, h := range b.Tree {
		copy(v.edge[i][:], h)
	}
	v.from, v.first = Base{Seq: b.Rows, Hash: b.Hash}, tlog.StoredHashCount(b.Rows)
	v.report.Rows, v.report.Pruned, v.next, v.prev = b.Rows, b.Rows, b.Rows, b.Hash
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
	if r.Seq == v.trust.Meets.Seq && r.Seq > 0 && !bytes.Equal(v.prev, v.trust.Meets.Hash) {
		v.found(r.Seq, "the store goes on after another row %d than the export has", r.Seq)
	}
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
		v.pruned = v.pruned || v.from.told(r, l.Body)
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
			h, ok := v.hash(x)
			if !ok {
				return nil, fmt.Errorf("hash %d is not there", x)
			}
			out[i] = h
		}
		return out, nil
	})
}

// hash is the tree's hash at a place.
func (v *verifier) hash(at int64) (h tlog.Hash, ok bool) {
	if at >= v.first && at-v.first < int64(len(v.hashes)) {
		return v.hashes[at-v.first], true
	}
	if i, ok := slices.BinarySearch(v.edgeAt, at); ok {
		return v.edge[i], true
	}
	return h, false
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
	if c.Size < v.from.Seq {
		v.found(0, "the %s covers %d rows; rows 1 to %d are not here: verify the export that begins with row 1", what, c.Size, v.from.Seq)
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
	if v.from.Seq > 0 && !v.pruned {
		v.found(v.from.Seq, "rows 1 to %d are not there, and no entry says that they left the store", v.from.Seq)
	}
	if v.from.Seq > v.report.Covered {
		v.found(v.from.Seq, "no checkpoint covers rows 1 to %d, which are not there", v.from.Seq)
	}
	if m := v.trust.Meets.Seq; m > v.report.Rows {
		v.found(v.report.Rows+1, "the store goes on after row %d; rows %d to %d are not in the export", m, v.report.Rows+1, m)
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
