package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

func each(t *testing.T, f func(t *testing.T, l *Ledger)) {
	t.Helper()
	storetest.Each(t, []store.Schema{Schema()}, func(t *testing.T, db *store.DB) { f(t, on(t, db)) })
}

func open(t *testing.T) *Ledger {
	t.Helper()
	return on(t, storetest.Open(t, store.Options{Dir: t.TempDir()}, Schema()))
}

func on(t *testing.T, db *store.DB) *Ledger {
	t.Helper()
	key, err := LoadKey(filepath.Join(t.TempDir(), "keys", "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	return New(db, key, time.Now)
}

// fill appends n entries of run r.
func fill(t *testing.T, l *Ledger, n int) {
	t.Helper()
	for i := range n {
		if err := l.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := l.Append(tx, Row{Kind: "test.entry", Run: "r", Key: fmt.Sprint(i)}, map[string]int{"n": i})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func sign(t *testing.T, l *Ledger) Checkpoint {
	t.Helper()
	c, err := l.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// attack changes the store behind the ledger's back.
func attack(t *testing.T, l *Ledger, statements ...string) {
	t.Helper()
	if err := l.db.Update(t.Context(), func(tx *store.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(s); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func inspect(t *testing.T, l *Ledger, outside string) Report {
	t.Helper()
	rep, err := l.VerifyStore(t.Context(), outside)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func named(rep Report, seq int64) bool {
	for _, f := range rep.Findings {
		if f.Seq == seq {
			return true
		}
	}
	return false
}

// TestAtOnce appends from many callers: numbers without gaps, a whole chain, one
// row for one mark.
func TestAtOnce(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger) {
		const callers, rounds = 32, 5
		errs := make([]error, callers)
		var firsts [callers]int
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for i := range rounds {
					errs[c] = errors.Join(errs[c], l.db.Update(t.Context(), func(tx *store.Tx) error {
						_, err := l.Append(tx, Row{Kind: "test.entry", Key: fmt.Sprintf("%d/%d", c, i)}, nil)
						return err
					}))
				}
				errs[c] = errors.Join(errs[c], l.db.Update(t.Context(), func(tx *store.Tx) error {
					_, first, err := l.AppendOnce(tx, "mark", Row{Kind: "test.once"}, nil)
					if firsts[c] = 0; first {
						firsts[c] = 1
					}
					return err
				}))
				_, err := l.Sign(t.Context())
				errs[c] = errors.Join(errs[c], err)
			})
		}
		wg.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		first := 0
		for _, n := range firsts {
			first += n
		}
		rep := inspect(t, l, sign(t, l).Note)
		if !rep.OK || rep.Rows != callers*rounds+1 || rep.Covered != rep.Rows || first != 1 {
			t.Fatalf("%+v, %d first marks", rep, first)
		}
	})
}

// TestRolledBack leaves no entry of a transaction that failed.
func TestRolledBack(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger) {
		ours := errors.New("ours")
		for i := range 6 {
			err := l.db.Update(t.Context(), func(tx *store.Tx) error {
				if _, err := l.Append(tx, Row{Kind: "test.entry"}, nil); err != nil || i%2 == 0 {
					return err
				}
				return ours
			})
			if (i%2 == 1) != errors.Is(err, ours) {
				t.Fatal(err)
			}
		}
		if rep := inspect(t, l, sign(t, l).Note); !rep.OK || rep.Rows != 3 {
			t.Fatalf("%+v", rep)
		}
	})
}

// TestRead narrows, pages and returns what was written, hostile texts too.
func TestRead(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger) {
		fill(t, l, 5)
		hostile := "a\x00b\xff<script>"
		if err := l.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := l.Append(tx, Row{Kind: "test.hostile", Run: hostile, Key: hostile, Actor: hostile}, map[string]string{"text": hostile})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			f    Filter
			want []int64
		}{
			{Filter{}, []int64{1, 2, 3, 4, 5, 6}},
			{Filter{Run: "r"}, []int64{1, 2, 3, 4, 5}},
			{Filter{Run: "r", After: 2, Limit: 2}, []int64{3, 4}},
			{Filter{Key: "3"}, []int64{4}},
			{Filter{Kind: "test.hostile"}, []int64{6}},
			{Filter{Run: "r", Kind: "test.hostile"}, nil},
		} {
			got, err := l.Read(t.Context(), c.f)
			if err != nil {
				t.Fatal(err)
			}
			var seqs []int64
			for _, e := range got {
				seqs = append(seqs, e.Seq)
			}
			if fmt.Sprint(seqs) != fmt.Sprint(c.want) {
				t.Errorf("%+v: %v, want %v", c.f, seqs, c.want)
			}
		}
		got, _ := l.Read(t.Context(), Filter{Kind: "test.hostile"})
		if got[0].Run != "a\uFFFDb\uFFFD<script>" || string(got[0].Body) != `{"text":"a\u0000b\ufffd<script>"}` {
			t.Errorf("%q %s", got[0].Run, got[0].Body)
		}
		if rep := inspect(t, l, ""); !rep.OK {
			t.Fatalf("%+v", rep)
		}
	})
}

