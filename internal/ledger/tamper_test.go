package ledger

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

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

// sample is a ledger of 15 rows, 12 of them under a checkpoint, as an export:
// line n is row n.
func sample(t *testing.T) (l *Ledger, lines []string, c Checkpoint) {
	t.Helper()
	l = open(t)
	fill(t, l, 6)
	sign(t, l)
	fill(t, l, 6)
	c = sign(t, l)
	fill(t, l, 3)
	lines = export(t, l)
	if rep := verify(t, l, lines, c.Note); !rep.OK || rep.Rows != 15 || rep.Covered != 12 {
		t.Fatalf("an honest ledger: %+v", rep)
	}
	return l, lines, c
}

// with returns lines with one changed.
func with(lines []string, i int, s string) []string {
	out := slices.Clone(lines)
	out[i] = s
	return out
}

func row(t *testing.T, s string) (l line) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &l); err != nil {
		t.Fatal(err)
	}
	return l
}

func written(t *testing.T, l line) string {
	t.Helper()
	raw, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestFlips changes every byte of three rows, their hashes, salts and payloads,
// and of the checkpoints; the row is named each time.
func TestFlips(t *testing.T) {
	l, lines, c := sample(t)
	flips := 0
	for _, seq := range []int{1, 7, 15} {
		ln := row(t, lines[seq])
		for name, part := range map[string]*[]byte{"row": &ln.Row, "payload": &ln.Body, "hash": &ln.Hash, "salt": &ln.Salt} {
			for i := range *part {
				for _, mask := range []byte{1, 0x20, 0x80} {
					(*part)[i] ^= mask
					rep := verify(t, l, with(lines, seq, written(t, ln)), c.Note)
					(*part)[i] ^= mask
					flips++
					if rep.OK || !named(rep, int64(seq)) {
						t.Fatalf("byte %d of the %s of row %d, mask %x: %+v", i, name, seq, mask, rep)
					}
				}
			}
		}
	}
	for at := 16; at < len(lines)-1; at++ {
		ln := row(t, lines[at])
		text := []byte(ln.Note)
		for i := range text {
			text[i] ^= 1
			ln.Note = string(text)
			rep := verify(t, l, with(lines, at, written(t, ln)), "")
			text[i] ^= 1
			flips++
			if rep.OK {
				t.Fatalf("byte %d of checkpoint %d", i, at)
			}
		}
	}
	t.Logf("%d flips found", flips)
}

// TestRawFlips changes every byte of the export's text. A change that says the
// same (a letter's case in a field name, which encoding/json takes) is none.
func TestRawFlips(t *testing.T) {
	l, lines, c := sample(t)
	whole := strings.Join(lines, "\n")
	before := canonicalLines(whole)
	missed := 0
	for i := range len(whole) {
		changed := []byte(whole)
		changed[i] ^= 1
		rep, err := VerifyExport(bytes.NewReader(changed), Trust{Public: l.key.Public, Outside: c.Note})
		if err == nil && rep.OK && canonicalLines(string(changed)) != before {
			missed++
			t.Errorf("byte %d was changed and not found: %q", i, changed[max(0, i-20):min(len(changed), i+20)])
		}
	}
	t.Logf("%d bytes, %d missed", len(whole), missed)
}

// canonicalLines is what an export says, whatever way it is written.
func canonicalLines(text string) string {
	var b strings.Builder
	for s := range strings.SplitSeq(text, "\n") {
		var l line
		if json.Unmarshal([]byte(s), &l) != nil {
			return ""
		}
		raw, _ := json.Marshal(l)
		b.Write(raw)
	}
	return b.String()
}

// TestRows removes, swaps, repeats, inserts and cuts rows.
func TestRows(t *testing.T) {
	l, lines, c := sample(t)
	forged := row(t, lines[5])
	forged.Row = bytes.Replace(forged.Row, []byte(`"key":"4"`), []byte(`"key":"X"`), 1)
	forged.Hash = row(t, lines[4]).Hash
	swapped := slices.Clone(lines)
	swapped[4], swapped[5] = swapped[5], swapped[4]
	for _, x := range []struct {
		name    string
		lines   []string
		outside string
		seq     int64
	}{
		{"row 1 removed", slices.Delete(slices.Clone(lines), 1, 2), "", 1},
		{"row 5 removed", slices.Delete(slices.Clone(lines), 5, 6), "", 5},
		{"rows 5 to 7 removed", slices.Delete(slices.Clone(lines), 5, 8), "", 5},
		{"row 14 of the tail removed", slices.Delete(slices.Clone(lines), 14, 15), "", 14},
		{"the last row removed", slices.Delete(slices.Clone(lines), 15, 16), "", 15},
		{"rows 4 and 5 swapped", swapped, "", 4},
		{"row 5 twice", slices.Insert(slices.Clone(lines), 6, lines[5]), "", 6},
		{"a row inserted after 4", slices.Insert(slices.Clone(lines), 5, written(t, forged)), "", 5},
		{"a row of another ledger in the place of 5", with(lines, 5, written(t, forged)), "", 5},
		{"cut after row 10, checkpoints too", lines[:11], "", 0},
		{"the same against an outside checkpoint", lines[:11], c.Note, 11},
	} {
		if rep := verify(t, l, x.lines, x.outside); rep.OK || !named(rep, x.seq) {
			t.Errorf("%s: %+v", x.name, rep)
		}
	}
}

// rechained makes an export anew from lines, as someone would who can write the
// store and not sign: rows are numbered and chained again from seq on.
func rechained(t *testing.T, lines []string, seq int, change func(*Row)) []string {
	t.Helper()
	out := slices.Clone(lines)
	prev := make([]byte, 32)
	for i := 1; i < len(out); i++ {
		ln := row(t, out[i])
		if ln.Type != "row" {
			break
		}
		if i == seq {
			var r Row
			if err := json.Unmarshal(ln.Row, &r); err != nil {
				t.Fatal(err)
			}
			change(&r)
			ln.Row, _ = marshal(r)
		}
		ln.Hash = chain(prev, ln.Row)
		prev = ln.Hash
		out[i] = written(t, ln)
	}
	return out
}

// TestRechained changes a row and mends the chain after it: the signatures show
// it, down to the rows between two checkpoints. In the tail nothing does, and
// the report says where that begins.
func TestRechained(t *testing.T) {
	l, lines, c := sample(t)
	guilty := func(r *Row) { r.Actor = "somebody else" }
	for seq, from := range map[int]int64{1: 1, 6: 1, 7: 7, 12: 7} {
		rep := verify(t, l, rechained(t, lines, seq, guilty), "")
		if rep.OK || !named(rep, from) || len(rep.Findings) != 1 {
			t.Errorf("row %d: %+v", seq, rep)
		}
	}
	if rep := verify(t, l, rechained(t, lines, 13, guilty), c.Note); !rep.OK || rep.Covered != 12 {
		t.Errorf("the tail: %+v", rep)
	}
}

// TestRolledBackStore puts an older copy in place, and lets it go on: only what
// was kept elsewhere shows it.
func TestRolledBackStore(t *testing.T) {
	l := open(t)
	fill(t, l, 6)
	sign(t, l)
	old := export(t, l)
	fill(t, l, 6)
	c := sign(t, l)
	if rep := verify(t, l, old, ""); !rep.OK {
		t.Fatalf("an older copy is whole in itself: %+v", rep)
	}
	if rep := verify(t, l, old, c.Note); rep.OK || !named(rep, 7) {
		t.Fatalf("rolled back: %+v", rep)
	}
	fork := open(t)
	fork.key = l.key
	fill(t, fork, 12)
	sign(t, fork)
	if rep := verify(t, l, export(t, fork), c.Note); rep.OK {
		t.Fatalf("another story with the same key: %+v", rep)
	}
}

// TestForeignKey finds a ledger that was made anew with another key.
func TestForeignKey(t *testing.T) {
	l, forged := open(t), open(t)
	fill(t, l, 5)
	c := sign(t, l)
	fill(t, forged, 5)
	sign(t, forged)
	lines := export(t, forged)
	if rep := verify(t, l, lines, ""); rep.OK {
		t.Fatal("it verified")
	}
	ln := row(t, lines[0])
	ln.Public = l.key.Public // and says that it was ours
	if rep := verify(t, l, with(lines, 0, written(t, ln)), ""); rep.OK || rep.Covered != 0 {
		t.Fatalf("%+v", rep)
	}
	rep, err := VerifyExport(strings.NewReader(strings.Join(lines, "\n")), Trust{Outside: c.Note})
	if err != nil || rep.OK {
		t.Fatalf("its own key, our checkpoint: %+v, %v", rep, err)
	}
}

// TestBrokenExport reads what is no export or no longer whole.
func TestBrokenExport(t *testing.T) {
	l, lines, _ := sample(t)
	for name, x := range map[string][]string{
		"empty": nil, "no header": lines[1:], "no end": lines[:len(lines)-1], "cut in a line": with(lines[:9], 8, lines[8][:40]),
		"more after the end": append(slices.Clone(lines), lines[15]), "two headers": append([]string{lines[0]}, lines...),
	} {
		if rep := verify(t, l, x, ""); rep.OK {
			t.Errorf("%s: %+v", name, rep)
		}
	}
	if _, err := VerifyExport(strings.NewReader(`{"type":"header"}`+"\n"+`{"type":"witness"}`), Trust{}); err == nil {
		t.Error("a line of an unknown type was passed over")
	}
}

// TestErase removes payloads on record; proofs hold, and nothing else may make
// one vanish.
func TestErase(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger) {
		fill(t, l, 4)
		for range 2 {
			if err := l.Erase(t.Context(), []int64{2, 3}, "dpo", "retention"); err != nil {
				t.Fatal(err)
			}
		}
		c := sign(t, l)
		if rep := inspect(t, l, c.Note); !rep.OK || rep.Erased != 2 || rep.Rows != 6 || rep.Covered != 6 {
			t.Fatalf("%+v", rep)
		}
		got, err := l.Read(t.Context(), Filter{Kind: kindErased})
		if err != nil || len(got) != 2 || got[0].Actor != "dpo" || string(got[0].Body) != `{"seqs":[2,3],"reason":"retention"}` {
			t.Fatalf("%+v, %v", got, err)
		}
		if err := l.Erase(t.Context(), []int64{1, 5}, "x", "y"); !errors.Is(err, ErrKept) {
			t.Error(err)
		}
		if err := l.Erase(t.Context(), []int64{1, 99}, "x", "y"); !errors.Is(err, ErrNoEntry) {
			t.Error(err)
		}
		if rep := inspect(t, l, c.Note); !rep.OK || rep.Rows != 6 || rep.Erased != 2 {
			t.Fatalf("a refused erasure left traces: %+v", rep)
		}
		attack(t, l, `DELETE FROM ledger_payloads WHERE seq = 4`)
		if rep := inspect(t, l, c.Note); rep.OK || !named(rep, 4) {
			t.Fatalf("a payload was taken: %+v", rep)
		}
	})
}

