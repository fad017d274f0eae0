package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/quell-soar/quell/internal/store"
)

// pruning7 lets seven rows go at once; what was exported is all up to a row.
func pruning7(t *testing.T, l *Ledger, upto int64) Pruning {
	t.Helper()
	var b bytes.Buffer
	last, err := l.ExportPart(t.Context(), &b, firstExport(t, l), upto)
	if err != nil {
		t.Fatal(err)
	}
	return Pruning{
		Upto: last, Before: time.Now().Add(time.Hour), Actor: "system:test", Reason: "test", Step: 7,
		Keeps:    func(context.Context, string) (bool, error) { return false, nil },
		Exported: func(int64) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
	}
}

// firstExport is the row after which there is something to export.
func firstExport(t *testing.T, l *Ledger) int64 {
	t.Helper()
	b, err := l.Base(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b.Seq
}

func prune(t *testing.T, l *Ledger, p Pruning, want int64) {
	t.Helper()
	if n, err := l.Prune(t.Context(), p); err != nil || n != want {
		t.Fatalf("%d rows went, wanted %d: %v", n, want, err)
	}
}

// TestPrune: rows leave from the front, on record, and what is left is proved from
// there: appended to, signed, verified, exported, pruned again.
func TestPrune(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger) {
		fill(t, l, 6)
		old := sign(t, l)
		prune(t, l, pruning7(t, l, 100), 0) // six rows are no seven
		fill(t, l, 5)
		prune(t, l, pruning7(t, l, 100), 0) // and eleven, of which six are signed, are not either
		first := export(t, l)
		for round := range 20 {
			c := sign(t, l)
			prune(t, l, pruning7(t, l, 1000), 7)
			rep := inspect(t, l, c.Note) // before anything is signed over it
			gone := int64(7 * (round + 1))
			if !rep.OK || rep.Pruned != gone {
				t.Fatalf("round %d: %+v", round, rep)
			}
			sign(t, l)
			if rep := verify(t, l, export(t, l), c.Note); !rep.OK || rep.Pruned != gone || rep.Covered != rep.Rows {
				t.Fatalf("round %d, exported: %+v", round, rep)
			}
			list, err := l.Read(t.Context(), Filter{})
			if err != nil || list[0].Seq != gone+1 || list[len(list)-1].Kind != kindPruned {
				t.Fatalf("round %d: %+v, %v", round, list, err)
			}
			fill(t, l, 7)
		}
		rep, err := l.VerifyWhole(t.Context(), old.Note, func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(strings.Join(first, "\n"))), nil
		})
		if err != nil || rep.OK || !named(rep, 12) {
			t.Errorf("an export that ends before the store begins: %+v, %v", rep, err)
		}
		if rep := inspect(t, l, old.Note); rep.OK {
			t.Error("a checkpoint over rows that left says nothing about those that are there")
		}
		if err := l.Erase(t.Context(), []int64{3}, "lena", "asked for"); !errors.Is(err, ErrNoEntry) {
			t.Errorf("erase what left: %v", err)
		}
	})
}

// TestPruneKeeps: nothing goes that is young, or of a run that keeps it, and nothing
// behind that.
func TestPruneKeeps(t *testing.T) {
	l := open(t)
	fill(t, l, 20)
	sign(t, l)
	p := pruning7(t, l, 100)
	young, kept := p, p
	young.Before = time.Now().Add(-time.Hour)
	kept.Keeps = func(_ context.Context, run string) (bool, error) { return run == "r", nil }
	broken := p
	broken.Keeps = func(context.Context, string) (bool, error) { return false, io.ErrUnexpectedEOF }
	prune(t, l, young, 0)
	prune(t, l, kept, 0)
	if n, err := l.Prune(t.Context(), broken); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d, %v", n, err)
	}
	prune(t, l, pruning7(t, l, 6), 0) // six are exported
	prune(t, l, p, 7)
	prune(t, l, p, 7)
	prune(t, l, p, 0)
}

