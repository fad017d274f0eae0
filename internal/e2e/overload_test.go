package e2e

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// overload is how many alerts a second TestOverload sends, more than twice what two
// cores can do.
const overload = 45

// TestOverload sends a server for three minutes more runs than it can do, while
// histories are deleted as fast as runs came. It does as much at the end as at the
// beginning; holds end although other runs wait; and what waited ends after it. With
// QUELL_SOAK only: what it is about begins with the first deletions, after a minute.
func TestOverload(t *testing.T) {
	if os.Getenv("QUELL_SOAK") != "1" {
		t.Skip("make soak plays it")
	}
	const lasts, look = 3 * time.Minute, 10 * time.Second
	t.Log("repeat: QUELL_SOAK=1 go test ./internal/e2e -run TestOverload -v -timeout 1h")
	h, send := soaked(t, 10*time.Second)
	next, looks := time.NewTicker(time.Second/overload), time.NewTicker(look)
	defer next.Stop()
	defer looks.Stop()
	var ended []int
	for sent := 0; len(ended) < int(lasts/look); {
		select {
		case <-next.C:
			sent++
			if err := send(); err != nil {
				t.Fatal(err)
			}
		case <-looks.C:
			ended = append(ended, h.endedRuns())
			t.Logf("%4s: %d sent, %d ended, %d held", time.Duration(len(ended))*look, sent, ended[len(ended)-1], h.heldNow())
		}
	}
	last, third := len(ended)-1, len(ended)/3
	first, end := ended[third-1], ended[last]-ended[last-third]
	held, late := h.heldNow(), ended[last]-ended[last-4]
	t.Logf("%d runs ended in the first third, %d in the last; %d are held, %d runs ended in the last 40 s", first, end, held, late)
	if float64(end) < 0.6*float64(first) {
		t.Errorf("in the last third %d runs ended, in the first %d", end, first)
	}
	if held > late {
		t.Errorf("%d hosts are held for 8 s, by the %d runs of the last 40 s: holds do not end", held, late)
	}
	eventually(t, 10*time.Minute, "all that waited ends", h.idle)
	h.released()
	h.auditOK()
}

// TestStandstill lets the whole server stand still, thrice for 20 s, while runs isolate
// hosts and hold them for 8 s: each deadline of a call, a history and a hold passes at
// once. Each host is isolated once and let go once, and nothing is left held. With
// QUELL_SOAK only, as it takes two minutes.
func TestStandstill(t *testing.T) {
	if os.Getenv("QUELL_SOAK") != "1" {
		t.Skip("make soak plays it")
	}
	t.Log("repeat: QUELL_SOAK=1 go test ./internal/e2e -run TestStandstill -v")
	const n, still, between = 600, 20 * time.Second, 5 * time.Second
	h, send := soaked(t, 10*time.Minute)
	for range n {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		before := h.endedRuns()
		for _, s := range []struct {
			signal syscall.Signal
			lasts  time.Duration
		}{{syscall.SIGSTOP, still}, {syscall.SIGCONT, between}} {
			if err := h.cmd.Process.Signal(s.signal); err != nil {
				t.Fatal(err)
			}
			<-time.After(s.lasts)
		}
		t.Logf("%d runs had ended when it stood still, %d %s after", before, h.endedRuns(), between)
	}
	h.drained()
	h.released()
	h.eachOnce(n)
	h.auditOK()
}

// TestHoldsAtOnce stops a server until the time of 2,000 holds is over, and starts it
// again: all of them end at once. Each host is let go once; and an alert that comes
// then has its host isolated within a minute. With QUELL_SOAK only, as it takes seven.
func TestHoldsAtOnce(t *testing.T) {
	if os.Getenv("QUELL_SOAK") != "1" {
		t.Skip("make soak plays it")
	}
	t.Log("repeat: QUELL_SOAK=1 go test ./internal/e2e -run TestHoldsAtOnce -v -timeout 1h")
	const n, held = 2000, 5 * time.Minute
	h, send := soakedFor(t, time.Hour, held)
	for range n {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	h.drained()
	if now := h.heldNow(); now != n {
		t.Fatalf("%d of %d hosts are held: the first hold ended before the last run", now, n)
	}
	h.kill()
	<-time.After(held)
	h.start()
	began := time.Now()
	if err := send(); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the new alert's host is isolated", func() (bool, error) { return h.lab.count("contain", hostname(1)) == 1, nil })
	t.Logf("isolated after %s, with %d others held", time.Since(began).Round(time.Millisecond), h.heldNow()-1)
	eventually(t, 10*time.Minute, "all holds end", func() (bool, error) { return h.heldNow() == 1, nil })
	t.Logf("released after %s", time.Since(began).Round(time.Second))
	h.eachOnce(n)
	h.auditOK()
}

// eachOnce holds the first n hosts that an alert named against what the vendor saw:
// isolated once, let go once.
func (h *house) eachOnce(n int) {
	h.t.Helper()
	isolated, lifted := map[string]int{}, map[string]int{}
	for _, e := range h.lab.effects("vendor=crowdstrike") {
		switch {
		case e.Before == e.After:
		case e.Operation == "contain":
			isolated[e.Object]++
		case e.Operation == "lift":
			lifted[e.Object]++
		}
	}
	for i := range n {
		if host := hostname(2 + i); isolated[host] != 1 || lifted[host] != 1 {
			h.t.Errorf("%s was isolated %d times and let go %d times", host, isolated[host], lifted[host])
		}
	}
}
