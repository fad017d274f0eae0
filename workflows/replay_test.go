package workflows

import (
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/workflows/run"
)

// TestReplay replays the histories of earlier builds. Runs wait for days at
// approvals and holds, across upgrades: a change that fails here would block
// them. A history is never edited; a new release adds its own folder with
// `QUELL_RECORD=DIR go test ./internal/e2e -run 'Histories|ForgedUpdate'`.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/replay/*/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	for _, f := range files {
		t.Run(f, func(t *testing.T) {
			if err := replayer().ReplayWorkflowHistoryFromJSONFile(quiet{}, f); err != nil {
				t.Error(err)
			}
		})
	}
}

func replayer() worker.WorkflowReplayer {
	r := worker.NewWorkflowReplayer()
	New().Register(r)
	return r
}

// TestReplayNotices replays a history with a workflow that does something else:
// it must be refused, or TestReplay would prove nothing.
func TestReplayNotices(t *testing.T) {
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ run.Input) (run.Result, error) {
		return run.Result{}, workflow.Sleep(ctx, 1)
	}, workflow.RegisterOptions{Name: run.PlaybookWorkflow})
	if err := r.ReplayWorkflowHistoryFromJSONFile(quiet{}, "testdata/replay/v0.1/contain-infected-host.json"); err == nil {
		t.Error("another workflow replayed the history")
	}
}
