package retention

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// partRows is how many rows of the ledger one file has at most.
const partRows = 4096

// Schema makes the table that says how far the export goes.
func Schema() store.Schema {
	return store.Schema{Name: "retention", Steps: []string{
		`CREATE TABLE retention_export (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL)`,
	}}
}

// Exporter writes the ledger to files in a directory. One process does so for one
// store.
type Exporter struct {
	DB     *store.DB
	Ledger *ledger.Ledger
	// Dir is made where it is not there.
	Dir string
	// Aside, where set, is told of files that were set aside; see Export.
	Aside func(file string)
}

// Export writes what the ledger has that the directory has not, and notes it once
// it is on disk. It may be called again at any time; a part that was written and
// not noted is written again. Files with rows that the ledger has not, as after a
// restore from an older backup, are set aside under another name: they tell what was
// done in between.
func (e *Exporter) Export(ctx context.Context) error {
	if err := os.MkdirAll(e.Dir, 0o700); err != nil {
		return fmt.Errorf("retention: export: %w", err)
	}
	for {
		done, err := e.Exported(ctx)
		if err != nil {
			return err
		}
		if err := e.setAside(ctx, done); err != nil {
			return fmt.Errorf("retention: export: %w", err)
		}
		last, err := e.part(ctx, done)
		if err != nil {
			return fmt.Errorf("retention: export: %w", err)
		}
		if last == done {
			return nil
		}
		err = e.DB.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO retention_export (id, seq) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq`, last)
			return err
		})
		if err != nil {
			return fmt.Errorf("retention: export: %w", err)
		}
	}
}

// Exported is the number of the last row that the export has, 0 for none.
func (e *Exporter) Exported(ctx context.Context) (seq int64, err error) {
	err = e.DB.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT seq FROM retention_export WHERE id = 1`).Scan(&seq)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("retention: %w", err)
	}
	return seq, nil
}

// setAside renames the files behind the row that was noted last, unless the first of
// them is but a part that was not noted.
func (e *Exporter) setAside(ctx context.Context, done int64) error {
	names, err := filepath.Glob(filepath.Join(e.Dir, "ledger-*.jsonl"))
	if err != nil {
		return err
	}
	first := ledger.PartName(done + 1)
	for _, name := range names {
		file := filepath.Base(name)
		if file < first {
			continue
		}
		if ours, err := e.continues(ctx, name); err != nil || ours && file == first {
			return err
		}
		to := filepath.Join(e.Dir, fmt.Sprintf("aside-%s-%s", time.Now().UTC().Format("20060102T150405.000000000Z"), file))
		if err := os.Rename(name, to); err != nil {
			return err
		}
		if e.Aside != nil {
			e.Aside(to)
		}
	}
	return nil
}

func (e *Exporter) continues(ctx context.Context, name string) (ours bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return e.Ledger.Continues(ctx, f)
}

// part writes the rows after a number to a file and returns the last one's.
func (e *Exporter) part(ctx context.Context, after int64) (last int64, err error) {
	f, err := os.CreateTemp(e.Dir, ".new-*")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	w := bufio.NewWriter(f)
	last, err = e.Ledger.ExportPart(ctx, w, after, partRows)
	if err = errors.Join(err, w.Flush(), f.Sync(), f.Close()); err != nil || last == after {
		return last, err
	}
	// A part that was not noted is written over, by as many rows or more.
	if err := os.Rename(f.Name(), filepath.Join(e.Dir, ledger.PartName(after+1))); err != nil {
		return 0, err
	}
	return last, syncDir(e.Dir)
}

// syncDir puts the names of a directory on disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
