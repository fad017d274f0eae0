package store_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

// TestClose closes the store under callers that wait: who was told that it is on
// disk finds it there, and who was told an error does not.
func TestClose(t *testing.T) {
	for name, opts := range map[string]func(*testing.T) store.Options{
		"sqlite":   func(t *testing.T) store.Options { return store.Options{Dir: t.TempDir()} },
		"postgres": func(t *testing.T) store.Options { return store.Options{DSN: storetest.DSN(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			o := opts(t)
			db := storetest.Open(t, o, things)
			errs := underClose(t, db)
			db = storetest.Open(t, o, things)
			var kept int64
			for c, err := range errs {
				var n int64
				if err := db.View(t.Context(), func(tx *store.Tx) error {
					return tx.QueryRow(`SELECT COUNT(*) FROM things WHERE name = ?`, fmt.Sprint(c)).Scan(&n)
				}); err != nil {
					t.Fatal(err)
				}
				if (err == nil) != (n == 1) {
					t.Errorf("caller %d was told %v and kept %d", c, err, n)
				}
				kept += n
			}
			if rows, total := totals(t, db); rows != kept || total != kept {
				t.Fatal(rows, total, kept)
			}
			t.Logf("%d of %d were kept", kept, len(errs))
		})
	}
}

func underClose(t *testing.T, db *store.DB) []error {
	t.Helper()
	errs := make([]error, 400)
	begun := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for c := range errs {
		wg.Go(func() {
			errs[c] = db.Update(context.Background(), func(tx *store.Tx) error {
				once.Do(func() { close(begun) })
				return put(tx, fmt.Sprint(c))
			})
		})
	}
	<-begun
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := db.Update(context.Background(), func(*store.Tx) error { return nil }); err == nil {
		t.Fatal("a closed store was written")
	}
	if err := db.Close(); err != nil {
		t.Fatalf("closed twice: %v", err)
	}
	return errs
}

// TestLock keeps a second process out and tells whom to look for.
func TestLock(t *testing.T) {
	o := store.Options{Dir: t.TempDir()}
	db := storetest.Open(t, o, things)
	second, err := store.Open(t.Context(), o)
	if err == nil {
		_ = second.Close()
		t.Fatal("opened twice")
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("process %d;", os.Getpid())) {
		t.Fatalf("does not name the process: %v", err)
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }); err != nil {
		t.Fatalf("the refused one broke the first: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = storetest.Open(t, o, things)
	if rows, _ := totals(t, db); rows != 1 {
		t.Fatal(rows)
	}
}

// TestExitInside ends the goroutine of a function, as t.FailNow does: the writer
// must live on.
func TestExitInside(t *testing.T) {
	db := storetest.Open(t, store.Options{Dir: t.TempDir()}, things)
	errs := make(chan error, 1)
	go func() {
		errs <- db.Update(context.Background(), func(tx *store.Tx) error { return exit(tx) })
	}()
	if err := <-errs; err == nil {
		t.Fatal("no error")
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return put(tx, "b") }); err != nil {
		t.Fatalf("the writer is gone: %v", err)
	}
	if rows, total := totals(t, db); rows != 1 || total != 1 {
		t.Fatal(rows, total)
	}
}

func exit(tx *store.Tx) error {
	if err := put(tx, "a"); err != nil {
		return err
	}
	runtime.Goexit()
	return nil
}
