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

// clocks are what the wall clock of a machine does between two processes of one
// boot, and what becomes of a hold that runs meanwhile.
var clocks = []struct {
	name string
	// since is what is added to the time since boot: less of it means that the wall
	// clock was set ahead.
	since string
	// says is what doctor says of it; putOff that the release waits.
	says   string
	putOff bool
}{
	{"set ahead by ten minutes", "-600", "the clock jumped ahead by 10m", true},
	{"set back by ten minutes", "600", "the clock was set back by 10m", false},
	{"corrected by two seconds", "-2", "", false},
}

// TestClockJump restarts the server in a time namespace in which more or less time
// has passed since boot: as if the wall clock had been set. A hold whose time is
// over only by the wall clock is not released by itself; it is told why, and a
// person releases it. What a time service does changes nothing. One row by default,
// all with QUELL_SOAK.
func TestClockJump(t *testing.T) {
	alongside(t)
	for _, c := range clocks[:many(1, len(clocks))] {
		t.Run(c.name, func(t *testing.T) {
			clockCase(t, []string{"unshare", "--time", "--boottime", c.since}, c.says, c.putOff)
		})
	}
}

func clockCase(t *testing.T, set []string, says string, putOff bool) {
	if out, err := exec.Command(set[0], append(set[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("no time namespace can be made here: %v %s", err, out)
	}
	l := startLab(t)
	l.hostsOf(2)
	h := newHouse(t, l, "")
	h.playbook("brief-hold", ownRelease)
	h.start()
	if putOff { // a hold that nothing disturbs
		h.launch("brief-hold", hostname(1))
		eventually(t, time.Minute, "a hold is released by itself", func() (bool, error) { return l.count("lift", hostname(1)) == 1, nil })
	}
	held := h.launch("brief-hold", hostname(2))
	h.kill()
	h.under = set
	h.start()
	doctor := func() string {
		out, _ := exec.Command(bin(t, "quell"), "doctor", "--config", filepath.Join(h.dir, "quell.yaml"), "--server", "unix:"+filepath.Join(h.dir, "data", "run", "quell.sock")).CombinedOutput()
		return string(out)
	}
	if out := doctor(); says != "" && !strings.Contains(out, says) || says == "" && strings.Contains(out, "the clock ") {
		t.Errorf("doctor says\n%s", out)
	}
	if !putOff {
		eventually(t, time.Minute, "the hold is released by itself", func() (bool, error) { return l.count("lift", hostname(2)) == 1, nil })
		h.auditOK()
		return
	}
	eventually(t, time.Minute, "the release is put off", func() (bool, error) {
		d, err := h.client().Run(t.Context(), held)
		if err != nil {
			return false, err
		}
		for _, e := range d.Entries {
			if e.Kind == "undo.put_off" && strings.Contains(string(e.Payload), says) {
				return true, nil
			}
		}
		return false, nil
	})
	if n := l.count("lift", hostname(2)); n != 0 {
		t.Fatalf("it was released %d times", n)
	}
	h.take(held)
	if n := l.count("lift", hostname(2)); n != 1 {
		t.Errorf("a person's release went out %d times", n)
	}
	h.auditOK()
}