// TestPruneNotExported: what the export has not, byte for byte, stays.
func TestPruneNotExported(t *testing.T) {
	l := open(t)
	fill(t, l, 10)
	if err := l.Erase(t.Context(), []int64{3}, "lena", "asked for"); err != nil {
		t.Fatal(err)
	}
	sign(t, l)
	whole := export(t, l)
	change := func(f func(*line)) []string {
		ln := row(t, whole[5])
		f(&ln)
		return with(whole, 5, written(t, ln))
	}
	p := pruning7(t, l, 100)
	for name, lines := range map[string][]string{
		"nothing": nil, "the front": whole[:6], "a row": change(func(l *line) { l.Row = bytes.Replace(l.Row, []byte(`"r"`), []byte(`"q"`), 1) }),
		"a hash": change(func(l *line) { l.Hash[3]++ }), "a payload": change(func(l *line) { l.Body = append(l.Body, ' ') }),
		"no payload": change(func(l *line) { l.Salt, l.Body = nil, nil }), "a broken line": with(whole, 5, whole[5][:20]),
		"a row less": append(append([]string{}, whole[:5]...), whole[6:]...),
	} {
		q := p
		q.Exported = func(int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(strings.Join(lines, "\n"))), nil
		}
		if n, err := l.Prune(t.Context(), q); n != 0 || !errors.Is(err, ErrNotExported) {
			t.Errorf("%s: %d rows went, %v", name, n, err)
		}
	}
	// An export that was made before the erasure has more than the store.
	prune(t, l, p, 7)
}

// TestPruneDamaged: what does not hang together stays for whoever looks into it.
func TestPruneDamaged(t *testing.T) {
	for name, q := range map[string]string{
		"a row": `UPDATE ledger_rows SET row_bytes = REPLACE(CAST(row_bytes AS TEXT), '"r"', '"q"') WHERE seq = 3`, "a hash": `UPDATE ledger_rows SET hash = x'00' WHERE seq = 3`,
		"a row less": `DELETE FROM ledger_rows WHERE seq = 3`, "the tree": `UPDATE ledger_hashes SET hash = zeroblob(32) WHERE idx = 3`,
		"the tree above": `UPDATE ledger_hashes SET hash = zeroblob(32) WHERE idx = 2`,
	} {
		l := open(t)
		fill(t, l, 10)
		sign(t, l)
		p := pruning7(t, l, 100)
		attack(t, l, q)
		var damaged *DamagedError
		if n, err := l.Prune(t.Context(), p); n != 0 || !errors.As(err, &damaged) {
			t.Errorf("%s: %d rows went, %v", name, n, err)
		}
	}
}

// TestPrunedAttacks: whoever takes more away, or changes what stands for the rows that
// left, is found.
func TestPrunedAttacks(t *testing.T) {
	begin := func() (*Ledger, string, []string) {
		l := open(t)
		fill(t, l, 15)
		sign(t, l)
		whole := export(t, l)
		prune(t, l, pruning7(t, l, 100), 7)
		fill(t, l, 3)
		c := sign(t, l)
		if rep := inspect(t, l, c.Note); !rep.OK {
			t.Fatalf("an honest ledger: %+v", rep)
		}
		return l, c.Note, whole
	}
	for name, statements := range map[string][]string{
		"one row more":              {`DELETE FROM ledger_rows WHERE seq = 8`, `DELETE FROM ledger_payloads WHERE seq = 8`},
		"one row more, with a base": {`UPDATE ledger_base SET seq = 8, hash = (SELECT hash FROM ledger_rows WHERE seq = 8)`, `DELETE FROM ledger_rows WHERE seq = 8`, `DELETE FROM ledger_payloads WHERE seq = 8`},
		"the base":                  {`DELETE FROM ledger_base`},
		"the base's hash":           {`UPDATE ledger_base SET hash = zeroblob(32)`},
		"the base's hash, cut":      {`UPDATE ledger_base SET hash = x'00'`},
		"the base's number":         {`UPDATE ledger_base SET seq = 6`},
		"a hash that stands":        {`UPDATE ledger_hashes SET hash = zeroblob(32) WHERE idx = 6`},
		"the entry's payload":       {`DELETE FROM ledger_payloads WHERE seq = 16`},
		"the checkpoints":           {`DELETE FROM ledger_checkpoints`},
	} {
		l, note, _ := begin()
		attack(t, l, statements...)
		rep, err := l.VerifyStore(t.Context(), note)
		if err == nil && rep.OK {
			t.Errorf("%s: not found", name)
		}
	}
	l, note, whole := begin()
	if err := l.Erase(t.Context(), []int64{16}, "lena", "asked for"); !errors.Is(err, ErrKept) {
		t.Errorf("erase the entry that tells of it: %v", err)
	}
	for name, c := range map[string]struct {
		export []string
		ok     bool
	}{
		"as it was":     {whole, true},
		"another":       {with(whole, 4, whole[5]), false},
		"cut":           {whole[:7], false},
		"none":          {nil, false},
		"another story": {rechained(t, whole, 7, func(r *Row) { r.Actor = "somebody else" }), false},
	} {
		rep, err := l.VerifyWhole(t.Context(), note, func() (io.ReadCloser, error) {
			if c.export == nil {
				return nil, io.ErrUnexpectedEOF
			}
			return io.NopCloser(strings.NewReader(strings.Join(c.export, "\n"))), nil
		})
		if err != nil || rep.OK != c.ok {
			t.Errorf("with the export %s: %+v, %v", name, rep, err)
		}
	}
	lines := export(t, l)
	before, missed := canonicalLines(strings.Join(lines, "\n")), 0
	text := strings.Join(lines, "\n")
	for i := range len(lines[0]) + len(lines[1]) {
		changed := []byte(text)
		changed[i] ^= 1
		rep, err := VerifyExport(bytes.NewReader(changed), Trust{Public: l.key.Public, Outside: note})
		if err == nil && rep.OK && canonicalLines(string(changed)) != before {
			missed++
			t.Errorf("byte %d of the header was changed and not found: %q", i, changed[max(0, i-20):i+20])
		}
	}
	t.Logf("%d bytes, %d missed", len(lines[0])+len(lines[1]), missed)
}

