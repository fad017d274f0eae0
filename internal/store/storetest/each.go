package storetest

import (
	"testing"

	"github.com/quell-soar/quell/internal/store"
)

// Each runs a test on SQLite and on PostgreSQL, with the tables of schemas.
func Each(t *testing.T, schemas []store.Schema, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, Open(t, store.Options{Dir: t.TempDir()}, schemas...)) })
	t.Run("postgres", func(t *testing.T) { f(t, Open(t, store.Options{DSN: DSN(t)}, schemas...)) })
}

// Open opens a store for as long as the test runs.
func Open(t testing.TB, o store.Options, schemas ...store.Schema) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), schemas...); err != nil {
		t.Fatal(err)
	}
	return db
}