// TestRun signs what an earlier process left, and what comes, and the last rows
// when it is told to stop; each checkpoint once in the outside file.
func TestRun(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger) {
		fill(t, l, 3)
		l = New(l.db, l.key, time.Now) // a new process: nobody told it of the rows
		l.Outside = filepath.Join(t.TempDir(), "checkpoints")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Run(ctx, func(err error) { t.Error(err) })
		}()
		covers(t, l, 3)
		fill(t, l, 2)
		covers(t, l, 5)
		cancel()
		<-done
		fill(t, l, 1)
		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		l.Run(stopped, func(err error) { t.Error(err) })
		covers(t, l, 6)
		raw, err := os.ReadFile(l.Outside)
		if err != nil {
			t.Fatal(err)
		}
		var sizes []int64
		for text := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n"+origin+"\n") {
			c, err := openCheckpoint(origin+"\n"+strings.TrimRight(strings.TrimPrefix(text, origin+"\n"), "\n")+"\n", l.key.Public)
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, c.Size)
		}
		if len(sizes) < 3 || sizes[0] != 3 || sizes[len(sizes)-1] != 6 {
			t.Fatal(sizes)
		}
		for i := 1; i < len(sizes); i++ {
			if sizes[i] <= sizes[i-1] {
				t.Fatalf("told twice: %v", sizes)
			}
		}
	})
}

// covers waits until a checkpoint covers n rows.
func covers(t *testing.T, l *Ledger, n int64) {
	t.Helper()
	for t.Context().Err() == nil {
		c, err := l.Latest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c.Size == n {
			return
		}
	}
}

// TestManyRows grows the tree over several transactions.
func TestManyRows(t *testing.T) {
	l := open(t)
	const n = 2*chunk + 500
	if err := l.db.Update(t.Context(), func(tx *store.Tx) error {
		for range n {
			if _, err := l.Append(tx, Row{Kind: "test.entry"}, nil); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if rep := inspect(t, l, sign(t, l).Note); !rep.OK || rep.Covered != n {
		t.Fatalf("%+v", rep)
	}
}

// TestKey makes a key once, whoever comes first, and refuses what is no key.
func TestKey(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keys", "ledger")
	var publics [8]string
	var wg sync.WaitGroup
	for i := range publics {
		wg.Go(func() {
			key, err := LoadKey(file)
			if err != nil {
				t.Error(err)
			}
			publics[i] = key.Public
		})
	}
	wg.Wait()
	for _, p := range publics {
		if p == "" || p != publics[0] {
			t.Fatal(publics)
		}
	}
	pub, err := os.ReadFile(file + ".pub")
	if err != nil || strings.TrimSpace(string(pub)) != publics[0] {
		t.Fatal(string(pub), err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatal(st.Mode(), err)
	}
	other, err := LoadKey(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := os.ReadFile(file)
	secret, _, _ := bytes.Cut(raw, []byte("\n"))
	for name, bad := range map[string]string{"empty": "", "no public": string(secret) + "\n", "another's public": string(secret) + "\n" + other.Public + "\n", "noise": "x\ny\n"} {
		at := filepath.Join(dir, "bad")
		if err := os.WriteFile(at, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(at); err == nil || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
}
