package auth

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

func openStore(t *testing.T) (*store.DB, *ledger.Ledger) {
	t.Helper()
	return openStoreIn(t, t.TempDir())
}

func openStoreIn(t *testing.T, dir string) (*store.DB, *ledger.Ledger) {
	t.Helper()
	db := storetest.Open(t, store.Options{Dir: dir}, Schema(), ledger.Schema())
	return db, openLedger(t, db)
}

func openLedger(t *testing.T, db *store.DB) *ledger.Ledger {
	t.Helper()
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	return ledger.New(db, key, time.Now)
}
