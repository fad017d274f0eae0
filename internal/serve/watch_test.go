package serve

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/telemetry"
)

// TestWords: what the rooms say of themselves is among the words that labels take.
// A word that is missing would count as "other".
func TestWords(t *testing.T) {
	for name, c := range map[string]struct {
		labels []string
		said   []string
	}{
		"results":           {telemetry.Results, []string{string(spec.Auth), string(spec.Permission), string(spec.NotFound), string(spec.Ambiguous), string(spec.Invalid), string(spec.Conflict), string(spec.RateLimited), string(spec.Transient), string(spec.Unavailable), string(spec.Uncertain), string(spec.Internal)}},
		"classes":           {telemetry.Classes, []string{string(spec.Read), string(spec.Idempotent), string(spec.Keyed), string(spec.Once)}},
		"modes":             {telemetry.Modes, []string{"read", string(spec.Act), string(spec.Back)}},
		"outcomes":          {telemetry.Outcomes, []string{effects.Done, effects.Already, effects.Partial, effects.Simulated, effects.Skipped, effects.Refused, effects.Failed, effects.Unknown, string(task.Done)}},
		"verdicts":          {telemetry.VerdictWords, []string{intake.Started, intake.JoinedRun, intake.Silenced, intake.Refused, intake.Failed}},
		"kinds":             {telemetry.Kinds, []string{approval.Approval, approval.Question, approval.Failure, approval.Hold}},
		"decisions":         {telemetry.Decisions, []string{approval.Withdrawn, "approved", "denied", "expired"}},
		"states":            {telemetry.ConnectorStates, []string{string(host.Starting), string(host.Ready), string(host.Broken), string(host.Quarantined), string(host.Stopped)}},
		"rules":             {telemetry.Rules, texts(t, `Rule:\s+"([a-z_]+)"`, "../guard", "../effects")},
		"closings":          {telemetry.Closings, texts(t, `closed[A-Z][a-zA-Z]*\s+= "([a-z_]+)"`, "../../workflows")},
		"results of alerts": {telemetry.AlertResults, texts(t, `Result: "([a-z_]+)"|s\.Result = "([a-z_]+)"`, "../intake")},
	} {
		if len(c.said) == 0 {
			t.Errorf("%s: nothing was found", name)
		}
		for _, w := range c.said {
			if !slices.Contains(c.labels, w) {
				t.Errorf("%s: %q counts as other", name, w)
			}
		}
	}
}

// texts finds what a pattern catches in the sources of rooms: words that stand
// there as they are.
func texts(t *testing.T, pattern string, dirs ...string) []string {
	t.Helper()
	var out []string
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(raw), -1) {
				for _, w := range m[1:] {
					if w != "" && !slices.Contains(out, w) {
						out = append(out, w)
					}
				}
			}
		}
	}
	return out
}
