package intake

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
)

func openStore(t *testing.T, path string) (*store.DB, *ledger.Ledger) {
	t.Helper()
	if path == "" {
		path = t.TempDir()
	}
	db, err := store.Open(t.Context(), store.Options{Dir: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), runs.Schema(), ledger.Schema()); err != nil {
		t.Fatal(err)
	}
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	return db, ledger.New(db, key, time.Now)
}
