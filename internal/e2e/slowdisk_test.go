package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// slowness is what becomes of the syncs of the server.
type slowness struct {
	name  string
	delay time.Duration
	errno syscall.Errno
	// only is how the names of the files begin that it befalls; empty is all: the
	// store and the embedded engine.
	only string
	// stuck: no sync comes back at all; killed: and the process is killed then.
	stuck, killed bool
	// mended is after how long a slow disk is as it was; 0 is after the runs' end.
	mended time.Duration
}

// TestSlowDisk makes the server's syncs slow, stuck and failing while effects are
// under way, and mends the disk. While nothing can be put on disk, no alert is
// acknowledged and no effect happens; while the store is slow, everything goes on
// slowly; afterwards all runs end by themselves, each effect once and on record. A
// commit of 700 ms takes longer than a permit to call lives. Two rows in
// `make integration`, all in `make soak`.
func TestSlowDisk(t *testing.T) {
	longer(t)
	table := []slowness{
		{name: "a sync of the store takes 700 ms", only: "quell.db", delay: 700 * time.Millisecond},
		{name: "stuck", stuck: true},
		{name: "a sync takes 100 ms", delay: 100 * time.Millisecond},
		{name: "a sync takes 2 s, for 20 s", delay: 2 * time.Second, mended: 20 * time.Second},
		{name: "stuck and killed", stuck: true, killed: true},
		{name: "a sync fails", errno: syscall.EIO},
		{name: "a sync of the store fails", only: "quell.db", errno: syscall.EIO},
	}
	for _, c := range table[:many(2, len(table))] {
		t.Run(c.name, func(t *testing.T) { slowCase(t, c) })
	}
}

func slowCase(t *testing.T, c slowness) {
	l := startLab(t)
	const n = 4
	l.hostsOf(n)
	h := newHouse(t, l, "")
	s := slowly(t, h)
	s.only = c.only
	if err := h.begin(); err != nil {
		t.Skipf("the kernel does not let syncs be held here: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.approveAll(ctx)
	l.script("jira create: hold 2s\n")
	for i := 1; i < n; i++ {
		if got, err := h.alert(fmt.Sprint("slow-", i), hostname(i)); err != nil || len(got.Runs) != 1 {
			t.Fatalf("alert %d: %+v, %v", i, got, err)
		}
	}
	eventually(t, 30*time.Second, "the tickets are created", func() (bool, error) { return len(l.effects("operation=create")) == n-1, nil })
	began, synced := time.Now(), s.count()
	late := make(chan error, 1)
	if c.stuck || c.errno != 0 {
		if c.stuck {
			s.stick()
		} else {
			s.set(0, c.errno)
		}
		nothing(t, l, h, late)
	} else {
		s.set(c.delay, 0)
		_, err := h.alert(fmt.Sprint("slow-", n), hostname(n))
		late <- err
	}
	if c.mended > 0 {
		eventually(t, time.Minute, "the disk is mended", func() (bool, error) { return time.Since(began) > c.mended, nil })
		s.set(0, 0)
	}
	if c.killed {
		h.kill()
	}
	if c.delay == 0 {
		t.Logf("%s for %s", c.name, time.Since(began).Round(time.Millisecond))
		s.set(0, 0)
	}
	if c.killed {
		h.start()
	}
	began = time.Now()
	if err := <-late; err != nil { // it was told that it is not stored, and sends again
		eventually(t, time.Minute, "the last alert is taken", func() (bool, error) {
			got, err := h.alert(fmt.Sprint("slow-", n), hostname(n))
			return err == nil && len(got.Runs) == 1, err
		})
	}
	list := h.ended(n, 2*time.Minute)
	t.Logf("%s: %d runs ended %s after, with %d syncs", c.name, len(list), time.Since(began).Round(time.Millisecond), s.count()-synced)
	names := make([]string, n)
	for i := range names {
		names[i] = hostname(i + 1)
	}
	for _, r := range list {
		if r.Closing != "completed" {
			t.Errorf("%s closed %s: %s", r.ID, r.Closing, r.Reason)
		}
	}
	s.set(0, 0)
	l.check(t, names)
	recorded(t, l, h, list)
	h.auditOK()
}

// nothing sends an alert while nothing can be put on disk: it is not acknowledged,
// and what was not under way already does not happen.
func nothing(t *testing.T, l *labProcess, h *house, late chan error) {
	t.Helper()
	began := time.Now()
	go func() {
		got, err := h.alert("slow-4", hostname(4))
		if err == nil && len(got.Runs) == 0 {
			err = fmt.Errorf("it began nothing: %+v", got)
		}
		late <- err
	}()
	// What was called for before ends within two seconds.
	eventually(t, 10*time.Second, "what was under way has ended", func() (bool, error) { return time.Since(began) > 3*time.Second, nil })
	before := len(l.effects(""))
	eventually(t, 20*time.Second, "time passes", func() (bool, error) { return time.Since(began) > 11*time.Second, nil })
	if now := len(l.effects("")); now != before {
		t.Errorf("%d effects happened while nothing could be put on disk", now-before)
	}
	select {
	case err := <-late: // nobody waits for it yet
		if err == nil {
			t.Error("the alert was acknowledged while nothing could be put on disk")
		}
		t.Logf("the alert was refused: %v", err)
		late <- err
	default:
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if r, err := h.client().Ready(ctx); err == nil && r.Ready {
		t.Errorf("it says that it is ready")
	}
}

// recorded holds that each effect of the world has an intent in the ledger from
// before it.
func recorded(t *testing.T, l *labProcess, h *house, list []api.Run) {
	t.Helper()
	intents := map[string][]time.Time{} // by host and direction
	for _, r := range list {
		d, err := h.client().Run(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range d.Entries {
			var p struct {
				Direction string `json:"direction"`
				Targets   []struct {
					Label string `json:"label"`
				} `json:"targets"`
			}
			if e.Kind != "effect.intent" || json.Unmarshal(e.Payload, &p) != nil {
				continue
			}
			for _, target := range p.Targets {
				k := p.Direction + " " + strings.ToLower(target.Label)
				intents[k] = append(intents[k], e.At)
			}
		}
	}
	n := 0
	for _, e := range l.effects("vendor=crowdstrike") {
		direction := map[string]string{"contain": "do ", "lift": "undo "}[e.Operation]
		if e.Before == e.After || direction == "" {
			continue
		}
		n++
		list := intents[direction+strings.ToLower(e.Object)]
		if len(list) == 0 || list[0].After(e.At) {
			t.Errorf("%s %s at %s has no intent before it: %v", e.Operation, e.Object, e.At, list)
		}
	}
	if n == 0 {
		t.Error("nothing happened at all")
	}
}
