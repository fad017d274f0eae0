package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inEngine counts a text in the files of the embedded engine's database.
func (h *house) inEngine(text string) int {
	h.t.Helper()
	files, err := filepath.Glob(filepath.Join(h.dir, "data", "engine", "*"))
	if err != nil || len(files) == 0 {
		h.t.Fatalf("no engine's files: %v", err)
	}
	n := 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			h.t.Fatal(err)
		}
		n += bytes.Count(bytes.ToLower(raw), []byte(strings.ToLower(text)))
	}
	return n
}

// TestPayloadKeys begins a run without a key, one with the first key and one with
// its successor, and lets all three end under the last: what an earlier key
// sealed, and what none did, is still read. Of the sealed runs' inputs nothing
// stands in the engine's files; of the first one's it does, so the search finds.
func TestPayloadKeys(t *testing.T) {
	integration(t)
	l := startLab(t)
	l.hostsOf(3)
	h := newHouse(t, l, "")
	plain := h.config
	h.write("k1", strings.Repeat("1f", 32)+"\n")
	h.write("k2", strings.Repeat("2e", 32)+"\n")
	for i, keys := range []string{"", "keys: {payloads: [\"file:k1\"]}\n", "keys: {payloads: [\"file:k2\", \"file:k1\"]}\n"} {
		h.write("quell.yaml", plain+keys)
		h.start()
		id := []string{"clear-1", "sealed-1", "rotated-1"}[i]
		if got, err := h.alert(id, hostname(i+1), `C:\Users\ana\`+id+`.exe`); err != nil || len(got.Runs) != 1 {
			t.Fatalf("alert %s: %+v, %v", id, got, err)
		}
		eventually(t, time.Minute, "the run asks for an approval", func() (bool, error) {
			list, err := h.requests()
			return len(list) == i+1, err
		})
		if i < 2 {
			h.stop()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.approveAll(ctx)
	for _, r := range h.ended(3, 90*time.Second) {
		if r.Closing != "completed" {
			t.Errorf("%s closed %s", r.ID, r.Closing)
		}
	}
	cancel()
	l.check(t, []string{hostname(1), hostname(2), hostname(3)})
	h.auditOK()
	h.stop()
	if h.inEngine(hostname(1)) == 0 || h.inEngine("clear-1") == 0 {
		t.Error("of the run without a key nothing is found: the search sees nothing")
	}
	for _, text := range []string{hostname(2), hostname(3), "sealed-1", "rotated-1"} {
		if n := h.inEngine(text); n != 0 {
			t.Errorf("%s stands %d times in the engine's files", text, n)
		}
	}
}
