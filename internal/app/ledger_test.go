package app_test

import (
	"bytes"
	"flag"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata and the reference in docs")

// writeLedger makes a small real ledger under work/data, closes it, and returns
// its export. Beside it lie the configuration, the public key and a checkpoint.
func writeLedger(t *testing.T, work string) string {
	t.Helper()
	data := filepath.Join(work, "data")
	mkdir(t, data)
	key, err := ledger.LoadKey(filepath.Join(work, "keys", "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Dir: data, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.Migrate(t.Context(), ledger.Schema()); err != nil {
		t.Fatal(err)
	}
	l := ledger.New(db, key, time.Now)
	for _, kind := range []string{"alert.received", "effect.intent", "effect.outcome"} {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := l.Append(tx, ledger.Row{Kind: kind, Tenant: "default", Run: runID, Actor: "user:alice"}, map[string]string{"host": "ws-1"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := l.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := l.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	keep(t, work, "public", key.Public+"\n")
	keep(t, work, "checkpoints", c.Note+"\n"+c.Note+"\n")
	keep(t, work, "quell.yaml", "data_dir: data\nkeys: {ledger: keys/ledger.key}\n")
	keep(t, work, "key", sourceKey)
	return b.String()
}
