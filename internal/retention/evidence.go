package retention

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// evidence moves to the export what was put in before a time, and before anything
// began that has not ended. It was put in again whenever it was given out again,
// so its file's time tells.
func (s *Sweeper) evidence(ctx context.Context, before time.Time) (n int, err error) {
	open, err := s.Runs.OldestOpen(ctx)
	if err != nil {
		return 0, err
	}
	if !open.IsZero() && open.Before(before) {
		before = open
	}
	err = filepath.WalkDir(s.Evidence, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == s.Evidence {
			return nil
		}
		if err != nil || !d.Type().IsRegular() || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		info, err := d.Info()
		if err != nil || !info.ModTime().Before(before) {
			return err
		}
		if err := s.take(path); err != nil {
			return err
		}
		n++
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("retention: evidence: %w", err)
	}
	return n, nil
}

// take copies a file to the export and then deletes it.
func (s *Sweeper) take(path string) (err error) {
	name, err := filepath.Rel(s.Evidence, path)
	if err != nil {
		return err
	}
	to := filepath.Join(s.Exporter.Dir, "evidence", name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(filepath.Dir(to), ".new-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	if err := syncDir(filepath.Dir(to)); err != nil {
		return err
	}
	return os.Remove(path)
}
