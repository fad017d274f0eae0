package auth

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

func openStore(t *testing.T) (*store.DB, *ledger.Ledger) {
	t.Helper()
	return openStoreIn(t, t.TempDir())
}

func openStoreIn(t *testing.T, dir string) (*store.DB, *ledger.Ledger) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), Schema(), ledger.Schema()); err != nil {
		t.Fatal(err)
	}
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	return db, ledger.New(db, key, time.Now)
}
