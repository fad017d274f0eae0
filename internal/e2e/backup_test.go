package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// quell runs a command on the house's configuration.
func (h *house) quell(args ...string) string {
	h.t.Helper()
	out, err := exec.Command(bin(h.t, "quell"), append(args, "--config", filepath.Join(h.dir, "quell.yaml"))...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("quell %v: %v: %s", args, err, out)
	}
	return string(out)
}

// TestBackup copies a running house with a run that waits, loses the house, and
// restores it: the kill switch is on, no host is isolated until it is lifted, and
// then the run ends as if nothing had been.
func TestBackup(t *testing.T) {
	alongside(t)
	integration(t)
	l := startLab(t)
	l.hostsOf(1)
	h := newHouse(t, l, "")
	h.start()
	if got, err := h.alert("kept-1", hostname(1)); err != nil || len(got.Runs) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	eventually(t, time.Minute, "the run asks for an approval", func() (bool, error) {
		list, err := h.requests()
		return len(list) == 1, err
	})
	to := filepath.Join(t.TempDir(), "copy")
	h.quell("backup", to)
	if found, _ := filepath.Glob(filepath.Join(to, "*key*")); len(found) > 0 {
		t.Errorf("the backup has %v", found)
	}
	h.kill()
	if err := os.RemoveAll(filepath.Join(h.dir, "data")); err != nil {
		t.Fatal(err)
	}
	h.quell("restore", to)
	h.start()
	list, err := h.requests()
	if err != nil || len(list) != 1 || h.entriesOf("restored") != 1 {
		t.Fatalf("%d requests, %d entries, %v", len(list), h.entriesOf("restored"), err)
	}
	if s, err := h.client().KillSwitch(t.Context()); err != nil || !s.On {
		t.Fatalf("the kill switch: %+v, %v", s, err)
	}
	if _, err := h.client().LiftKill(t.Context(), "looked at the products"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.approveAll(ctx)
	for _, r := range h.ended(1, 90*time.Second) {
		if r.Closing != "completed" {
			t.Errorf("%s closed %s", r.ID, r.Closing)
		}
	}
	l.check(t, []string{hostname(1)})
	h.auditOK()
}
