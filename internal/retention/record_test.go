package retention_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/retention"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
)

// filler appends entries that are about nothing.
func (h *house) filler(n int) {
	h.Helper()
	h.must(h.DB.Update(h.Context(), func(tx *store.Tx) error {
		for range n {
			if _, err := h.Ledger.Append(tx, ledger.Row{Kind: "test.entry", Actor: "lena"}, nil); err != nil {
				return err
			}
		}
		return nil
	}))
}

// age lets time go by, with an export and a sweep at its end.
func (h *house) age(want retention.Swept, why string) {
	h.Helper()
	h.at = h.at.Add(record + 1)
	_, err := h.Ledger.Sign(h.Context())
	h.must(err)
	h.must(h.Exporter.Export(h.Context()))
	got, err := h.Sweep(h.Context())
	if h.must(err); got != want {
		h.Fatalf("%s: swept %+v, want %+v", why, got, want)
	}
}

// count is how many rows a table has.
func (h *house) count(table string) (n int) {
	h.Helper()
	h.must(h.DB.View(h.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&n) }))
	return n
}

// TestRecord: after the record's time nothing is left of a run but what an undo needs,
// and nothing of the ledger but what is younger; all of it is proved, in the store and
// in the export, and against each other.
func TestRecord(t *testing.T) {
	each(t, func(h *house) {
		ctx := h.Context()
		standing, told, released := h.ran(1, isolate(), comment()), h.ran(2, comment()), h.ran(3, isolate())
		h.takeBack(released)
		h.filler(1000)
		h.age(retention.Swept{Runs: 3, Alerts: 3, Rows: 1000, Forgotten: 2}, "all is old")
		if rep := h.verify(); rep.Pruned != 0 || rep.Rows < 1000 {
			t.Errorf("the export: %+v", rep)
		}
		whole, err := h.Ledger.VerifyWhole(ctx, "", h.Exported)
		if h.must(err); !whole.OK || whole.Pruned != 1000 {
			t.Errorf("the whole: %+v", whole)
		}
		for id, there := range map[string]bool{standing: true, told: false, released: false} {
			if _, err := h.Runs.Get(ctx, id); errors.Is(err, runs.ErrNotFound) == there {
				t.Errorf("run %s: %v", id, err)
			}
		}
		if n := h.count("effects"); n != 2 { // of the run whose isolation stands
			t.Errorf("%d effects are left", n)
		}
		h.takeBack(standing)
		h.age(retention.Swept{Forgotten: 1}, "the isolation was taken back") // too few rows are old to go
		if n := h.count("runs") + h.count("effects") + h.count("alerts") + h.count("requests"); n != 0 {
			t.Errorf("%d rows of runs are left", n)
		}
		h.filler(500)
		h.age(retention.Swept{Rows: 500}, "again")
		h.verify()
		again := h.ran(1) // the same key by hand is the same id, and is new
		if _, err := h.Runs.Get(ctx, again); err != nil {
			t.Error(err)
		}
	})
}

// TestTakenBackLate: what stood when the detail of its run was deleted, and was taken
// back later, is deleted too once that is long ago.
func TestTakenBackLate(t *testing.T) {
	each(t, func(h *house) {
		id := h.ran(1, isolate())
		sweep := func(effects int, why string) {
			t.Helper()
			h.at = h.at.Add(keep + time.Hour)
			h.must(h.Exporter.Export(h.Context()))
			_, err := h.Sweep(h.Context())
			if h.must(err); h.count("effects") != effects {
				t.Errorf("%s: %d effects are left", why, h.count("effects"))
			}
		}
		sweep(1, "it stands")
		h.takeBack(id)
		h.must(h.Exporter.Export(h.Context()))
		_, err := h.Sweep(h.Context())
		if h.must(err); h.count("effects") != 2 {
			t.Error("it was taken back a moment ago")
		}
		sweep(0, "it was taken back long ago")
		if n := h.secrets(); n != 0 {
			t.Errorf("%d places still tell", n)
		}
	})
}

