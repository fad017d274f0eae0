package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

func open(t *testing.T) (*Ledger, *store.DB) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), Schema()); err != nil {
		t.Fatal(err)
	}
	key, err := LoadKey(filepath.Join(t.TempDir(), "keys", "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	return New(db, key, time.Now), db
}

func fill(t *testing.T, l *Ledger, db *store.DB, n int) {
	t.Helper()
	for i := range n {
		if err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := l.Append(tx, Row{Kind: "test.entry", Run: "r", Key: fmt.Sprint(i)}, map[string]int{"n": i})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func export(t *testing.T, l *Ledger) []string {
	t.Helper()
	var b bytes.Buffer
	if err := l.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(b.String()), "\n")
}

func verify(t *testing.T, l *Ledger, lines []string, outside string) Report {
	t.Helper()
	rep, err := VerifyExport(strings.NewReader(strings.Join(lines, "\n")), Trust{Public: l.key.Public, Outside: outside})
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// TestTampering changes every byte of three rows and their payloads, removes,
// swaps and cuts rows, and expects the row to be named each time.
func TestTampering(t *testing.T) {
	l, db := open(t)
	fill(t, l, db, 12)
	c, err := l.Sign(t.Context())
	if err != nil || c.Size != 12 {
		t.Fatalf("%+v, %v", c, err)
	}
	fill(t, l, db, 3) // a tail that no checkpoint covers
	lines := export(t, l)
	if rep := verify(t, l, lines, c.Note); !rep.OK || rep.Rows != 15 || rep.Covered != 12 {
		t.Fatalf("an honest ledger: %+v", rep)
	}
	named := func(rep Report, seq int64) bool {
		for _, f := range rep.Findings {
			if f.Seq == seq {
				return true
			}
		}
		return false
	}
	flips := 0
	for _, seq := range []int{1, 7, 15} {
		var ln line
		if err := json.Unmarshal([]byte(lines[seq]), &ln); err != nil {
			t.Fatal(err)
		}
		for _, part := range []*[]byte{&ln.Row, &ln.Body, &ln.Hash, &ln.Salt} {
			for i := range *part {
				(*part)[i] ^= 1
				raw, _ := json.Marshal(ln)
				(*part)[i] ^= 1
				changed := append([]string{}, lines...)
				changed[seq] = string(raw)
				flips++
				if rep := verify(t, l, changed, c.Note); rep.OK || len(rep.Findings) == 0 || (!named(rep, int64(seq)) && !strings.Contains(rep.Findings[0].Problem, fmt.Sprint(seq))) {
					t.Fatalf("byte %d of row %d: %+v", i, seq, rep)
				}
			}
		}
	}
	t.Logf("%d flips found", flips)
	without := append(append([]string{}, lines[:5]...), lines[6:]...)
	if rep := verify(t, l, without, ""); rep.OK || !named(rep, 5) {
		t.Errorf("row 5 removed: %+v", rep)
	}
	swapped := append([]string{}, lines...)
	swapped[4], swapped[5] = swapped[5], swapped[4]
	if rep := verify(t, l, swapped, ""); rep.OK || !named(rep, 4) {
		t.Errorf("rows 4 and 5 swapped: %+v", rep)
	}
	if rep := verify(t, l, lines[:11], c.Note); rep.OK || !named(rep, 11) {
		t.Errorf("tail cut after row 10: %+v", rep)
	}
}

// TestErase removes a payload; proofs hold, and the erasure is on record.
func TestErase(t *testing.T) {
	l, db := open(t)
	fill(t, l, db, 4)
	if err := l.Erase(t.Context(), []int64{2}, "dpo", "retention"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	rep, err := l.VerifyStore(t.Context(), "")
	if err != nil || !rep.OK || rep.Erased != 1 || rep.Rows != 5 {
		t.Fatalf("%+v, %v", rep, err)
	}
	got, err := l.Read(t.Context(), Filter{Kind: "ledger.erased"})
	if err != nil || len(got) != 1 || got[0].Actor != "dpo" {
		t.Fatalf("%+v, %v", got, err)
	}
}

// TestRewritten rewrites the whole store, chain and all; only the signature
// shows it.
func TestRewritten(t *testing.T) {
	l, db := open(t)
	fill(t, l, db, 5)
	c, err := l.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forged, fdb := open(t)
	fill(t, forged, fdb, 5)
	if _, err := forged.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := export(t, forged)
	if rep := verify(t, l, lines, c.Note); rep.OK {
		t.Fatal("a ledger made anew with another key verified")
	}
}

func TestOnce(t *testing.T) {
	l, db := open(t)
	for i := range 3 {
		if err := db.Update(t.Context(), func(tx *store.Tx) error {
			seq, first, err := l.AppendOnce(tx, "m", Row{Kind: "k"}, nil)
			if seq != 1 || first != (i == 0) {
				t.Errorf("round %d: seq %d, first %v", i, seq, first)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}
