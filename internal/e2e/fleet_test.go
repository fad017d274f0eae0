package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// isolateAtOnce asks nobody: only guards stand between an alert and a host.
const isolateAtOnce = `quell: 1
playbook: isolate-at-once
title: Isolate at once
inputs: { hostname: { type: hostname } }
on:
  alert: [{ from: [crowdstrike], when: size(alert.hosts) == 1, inputs: { hostname: "${{ alert.hosts[0].name }}" }, once_per: inputs.hostname }]
limits: { edr.isolate_host: 1 }
triage:
  - { id: host, uses: edr.find_host, with: { hostname: "${{ inputs.hostname }}" } }
contain:
  - { uses: edr.isolate_host, with: { host: "${{ steps.host.device }}" }, hold: { for: 24h, then: ask } }
`

// fleetGuards protect the controllers and leave a budget.
const (
	fleetBudget = 5
	controllers = 20
	fleetGuards = `guards:
  protected: {hosts: [%s]}
  budgets:
    isolations: {actions: [edr.isolate_host], targets: 5, per: 24h}
`
)

// TestFleet sends alerts about a whole fleet, domain controllers among it, to a
// playbook that asks nobody: no more hosts are isolated than the budget allows, no
// controller ever, and everything else waits for people.
func TestFleet(t *testing.T) {
	alongside(t)
	l := startLab(t)
	h := fleetHouse(t, l, "")
	h.start()
	sweepFleet(t, l, []*house{h}, many(300, 10_000))
	h.auditOK()
}

// TestFleetTwoServers is the same at two servers on one PostgreSQL and one Temporal.
func TestFleetTwoServers(t *testing.T) {
	integration(t)
	l := startLab(t)
	_, a, b := pair(t, func(more string) *house { return fleetHouse(t, l, more) })
	sweepFleet(t, l, []*house{a, b}, many(300, 10_000))
}

func controller(i int) string { return fmt.Sprintf("dc-%02d", i) }

func fleetHouse(t *testing.T, l *labProcess, more string) *house {
	t.Helper()
	names := make([]string, controllers)
	for i := range names {
		names[i] = controller(i)
	}
	h := newHouse(t, l, fmt.Sprintf(fleetGuards, strings.Join(names, ", "))+more)
	h.playbook("isolate-at-once", isolateAtOnce)
	h.config = regexp.MustCompile(`(?m)^playbooks:.*$`).ReplaceAllString(h.config, "playbooks: [isolate-at-once.yaml]")
	h.write("quell.yaml", h.config)
	return h
}

// sweepFleet posts n alerts by turns at the servers and counts what came of them.
func sweepFleet(t *testing.T, l *labProcess, at []*house, n int) {
	t.Helper()
	l.hostsOf(n)
	var dcs []string
	for i := range controllers {
		dcs = append(dcs, fmt.Sprintf(`{"hostname": %q}`, controller(i)))
	}
	l.control("POST", "/hosts", []byte(`{"hosts": [`+strings.Join(dcs, ", ")+`]}`), nil)
	began := time.Now()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range n {
		host := hostname(i + 1)
		if every := n / controllers; i%every == every/2 && i/every < controllers {
			host = controller(i / every)
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if got, err := at[i%len(at)].alert(fmt.Sprintf("fleet-%d", i), host); err != nil || len(got.Runs) != 1 {
				t.Errorf("alert %d: %+v, %v", i, got, err)
			}
		})
	}
	wg.Wait()
	accepted := time.Since(began)
	// A run that isolated holds; every other waits for somebody's word.
	var asked []api.Approval
	var looked time.Time
	eventually(t, time.Minute+time.Duration(n)*300*time.Millisecond, "all runs come to rest", func() (bool, error) {
		if time.Since(looked) < time.Duration(n)*time.Millisecond { // ten thousand requests are fifty pages
			return false, nil
		}
		var err error
		looked = time.Now()
		asked, err = at[0].requests()
		return len(asked) >= n-fleetBudget, err
	})
	contained := map[string]bool{}
	for _, e := range l.effects("operation=contain") {
		contained[e.Object] = true
	}
	for i := range controllers {
		if contained[controller(i)] {
			t.Errorf("%s was isolated", controller(i))
		}
	}
	if len(contained) != fleetBudget || len(asked) != n-fleetBudget {
		t.Errorf("%d hosts isolated with a budget of %d, %d of %d runs wait", len(contained), fleetBudget, len(asked), n)
	}
	t.Logf("%d alerts at %d servers: acknowledged in %s, at rest after %s; %d hosts isolated, no controller, %d requests wait",
		n, len(at), accepted.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), len(contained), len(asked))
}
