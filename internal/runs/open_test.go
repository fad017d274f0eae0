package runs

import (
	"path/filepath"
	"testing"

	"github.com/quell-soar/quell/internal/store"
)

func openStore(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "q.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), Schema()); err != nil {
		t.Fatal(err)
	}
	return db
}
