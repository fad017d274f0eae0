package app_test

import (
	"bytes"
	"context"
	"flag"
	"io"
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
	db, l, key := threeEntries(t, work, "data")
	defer func() { _ = db.Close() }()
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
	writePruned(t, work)
	return b.String()
}

// threeEntries opens a ledger in a directory, with three entries of a run.
func threeEntries(t *testing.T, work, data string) (*store.DB, *ledger.Ledger, ledger.Key) {
	t.Helper()
	mkdir(t, filepath.Join(work, data))
	key, err := ledger.LoadKey(filepath.Join(work, "keys", "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(work, data), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
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
	return db, l, key
}

// writePruned makes a store under work/left whose first two rows are in work/archive
// only.
func writePruned(t *testing.T, work string) {
	t.Helper()
	ctx := t.Context()
	db, l, _ := threeEntries(t, work, "left")
	defer func() { _ = db.Close() }()
	archive := filepath.Join(work, "archive")
	mkdir(t, archive)
	var b bytes.Buffer
	_, err := l.ExportPart(ctx, &b, 0, 2)
	keep(t, archive, "ledger-000000000000001.jsonl", b.String())
	if err == nil {
		_, err = l.Sign(ctx)
	}
	n := int64(0)
	if err == nil {
		n, err = l.Prune(ctx, ledger.Pruning{
			Upto: 2, Before: time.Now().Add(time.Hour), Step: 2, Actor: "system:retention",
			Keeps:    func(context.Context, string) (bool, error) { return false, nil },
			Exported: func(after int64) (io.ReadCloser, error) { return ledger.OpenParts(archive, after) },
		})
	}
	if err == nil {
		_, err = l.Sign(ctx)
	}
	if err != nil || n != 2 {
		t.Fatalf("%d rows went: %v", n, err)
	}
	keep(t, work, "left.yaml", "data_dir: left\nkeys: {ledger: keys/ledger.key}\nretention: {export: archive}\n")
}
