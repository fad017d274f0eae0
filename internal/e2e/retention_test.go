package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// TestRetention lets the detail of a run go that still holds a host. The export
// verifies, also with the server's own key, and an undo releases the host.
func TestRetention(t *testing.T) {
	alongside(t)
	l := startLab(t)
	l.hostsOf(2)
	export := filepath.Join(t.TempDir(), "export")
	h := newHouse(t, l, fmt.Sprintf("retention: {export: %s, keep: 4s, histories: 1d}\n", export))
	h.playbook("hold-host", holdHost)
	h.start()
	taken, held := h.launch("hold-host", hostname(1)), h.launch("hold-host", hostname(2))
	h.take(taken)
	eventually(t, time.Minute, "the detail of the runs is gone", func() (bool, error) {
		for _, id := range []string{taken, held} {
			d, err := h.client().Run(t.Context(), id)
			if err != nil || string(d.Inputs) != "{}" || len(d.Entries) == 0 || !d.Entries[0].Erased {
				return false, err
			}
		}
		return true, nil
	})
	if d, err := h.client().Run(t.Context(), held); err != nil || len(d.Effects) != 1 || d.Closing != "completed" {
		t.Errorf("what is left: %+v, %v", d, err)
	}
	if d, err := h.client().Run(t.Context(), taken); err != nil || len(d.Effects) != 0 {
		t.Errorf("what is left of what was taken back: %+v, %v", d, err)
	}
	h.auditOK()
	h.kill()
	h.start()
	u, err := h.client().Undo(t.Context(), held, api.UndoRun{Reason: "e2e"})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the undo ends", func() (bool, error) {
		res, err := h.client().UndoResult(t.Context(), u.ID)
		return err == nil && res.Done, err
	})
	if n := l.count("lift", hostname(2)); n != 1 {
		t.Errorf("released %d times", n)
	}
	h.auditOK()
	h.stop()
	pub := filepath.Join(h.dir, "data-keys", "ledger.key.pub")
	if out, err := exec.Command(bin(t, "quell"), "audit", "verify", "--public", pub, export).CombinedOutput(); err != nil {
		t.Errorf("the export does not verify: %v\n%s", err, out)
	}
}
