package backtest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/server/api"
)

// recorded is how many runs are played: 300 with QUELL_SOAK.
func recorded() int {
	if os.Getenv("QUELL_SOAK") != "" {
		return 300
	}
	return 30
}

// mutants are versions whose changed decisions are known by construction.
var mutants = []struct {
	name    string
	replace []string
	differs func(n int) bool
	// says must stand in a case of the first that differs.
	says func(c api.BacktestCase) bool
}{
	{"nothing changed", nil, func(int) bool { return false }, nil},
	{"a comment and an order of keys", []string{"triage:\n", "triage: # who is it\n"}, func(int) bool { return false }, nil},
	{
		"a threshold",
		[]string{"criticality >= criticality.medium", "criticality >= criticality.high"},
		func(n int) bool { return !clean(n) && criticality(n) == "medium" },
		func(c api.BacktestCase) bool {
			return len(c.Decides) == 1 && c.Decides[0] == api.BacktestChange{What: "contain.isolate", Before: "yes", After: "no"} &&
				len(c.Targets) == 1 && strings.HasPrefix(c.Targets[0].Before, "edr.isolate_host ws-") && c.Ends == nil
		},
	},
	{
		"a branch is gone",
		[]string{"  - id: harmless\n    if: steps.known.verdict == \"clean\"\n    stop: benign\n", ""},
		clean,
		func(c api.BacktestCase) bool {
			return slices.ContainsFunc(c.Targets, func(d api.BacktestChange) bool { return strings.HasPrefix(d.After, "edr.quarantine_file") })
		},
	},
	{
		"another target",
		[]string{`host: "${{ steps.host.device }}", path`, `host: "${{ steps.other.device }}", path`},
		func(n int) bool { return goesOn(n) && twoHosts(n) },
		func(c api.BacktestCase) bool {
			return len(c.Targets) == 2 && c.Targets[0].Before == "edr.quarantine_file ws-0" && c.Targets[1].After == "edr.quarantine_file ws-1000" && c.Ends == nil
		},
	},
	{
		"no approval",
		[]string{`    approve:
      when: steps.asset.criticality >= criticality.high
      ask: Isolate ${{ inputs.hostname }}?
      from: [{ who: [ir-lead], within: 1h }]
      denied: stop
      silent: stop
`, ""},
		asked,
		func(c api.BacktestCase) bool {
			return len(c.Asks) == 1 && c.Asks[0].After == "" && strings.Contains(c.Asks[0].Before, "ir-lead")
		},
	},
	{
		"another end",
		[]string{"stop: benign", "stop: false_positive"},
		clean,
		func(c api.BacktestCase) bool {
			return c.Ends != nil && *c.Ends == api.BacktestChange{Before: "benign", After: "false_positive"}
		},
	},
	{
		"another trigger",
		[]string{"severity.medium", "severity.high"},
		func(n int) bool { return !grave(n) },
		func(c api.BacktestCase) bool {
			return c.Starts != nil && strings.HasPrefix(c.Starts.Before, "started") && c.Starts.After == "starts nothing"
		},
	},
}

// TestBacktest: of recorded runs exactly those differ whose decisions a new version
// changes, and no connector is called.
func TestBacktest(t *testing.T) {
	h := openHouse(t)
	began := time.Now()
	n := recorded()
	for i := range n {
		h.alert(i)
	}
	t.Logf("%d runs recorded in %s", n, time.Since(began).Round(time.Millisecond))
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			h.t = t
			got := h.against(m.replace...)
			var want []int
			for i := range n {
				if m.differs(i) {
					want = append(want, i)
				}
			}
			if d := cmp.Diff(want, h.changed(got, "differs")); d != "" {
				t.Errorf("want -, got +\n%s", d)
			}
			if got.Alerts != n || got.Runs != n || got.Same+got.Differ+got.Missing != n {
				t.Errorf("%d alerts, %d runs, %d same, %d differ, %d missing", got.Alerts, got.Runs, got.Same, got.Differ, got.Missing)
			}
			if rest := h.changed(got, "missing"); len(rest) > 0 {
				t.Errorf("data is missing of %v", rest)
			}
			if took := time.Duration(got.TookMillis) * time.Millisecond; took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
			if m.says != nil && (len(got.Cases) == 0 || !m.says(got.Cases[0])) {
				t.Errorf("%+v", got.Cases)
			}
			t.Logf("%d of %d differ; %d ms", got.Differ, n, got.TookMillis)
		})
	}
}

// TestMissing: what was never recorded is said and not invented.
func TestMissing(t *testing.T) {
	h := openHouse(t)
	for i := range 12 {
		h.alert(i)
	}
	got := h.against("  - id: known\n", "  - id: state\n    uses: edr.get_host_state\n    with: { host: \"${{ steps.host.device }}\" }\n  - if: steps.state.state == \"isolated\"\n    stop: duplicate\n  - id: known\n")
	if got.Missing != 12 || got.Differ != 0 || !strings.Contains(got.Cases[0].Missing[0], "edr.get_host_state") {
		t.Errorf("%+v", got)
	}
	// A new question: who is asked is told, what they would say is not.
	got = h.against("criticality >= criticality.high\n", "criticality >= criticality.medium\n")
	for _, c := range got.Cases {
		if n := h.numbers[c.Alert]; criticality(n) != "medium" || clean(n) || len(c.Asks) != 1 || len(c.Missing) != 1 || c.Ends != nil || len(c.Targets) != 0 {
			t.Errorf("%d: %+v", n, c)
		}
	}
	if got.Differ != 2 {
		t.Errorf("%+v", got)
	}
}
