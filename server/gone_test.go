package server

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/server/api"
)

// TestGone: where rows left the store, lists say so, and so does the answer about a run
// that is not known.
func TestGone(t *testing.T) {
	h := open(t)
	id := h.begun("ws-12")
	c := h.client(h.token("auditor", nil, auth.Audit, auth.Read))
	if got, err := c.Entries(t.Context(), api.EntryFilter{}); err != nil || got.Gone != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	_, err := c.Run(t.Context(), id+"0")
	if wantCode(t, "no such run", err, api.CodeNotFound); strings.Contains(err.Error(), "--export") {
		t.Error(err)
	}
	var b bytes.Buffer
	if _, err := h.rooms.Ledger.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.rooms.Ledger.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	n, err := h.rooms.Ledger.Prune(t.Context(), ledger.Pruning{
		Upto: 1, Step: 1, Before: time.Now().Add(time.Hour), Actor: "system:retention",
		Keeps:    func(context.Context, string) (bool, error) { return false, nil },
		Exported: func(int64) (io.ReadCloser, error) { return io.NopCloser(&b), nil },
	})
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if got, err := c.Entries(t.Context(), api.EntryFilter{}); err != nil || got.Gone != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := c.Entries(t.Context(), api.EntryFilter{After: 1}); err != nil || got.Gone != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = c.Run(t.Context(), id+"0")
	if wantCode(t, "no such run", err, api.CodeNotFound); !strings.Contains(err.Error(), "quell audit list --export") {
		t.Error(err)
	}
}