// TestStoreAttacks changes the store behind the ledger's back. The row is named,
// and where rows or tree were changed nothing is signed any more.
func TestStoreAttacks(t *testing.T) {
	for _, a := range []struct {
		name  string
		do    []string
		seq   int64
		signs bool
	}{
		{"filed under another run", []string{`UPDATE ledger_rows SET run = 'x' WHERE seq = 2`}, 2, true},
		{"filed under another kind", []string{`UPDATE ledger_rows SET kind = 'x' WHERE seq = 7`}, 7, true},
		{"row of the tail changed", []string{`UPDATE ledger_rows SET row_bytes = (SELECT row_bytes FROM ledger_rows WHERE seq = 1) WHERE seq = 6`}, 6, false},
		{"row of the tail removed", []string{`DELETE FROM ledger_rows WHERE seq = 6`}, 6, false},
		{"tail cut with the head", []string{
			`DELETE FROM ledger_rows WHERE seq > 3`, `DELETE FROM ledger_payloads WHERE seq > 3`,
			`UPDATE ledger_head SET seq = 3, hash = (SELECT hash FROM ledger_rows WHERE seq = 3) WHERE id = 1`,
		}, 4, false},
		{"head turned back", []string{`UPDATE ledger_head SET seq = 6, hash = (SELECT hash FROM ledger_rows WHERE seq = 6) WHERE id = 1`}, 6, false},
		{"head's hash changed", []string{`UPDATE ledger_head SET hash = (SELECT hash FROM ledger_rows WHERE seq = 2) WHERE id = 1`}, 7, false},
		// Idx 4 is row 4; 6 is the node over rows 1 to 4. Only what later roots are
		// made of stops the signing.
		{"tree leaf changed", []string{`UPDATE ledger_hashes SET hash = (SELECT hash FROM ledger_hashes WHERE idx = 0) WHERE idx = 4`}, 4, true},
		{"tree node changed", []string{`UPDATE ledger_hashes SET hash = (SELECT hash FROM ledger_hashes WHERE idx = 0) WHERE idx = 6`}, 1, false},
		{"tree cut", []string{`DELETE FROM ledger_hashes WHERE idx >= 4`}, 4, false},
	} {
		t.Run(a.name, func(t *testing.T) {
			each(t, func(t *testing.T, l *Ledger) {
				fill(t, l, 5)
				c := sign(t, l)
				fill(t, l, 2)
				if rep := inspect(t, l, c.Note); !rep.OK {
					t.Fatalf("%+v", rep)
				}
				attack(t, l, a.do...)
				if rep := inspect(t, l, c.Note); rep.OK || !named(rep, a.seq) {
					t.Errorf("%+v", rep)
				}
				var damage *DamagedError
				if _, err := l.Sign(t.Context()); (err == nil) != a.signs || err != nil && !errors.As(err, &damage) {
					t.Errorf("signing: %v", err)
				}
			})
		})
	}
}

