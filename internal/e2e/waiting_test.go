package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// waitForLead reads one host and waits for a person, for as long as it takes.
const waitForLead = `quell: 1
playbook: wait-for-lead
title: Read a host, ask, isolate it
inputs:
  hostname:
    type: hostname
on:
  manual:
    roles: [analyst]
  alert:
    - from: [crowdstrike]
      when: size(alert.hosts) == 1
      inputs:
        hostname: ${{ alert.hosts[0].name }}
      once_per: inputs.hostname
limits:
  edr.isolate_host: 1
triage:
  - id: host
    uses: edr.find_host
    with:
      hostname: ${{ inputs.hostname }}
contain:
  - id: isolate
    uses: edr.isolate_host
    with:
      host: ${{ steps.host.device }}
    approve:
      ask: Isolate ${{ inputs.hostname }}?
      from:
        - { who: [oncall.soc], within: 30d }
      quorum: 1
      denied: stop
      silent: stop
    hold: { for: 30d, then: ask }
`

// TestWaiting lets runs wait for people, 10,000 in the soak, measures what the
// server needs for them, kills it, and answers some of those that no memory knows
// any more. The bounds hold in the soak only: 300 runs are no measure.
func TestWaiting(t *testing.T) {
	longer(t)
	n, votes := many(300, 10_000), many(20, 300)
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d; repeat: QUELL_SOAK=%s go test ./internal/e2e -run TestWaiting -seed %d", seed, os.Getenv("QUELL_SOAK"), seed)
	l := startLab(t)
	l.hostsOf(n)
	h := newHouse(t, l, "limits: {active_runs: 200, waiting_runs: 20000}\n")
	h.playbook("wait-for-lead", waitForLead)
	h.config = strings.Replace(h.config, "[contain-infected-host.yaml, ", "[", 1)
	h.write("quell.yaml", h.config)
	h.start()
	began := time.Now()
	ids := h.tellOf(n)
	taken := time.Since(began)
	asked := map[string]api.Approval{}
	eventually(t, time.Hour, "every run waits for a person", func() (bool, error) {
		d, err := h.client().Run(t.Context(), ids[n-1])
		if err != nil || len(d.Approvals) == 0 {
			return false, err
		}
		list, err := h.requests()
		for _, a := range list {
			asked[a.Run] = a
		}
		return len(list) == n, err
	})
	grown := h.status("VmRSS")
	t.Logf("%d runs wait after %s (alerts taken in %s); RSS %d MB, at most %d MB", n, time.Since(began).Round(time.Second), taken.Round(time.Second), grown, h.status("VmHWM"))
	h.kill()
	began = time.Now()
	h.start()
	ready := time.Since(began)
	t.Logf("ready %s after the restart; RSS %d MB", ready.Round(time.Millisecond), h.status("VmRSS"))
	dice := rand.New(rand.NewPCG(seed, 1))
	var took []time.Duration
	for _, i := range dice.Perm(n)[:votes] {
		took = append(took, h.answered(asked[ids[i]]))
	}
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	t.Logf("%d approvals after eviction: p50 %s, p99 %s, slowest %s; RSS %d MB", votes, p50.Round(time.Millisecond), p99.Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), h.status("VmRSS"))
	if got := len(l.effects("operation=contain")); got != votes {
		t.Errorf("%d hosts isolated by %d approvals", got, votes)
	}
	h.auditOK()
	if os.Getenv("QUELL_SOAK") != "1" {
		return
	}
	if rss := max(grown, h.status("VmRSS")); rss >= 700 {
		t.Errorf("RSS %d MB, wanted below 700", rss)
	}
	if ready >= 5*time.Second {
		t.Errorf("ready after %s, wanted below 5s", ready)
	}
	if p99 >= time.Second {
		t.Errorf("p99 of an approval %s, wanted below 1s", p99)
	}
}

// tellOf sends an alert about each of the first n hosts, eight at once, and returns
// the runs.
func (h *house) tellOf(n int) []string {
	h.t.Helper()
	ids, errs := make([]string, n), make([]error, n)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			got, err := h.alert(fmt.Sprintf("wait-%d", i+1), hostname(i+1))
			if err == nil && len(got.Runs) == 1 {
				ids[i] = got.Runs[0].Run
			} else {
				errs[i] = fmt.Errorf("alert %d: %+v, %w", i+1, got, err)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return ids
}

// answered approves a request and tells how long after that its run ended, by the
// record. The run is not looked at before, which would bring it into memory, and
// seldom afterwards: each look asks the run itself.
func (h *house) answered(a api.Approval) time.Duration {
	h.t.Helper()
	began := time.Now()
	if err := h.approve(a); err != nil {
		h.t.Fatalf("%s: %v", a.Run, err)
	}
	var d api.RunDetail
	eventually(h.t, time.Minute, a.Run+" ends", func() (bool, error) {
		var err error
		d, err = h.client().Run(h.t.Context(), a.Run)
		return d.Status == api.RunEnded, err
	})
	i := slices.IndexFunc(d.Entries, func(e api.Entry) bool { return e.Kind == "run.ended" })
	if d.Closing != "completed" || i < 0 {
		h.t.Fatalf("%s closed %s, with %d entries", a.Run, d.Closing, len(d.Entries))
	}
	took := d.Entries[i].At.Sub(began)
	if took > time.Second {
		for _, e := range d.Entries {
			h.t.Logf("%s: %s %s", a.Run, e.At.Sub(began).Round(time.Millisecond), e.Kind)
		}
	}
	return took
}

// status reads a line in kB of the server's /proc/PID/status, in MB.
func (h *house) status(name string) int {
	h.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), name+":")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		h.t.Fatal(err)
	}
	return kb / 1024
}
