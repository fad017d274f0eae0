package e2e

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var runsFlag = flag.Int("runs", 1000, "runs of TestThousand in the soak; a tenth of it is the number of kills")

// sixPlaybook has six effects: a ticket, a comment, an isolation, a scan, the
// release and another comment. A person approves the isolation, which is how the
// test spreads the runs over its kills.
const sixPlaybook = `quell: 1
playbook: six-effects
title: Six effects
inputs:
  hostname: { type: hostname }
on:
  alert:
    - from: [crowdstrike]
      when: size(alert.hosts) == 1
      inputs: { hostname: "${{ alert.hosts[0].name }}" }
      once_per: inputs.hostname
limits:
  edr.isolate_host: 1
triage:
  - id: host
    uses: edr.find_host
    with: { hostname: "${{ inputs.hostname }}" }
  - id: case
    uses: ticket.create_ticket
    with: { key: "${{ run.incident }}", title: "Malware on ${{ inputs.hostname }}" }
  - id: seen
    uses: ticket.add_comment
    with: { ticket: "${{ steps.case.ticket }}", body: "Seen on ${{ inputs.hostname }}." }
contain:
  - id: isolate
    uses: edr.isolate_host
    with: { host: "${{ steps.host.device }}" }
    approve: { ask: "Isolate ${{ inputs.hostname }}?", from: [ { who: [ir-lead], within: 8h } ] }
    hold: { for: 24h, then: ask }
eradicate:
  - id: scan
    uses: edr.scan_host
    with: { host: "${{ steps.host.device }}" }
recover:
  - undo: isolate
review:
  - if: has(steps.case)
    uses: ticket.add_comment
    with: { ticket: "${{ steps.case.ticket }}", body: "Isolation: ${{ outcome.isolate }}." }
`

// sixEffects puts the playbook with six effects in the place of the example.
func (h *house) sixEffects() {
	h.t.Helper()
	h.write("six-effects.yaml", sixPlaybook)
	h.config = strings.ReplaceAll(h.config, "contain-infected-host", "six-effects")
	h.write("quell.yaml", h.config)
}

// TestThousand is TestKill with the figures of the promise: 1,000 runs of six
// effects, 100 SIGKILLs of the server at least 5 s apart, at least 80 of them
// while a vendor has done what it has not yet answered. It ends by itself. Its
// small form is TestKill; -runs makes it smaller.
func TestThousand(t *testing.T) {
	if os.Getenv("QUELL_SOAK") == "" {
		t.Skip("takes half an hour: QUELL_SOAK=1 go test ./internal/e2e -run TestThousand -v -timeout 90m; its small form is TestKill")
	}
	n := *runsFlag
	p := killPlan{runs: n, kills: n / 10, six: true, apart: 5 * time.Second, minOpen: 20, wantBetween: n * 8 / 100, moves: 15 * time.Second, limit: time.Hour}
	p.run(t)
	if p.falseUnknowns > 0 {
		t.Errorf("%d effects were called unknown although they could be read back", p.falseUnknowns)
	}
}
