package intake

import (
	"path/filepath"
	"testing"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
)

func openStore(t *testing.T, path string) (*store.DB, *ledger.Ledger) {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "q.db")
	}
	db, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), runs.Schema()); err != nil {
		t.Fatal(err)
	}
	return db, nil
}
