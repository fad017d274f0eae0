package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// actAtOnce isolates first, so that the fake's journal has the time of a run's
// first effect under the name of its host.
const actAtOnce = `quell: 1
playbook: act-at-once
title: Isolate at once
inputs: { hostname: { type: hostname } }
on:
  alert: [{ from: [crowdstrike], when: size(alert.hosts) == 1, inputs: { hostname: "${{ alert.hosts[0].name }}" }, once_per: inputs.hostname }]
limits: { edr.isolate_host: 1 }
triage:
  - { id: host, uses: edr.find_host, with: { hostname: "${{ inputs.hostname }}" } }
  - { id: asset, uses: asset.find_host, with: { hostname: "${{ inputs.hostname }}" } }
contain:
  - { id: isolate, uses: edr.isolate_host, with: { host: "${{ steps.host.device }}" } }
  - { id: case, uses: ticket.create_ticket, with: { key: "${{ run.incident }}", title: "${{ inputs.hostname }}", body: isolated } }
  - { uses: ticket.add_comment, with: { ticket: "${{ steps.case.ticket }}", body: "criticality ${{ steps.asset.criticality }}" } }
recover:
  - undo: isolate
`

// TestBenchAlerts measures how many alerts a second a server answers with a run of
// two reads and four effects, then sends 40 % of that and measures the time from
// an alert to its first effect, which the fake vendor's clock tells.
func TestBenchAlerts(t *testing.T) {
	if os.Getenv("QUELL_BENCH") == "" {
		t.Skip("a benchmark; run it with `make bench`")
	}
	const full, within = 400, 30 * time.Second
	l := startLab(t)
	l.hostsOf(20_000)
	h := newHouse(t, l, "")
	h.playbook("act-at-once", actAtOnce)
	h.write("quell.yaml", strings.Replace(h.config, "playbooks: [contain-infected-host.yaml, ", "playbooks: [", 1))
	h.start()

	began := time.Now()
	h.flood(0, full, 16)
	h.allEnded(full)
	capacity := full / time.Since(began).Seconds()

	pace := time.Duration(float64(time.Second) / (0.4 * capacity))
	n := int(within / pace)
	sent := make([]time.Time, n)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var wg sync.WaitGroup
	for i := range n {
		<-tick.C
		sent[i] = time.Now()
		wg.Go(func() { h.accuseHost(full + i) })
	}
	wg.Wait()
	h.allEnded(full + n)

	acted := map[string]time.Time{}
	for _, e := range l.effects("operation=contain") {
		acted[e.Object] = e.At
	}
	took := make([]time.Duration, n)
	for i := range n {
		took[i] = acted[hostname(full+i+1)].Sub(sent[i])
	}
	slices.Sort(took)
	p99 := took[n*99/100]
	t.Logf("capacity %.1f alerts/s; at 40 %% of it, %d alerts: first effect after p50 %s, p99 %s, worst %s", capacity, n,
		took[n/2].Round(time.Millisecond), p99.Round(time.Millisecond), took[n-1].Round(time.Millisecond))
	if took[0] <= 0 {
		t.Errorf("an alert had no effect, or one before it came: %s", took[0])
	}
	if p99 >= time.Second {
		t.Errorf("p99 from alert to first effect is %s, want < 1 s", p99)
	}
}

// flood posts n alerts, some at once.
func (h *house) flood(from, n, atOnce int) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := from; i < from+n; i++ {
		slots <- struct{}{}
		wg.Go(func() { defer func() { <-slots }(); h.accuseHost(i) })
	}
	wg.Wait()
}

func (h *house) accuseHost(i int) {
	if got, err := h.alert(fmt.Sprintf("bench-%d", i), hostname(i+1)); err != nil || len(got.Runs) != 1 {
		h.t.Errorf("alert %d: %+v, %v", i, got, err)
	}
}

// allEnded waits until no run is open, and holds that n have completed.
func (h *house) allEnded(n int) {
	h.t.Helper()
	h.drained()
	done := 0
	list, err := h.runs()
	for _, r := range list {
		if r.Closing == "completed" {
			done++
		}
	}
	if err != nil || done != n {
		h.t.Fatalf("%d runs completed, want %d (%v)", done, n, err)
	}
}