// TestNewKey goes on signing after the key was lost; the verifier names what the
// old one signed.
func TestNewKey(t *testing.T) {
	l := open(t)
	fill(t, l, 3)
	sign(t, l)
	fresh := on(t, l.db)
	fill(t, fresh, 1)
	if c := sign(t, fresh); c.Size != 4 {
		t.Fatal(c)
	}
	if rep := inspect(t, fresh, ""); rep.OK || rep.Covered != 4 || len(rep.Findings) != 1 || !strings.Contains(rep.Findings[0].Problem, "signature") {
		t.Fatalf("%+v", rep)
	}
}

// Both were computed by another program (Python's hashlib) from docs/ledger.md.
const (
	goldenChain   = "49d71f9ea7e3678c1a3c4a0e08bc7cc340031426146f157ca02cddd812eaa72f"
	goldenPayload = "e4df6ebe09c8c998174b275cdbebede77d41050bdec53bd829166f1f7560b73c"
)

// TestBytes holds the form of rows, chain, payload digest and checkpoint: what is
// written here verifies for ever.
func TestBytes(t *testing.T) {
	raw, err := marshal(Row{V: 1, Seq: 7, Time: 1767225600000000001, Kind: "effect.intent", Tenant: "t", Run: "r<1>", Step: "a.b", Key: "k\n", Actor: "user:é", Ref: "q", Payload: "00"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"v":1,"seq":7,"time":1767225600000000001,"kind":"effect.intent","tenant":"t","run":"r<1>","step":"a.b","key":"k\n","actor":"user:é","ref":"q","payload":"00"}`
	if string(raw) != want {
		t.Errorf("row: %s", raw)
	}
	if got := fmt.Sprintf("%x", chain(make([]byte, 32), raw)); got != goldenChain {
		t.Errorf("chain: %s", got)
	}
	if got := payloadDigest([]byte("0123456789abcdef"), []byte(`{"n":1}`)); got != goldenPayload {
		t.Errorf("payload: %s", got)
	}
	var root [32]byte
	if got, want := checkpointText(12, root), "quell.ledger\n12\n"+base64.StdEncoding.EncodeToString(root[:])+"\n"; got != want {
		t.Errorf("checkpoint: %q", got)
	}
}

// BenchmarkSign measures a checkpoint over a second's worth of rows.
func BenchmarkSign(b *testing.B) {
	key, err := LoadKey(b.TempDir() + "/key")
	if err != nil {
		b.Fatal(err)
	}
	db, err := store.Open(b.Context(), store.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(b.Context(), Schema()); err != nil {
		b.Fatal(err)
	}
	l := New(db, key, time.Now)
	for b.Loop() {
		b.StopTimer()
		if err := db.Update(b.Context(), func(tx *store.Tx) error {
			for range 500 {
				if _, err := l.Append(tx, Row{Kind: "test.entry"}, nil); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := l.Sign(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
