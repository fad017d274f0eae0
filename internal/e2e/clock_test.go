package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ownRelease isolates a host and lets it go by itself.
var ownRelease = strings.NewReplacer("hold-host", "brief-hold", "for: 1h, then: ask", "for: 8s, then: release").Replace(holdHost)

// TestClockJump restarts the server in a time namespace in which ten minutes less
// have passed since boot: as if the wall clock had been set ten minutes ahead. A
// hold whose time is over by the wall clock is not released by itself; it is told
// why, and a person releases it.
func TestClockJump(t *testing.T) {
	alongside(t)
	set := []string{"unshare", "--time", "--boottime", "-600"}
	if out, err := exec.Command(set[0], append(set[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("no time namespace can be made here: %v %s", err, out)
	}
	l := startLab(t)
	l.hostsOf(2)
	h := newHouse(t, l, "")
	h.playbook("brief-hold", ownRelease)
	h.start()
	h.launch("brief-hold", hostname(1))
	eventually(t, time.Minute, "a hold is released by itself", func() (bool, error) { return l.count("lift", hostname(1)) == 1, nil })
	held := h.launch("brief-hold", hostname(2))
	h.kill()
	h.under = set
	h.start()
	eventually(t, time.Minute, "the release is put off", func() (bool, error) {
		d, err := h.client().Run(t.Context(), held)
		if err != nil {
			return false, err
		}
		for _, e := range d.Entries {
			if e.Kind == "undo.put_off" && strings.Contains(string(e.Payload), "the clock jumped ahead by 10m") {
				return true, nil
			}
		}
		return false, nil
	})
	if n := l.count("lift", hostname(2)); n != 0 {
		t.Fatalf("it was released %d times", n)
	}
	out, _ := exec.Command(bin(t, "quell"), "doctor", "--config", filepath.Join(h.dir, "quell.yaml"), "--server", "unix:"+filepath.Join(h.dir, "data", "run", "quell.sock")).CombinedOutput() //nolint:gosec // our own program
	if !strings.Contains(string(out), "the clock jumped ahead by 10m") {
		t.Errorf("doctor says\n%s", out)
	}
	h.take(held)
	if n := l.count("lift", hostname(2)); n != 1 {
		t.Errorf("a person's release went out %d times", n)
	}
	h.auditOK()
}
