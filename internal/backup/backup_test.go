package backup_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/backup"
	"github.com/quell-soar/quell/internal/store"
)

// house makes a data directory with databases, evidence, and a file that is not
// to be copied.
func house(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"engine", "evidence/ab"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // it stays open: a backup is made online
	if err := store.Copy(t.Context(), filepath.Join(dir, "quell.db"), filepath.Join(dir, "engine", "temporal.db")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"engine/temporal.db.schema": "0.11\n", "evidence/ab/abcd": "large", "first-admin": "code"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestRestore makes a backup of an open store and restores it; what was altered,
// is not whole, or would overwrite is refused.
func TestRestore(t *testing.T) {
	from, to, now := house(t), filepath.Join(t.TempDir(), "b"), time.Now()
	m, err := backup.Make(t.Context(), from, to, "v1", now)
	if err != nil || len(m.Files) != 4 {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := backup.Make(t.Context(), from, to, "v1", now); err == nil {
		t.Error("a backup was written over")
	}
	if _, err := backup.Restore(to, from, now); err == nil {
		t.Error("a live data directory was written over")
	}
	fresh := filepath.Join(t.TempDir(), "data")
	if _, err := backup.Restore(to, fresh, now); err != nil {
		t.Fatal(err)
	}
	if got, yes, err := backup.Pending(fresh); !yes || err != nil || !got.Made.Equal(now) {
		t.Errorf("%+v, %v, %v", got, yes, err)
	}
	if err := backup.Noted(fresh); err != nil {
		t.Error(err)
	}
	if _, yes, err := backup.Pending(fresh); yes || err != nil {
		t.Errorf("pending after it was noted: %v", err)
	}
	if err := os.WriteFile(filepath.Join(to, "evidence/ab/abcd"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(to, filepath.Join(t.TempDir(), "x"), now); err == nil {
		t.Error("an altered backup was restored")
	}
	if err := os.Remove(filepath.Join(to, "backup.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(to, filepath.Join(t.TempDir(), "y"), now); err == nil {
		t.Error("an unfinished backup was restored")
	}
}

// TestInterrupted: nothing starts on a restore that did not end.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "restoring"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := backup.Pending(dir); err == nil {
		t.Error("it may start")
	}
}

// TestBeforeUpgrade keeps the last two copies, which restore; a directory in which
// the engine never ran can be copied too.
func TestBeforeUpgrade(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var made []string
	for i := range 3 {
		to, err := backup.BeforeUpgrade(t.Context(), dir, "v1", time.Unix(int64(i), 0))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, to)
	}
	for i, to := range made {
		if _, err := os.Stat(to); (err == nil) != (i > 0) {
			t.Errorf("copy %d: %v", i+1, err)
		}
	}
	if m, err := backup.Restore(made[2], filepath.Join(t.TempDir(), "new"), time.Unix(9, 0)); err != nil || m.Version != "v1" {
		t.Errorf("%+v, %v", m, err)
	}
}