// TestPrunedHeaders: headers that are none are findings and no crashes.
func TestPrunedHeaders(t *testing.T) {
	l := open(t)
	for _, b := range []*lineBase{
		{},
		{Rows: -1, Hash: make([]byte, 32)},
		{Rows: 1 << 62, Hash: make([]byte, 32)},
		{Rows: 7, Hash: make([]byte, 31)},
		{Rows: 7, Hash: make([]byte, 32), Tree: make([][]byte, 2)},
		{Rows: 7, Hash: make([]byte, 32), Tree: make([][]byte, 3)},
		{Rows: 1 << 60, Hash: make([]byte, 32), Tree: make([][]byte, 1)},
	} {
		head := written(t, line{Type: "header", Public: l.key.Public, Base: b})
		if rep := verify(t, l, []string{head, written(t, line{Type: "end", Rows: b.Rows})}, ""); rep.OK {
			t.Errorf("%+v verified", b)
		}
	}
}

// TestEdge: the hashes that stand for n rows are those that a tree's root over them
// needs, and that the tree needs to grow.
func TestEdge(t *testing.T) {
	const most = 300
	var all []tlog.Hash
	whole := tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			out[i] = all[x]
		}
		return out, nil
	})
	for n := range int64(most) {
		more, err := tlog.StoredHashesForRecordHash(n, tlog.RecordHash([]byte{byte(n), byte(n >> 8)}), whole)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, more...)
	}
	for n := int64(1); n < most; n++ {
		edge := map[int64]bool{}
		for _, idx := range edgeOf(n) {
			edge[idx] = true
		}
		first := tlog.StoredHashCount(n)
		kept := tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
			for _, x := range idx {
				if x < first && !edge[x] {
					return nil, errors.New("not kept")
				}
			}
			return whole(idx)
		})
		for size := n; size <= most; size++ {
			if _, err := tlog.TreeHash(size, kept); err != nil {
				t.Fatalf("%d rows, after %d left: %v", size, n, err)
			}
		}
	}
}

// TestPruneAtOnce prunes while others append and sign.
func TestPruneAtOnce(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger) {
		fill(t, l, 40)
		sign(t, l)
		var wg sync.WaitGroup
		errs := make([]error, 5)
		for i := range 4 {
			wg.Go(func() {
				for range 20 {
					errs[i] = errors.Join(errs[i], l.db.Update(t.Context(), func(tx *store.Tx) error {
						_, err := l.Append(tx, Row{Kind: "test.entry"}, json.RawMessage(`{}`))
						return err
					}))
					_, err := l.Sign(t.Context())
					errs[i] = errors.Join(errs[i], err)
				}
			})
		}
		gone := int64(0)
		wg.Go(func() {
			for gone < 100 && errs[4] == nil {
				p := pruning7(t, l, 1000)
				n, err := l.Prune(t.Context(), p)
				gone, errs[4] = gone+n, err
			}
		})
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if rep := inspect(t, l, sign(t, l).Note); !rep.OK || rep.Pruned != gone {
			t.Fatalf("%+v", rep)
		}
	})
}
