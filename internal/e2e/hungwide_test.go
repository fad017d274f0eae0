package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/internal/runs"
)

// widePlaybook wants fifty calls of one connector at the same time, twice.
const widePlaybook = `quell: 1
playbook: wide
title: Isolate many hosts
inputs:
  names: { type: list<hostname>, max: 50 }
on:
  manual: { roles: [analyst] }
limits: { edr.isolate_host: 50 }
triage:
  - id: found
    foreach: n in inputs.names
    at_once: 50
    on_item_error: continue
    uses: edr.find_host
    with: { hostname: "${{ n }}" }
contain:
  - id: off
    foreach: f in steps.found.filter(f, f.ok)
    at_once: 50
    on_item_error: continue
    uses: edr.isolate_host
    with: { host: "${{ f.out.device }}" }
    hold: { for: 4h, then: ask }
`

// TestHungWide: runs want many more effects of a slow vendor at the same time than it
// takes. What is too much goes back to the engine, so that effects at other vendors
// still leave; once the vendor is quick again each host was isolated, once.
func TestHungWide(t *testing.T) {
	alongside(t)
	const each, slow = 50, 25
	wide, others := many(3, 30), many(10, 50)
	h := newHung(t, wide*each, activeRuns)
	h.ill, h.illRaw = h.plan("wide", widePlaybook)
	h.throughput(5) // warm
	h.fault(fmt.Sprintf("crowdstrike contain: always slow %ds\n", slow))
	for i := range wide {
		var names []string
		for n := range each {
			names = append(names, fmt.Sprintf("hung-%05d", i*each+n+1))
		}
		raw, err := json.Marshal(map[string]any{"names": names})
		if err != nil {
			t.Fatal(err)
		}
		h.stuck = append(h.stuck, h.launchWith(h.ill, h.illRaw, fmt.Appendf(nil, `["wide %d"]`, i), raw))
	}
	eventually(t, 3*time.Minute, "effects wait in the engine for their turn", func() (bool, error) { return h.sentAway() >= wide*each/4, nil })
	began := time.Now()
	rate := h.throughput(others)
	t.Logf("beside %d runs that want %d effects each of a vendor that takes %d s: %d others ended in %s, %.1f runs/s, %d effects wait in the engine; repeat: QUELL_SOAK=1 go test ./internal/e2e -run TestHungWide -v",
		wide, each, slow, others, time.Since(began).Round(time.Millisecond), rate, h.sentAway())
	if most := 20 * time.Second; time.Since(began) > most {
		t.Errorf("wanted the others to end within %s", most)
	}
	h.heal()
	for _, id := range h.stuck {
		rec, err := h.set.Recorder.Runs.Get(t.Context(), id)
		if err != nil || rec.Status != runs.Ended || rec.Closing != "completed" {
			t.Errorf("%s closed %s, %v", id, rec.Closing, err)
		}
	}
	list, err := h.lab.World.Effects(fake.Filter{Operation: "contain"})
	if err != nil {
		t.Fatal(err)
	}
	once := map[string]int{}
	for _, e := range list {
		if e.Before != e.After { // a call that outlived its deadline may be made again: it finds the host isolated
			once[e.Object]++
		}
	}
	for object, n := range once {
		if n != 1 {
			t.Errorf("%s was isolated %d times", object, n)
		}
	}
	if len(once) != wide*each {
		t.Errorf("%d hosts were isolated, wanted %d", len(once), wide*each)
	}
}

// sentAway counts the effects of the runs that hang which went back to the engine and
// wait there for their next try.
func (h *hung) sentAway() (n int) {
	for _, id := range h.stuck {
		d, err := h.temp.DescribeWorkflowExecution(h.t.Context(), id, "")
		if err != nil {
			continue // it is not started yet
		}
		for _, a := range d.GetPendingActivities() {
			if a.GetActivityType().GetName() == task.ActActivity && a.GetLastFailure().GetApplicationFailureInfo().GetType() == task.Shut {
				n++
			}
		}
	}
	return n
}