// TestRecordOpen: a run that goes on keeps its rows, and all after them.
func TestRecordOpen(t *testing.T) {
	each(t, func(h *house) {
		h.filler(700)
		open := h.ran(1)
		h.must(h.DB.Update(h.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE runs SET status = 'running', ended = 0 WHERE id = ?`, open)
			return err
		}))
		h.filler(1000)
		h.age(retention.Swept{Rows: 500}, "up to the open run")
		h.age(retention.Swept{}, "as long as it is open")
		h.must(h.Runs.MarkEnded(h.Context(), open, "completed", "", nil))
		h.age(retention.Swept{Runs: 1, Alerts: 1, Rows: 1000, Forgotten: 1}, "and not longer")
		h.verify()
	})
}

// TestOddClock: a clock that jumped deletes nothing, however old all of it looks.
func TestOddClock(t *testing.T) {
	each(t, func(h *house) {
		h.ran(1)
		h.filler(600)
		h.Odd = func() string { return "the clock jumped ahead by 3y" }
		_, err := h.Ledger.Sign(h.Context())
		h.must(err)
		h.must(h.Exporter.Export(h.Context()))
		h.at = h.at.Add(2 * record)
		if got, err := h.Sweep(h.Context()); !errors.Is(err, retention.ErrClock) || got != (retention.Swept{}) {
			t.Errorf("%+v, %v", got, err)
		}
		h.Odd = func() string { return "" }
		if got, err := h.Sweep(h.Context()); err != nil || got.Runs != 1 || got.Rows != 500 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestRestored: after a restore from before what was exported, the export's files with
// the rows that the store lost are set aside, not written over, and the rest goes on.
func TestRestored(t *testing.T) {
	each(t, func(h *house) {
		var aside []string
		h.Exporter.Aside = func(file string) { aside = append(aside, file) }
		h.filler(10)
		h.must(h.Exporter.Export(h.Context()))
		h.filler(10)
		h.must(h.Exporter.Export(h.Context()))
		h.filler(10)
		h.must(h.Exporter.Export(h.Context()))
		h.must(h.DB.Update(h.Context(), func(tx *store.Tx) error { // as it was after the first ten
			for _, q := range []string{
				`DELETE FROM ledger_rows WHERE seq > 10`, `DELETE FROM ledger_payloads WHERE seq > 10`,
				`UPDATE ledger_head SET seq = 10, hash = (SELECT hash FROM ledger_rows WHERE seq = 10)`, `UPDATE retention_export SET seq = 10`,
			} {
				if _, err := tx.Exec(q); err != nil {
					return err
				}
			}
			return nil
		}))
		h.at = h.at.Add(time.Minute)
		h.filler(15)
		h.must(h.Exporter.Export(h.Context()))
		if rep := h.verify(); rep.Rows != 25 || len(aside) != 2 {
			t.Errorf("%+v, %v", rep, aside)
		}
		for i, file := range aside {
			f, err := os.Open(file)
			h.must(err)
			list, err := ledger.ReadExport(f, ledger.Filter{})
			if h.must(err); len(list) != 10 || list[0].Seq != int64(11+10*i) {
				t.Errorf("%s: %+v", file, list)
			}
			h.must(f.Close())
		}
	})
}

// TestRecordAway: rows whose export is gone, or is another, stay.
func TestRecordAway(t *testing.T) {
	each(t, func(h *house) {
		ctx := h.Context()
		h.filler(600)
		h.must(h.Exporter.Export(ctx))
		_, err := h.Ledger.Sign(ctx)
		h.must(err)
		h.at = h.at.Add(2 * record)
		dir := h.Exporter.Dir
		h.Exporter.Dir = t.TempDir()
		if got, err := h.Sweep(ctx); err == nil || got.Rows != 0 {
			t.Errorf("without the export: %+v, %v", got, err)
		}
		h.Exporter.Dir = dir
		names, err := filepath.Glob(filepath.Join(dir, "ledger-*"))
		h.must(err)
		raw, err := os.ReadFile(names[0])
		h.must(err)
		h.must(os.WriteFile(names[0], raw[:len(raw)/2], 0o600))
		if got, err := h.Sweep(ctx); !errors.Is(err, ledger.ErrNotExported) || got.Rows != 0 {
			t.Errorf("with half of it: %+v, %v", got, err)
		}
		h.must(os.WriteFile(names[0], raw, 0o600))
		if got, err := h.Sweep(ctx); err != nil || got.Rows != 500 {
			t.Errorf("with all of it: %+v, %v", got, err)
		}
	})
}
