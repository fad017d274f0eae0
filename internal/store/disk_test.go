//go:build linux

package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

// disk mounts a small file system: a full and a read-only disk are tried on real
// ones.
func disk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("NOT TESTED: full and read-only disks, because this process may not mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// TestDiskFull fills the disk, expects errors and no half updates, makes room,
// and goes on with the same store.
func TestDiskFull(t *testing.T) {
	dir := disk(t)
	db := storetest.Open(t, store.Options{Dir: dir}, things)
	full := filepath.Join(dir, "ballast")
	for round := range 3 {
		if err := os.WriteFile(full, make([]byte, 16<<20), 0o600); err == nil {
			t.Fatal("the disk is not full")
		}
		failed := storm(db, fmt.Sprint("full", round), 200)
		if failed == 0 {
			t.Fatal("no update failed on a full disk")
		}
		if err := db.Ready(t.Context()); err == nil {
			t.Fatal("ready on a full disk")
		}
		if rows, total := totals(t, db); rows != total {
			t.Fatalf("half an update: %d rows, total %d", rows, total)
		}
		if err := os.Remove(full); err != nil {
			t.Fatal(err)
		}
		if err := db.Ready(t.Context()); err != nil {
			t.Fatalf("not ready after room was made: %v", err)
		}
		before, _ := totals(t, db)
		if failed := storm(db, fmt.Sprint("room", round), 20); failed != 0 {
			t.Fatalf("%d updates failed after room was made", failed)
		}
		if rows, total := totals(t, db); rows != before+20 || total != rows {
			t.Fatal(rows, total, before)
		}
	}
	reopened(t, db, dir)
}

// TestDiskReadOnly makes the file system read-only and writable again.
func TestDiskReadOnly(t *testing.T) {
	dir := disk(t)
	db := storetest.Open(t, store.Options{Dir: dir}, things)
	storm(db, "first", 8)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("NOT TESTED: read-only file system under an open store: the kernel says %v", err)
	}
	if err := db.Ready(t.Context()); err == nil {
		t.Error("ready on a read-only disk")
	}
	if failed := storm(db, "ro", 8); failed != 8 {
		t.Errorf("%d of 8 failed", failed)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	if err := db.Ready(t.Context()); err != nil {
		t.Fatalf("not ready after: %v", err)
	}
	if rows, total := totals(t, db); rows != 8 || total != 8 {
		t.Fatal(rows, total)
	}
	reopened(t, db, dir)
}

// storm updates from 16 callers, with 8 KB each, and counts those that failed.
func storm(db *store.DB, name string, n int) (failed int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	sem := make(chan struct{}, 16)
	for i := range n {
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			err := db.Update(context.Background(), func(tx *store.Tx) error {
				who := fmt.Sprintf("%s/%d", name, i)
				if err := put(tx, who); err != nil {
					return err
				}
				_, err := tx.Exec(`UPDATE things SET body = ? WHERE name = ?`, make([]byte, 8<<10), who)
				return err
			})
			if err != nil {
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failed
}

// reopened looks at what is really on the disk.
func reopened(t *testing.T, db *store.DB, dir string) {
	t.Helper()
	rows, _ := totals(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = storetest.Open(t, store.Options{Dir: dir}, things)
	t.Cleanup(func() { _ = db.Close() })
	var check string
	if err := db.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`PRAGMA integrity_check`).Scan(&check) }); err != nil || check != "ok" {
		t.Fatal(check, err)
	}
	if again, total := totals(t, db); again != rows || total != rows {
		t.Fatal(again, total, rows)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
