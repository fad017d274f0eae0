package workflows

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
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
			if err := replay(t, replayer(), f); err != nil {
				t.Error(err)
			}
		})
	}
}

// replay replays a history as the workflow that it is of.
func replay(t *testing.T, r worker.WorkflowReplayer, file string) error {
	t.Helper()
	raw, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	h, err := client.HistoryFromJSON(raw, client.HistoryJSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id := h.Events[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowId()
	return r.ReplayWorkflowHistoryWithOptions(quiet{}, h, worker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{ID: id, RunID: "replayed"}})
}

func replayer() worker.WorkflowReplayer {
	r := worker.NewWorkflowReplayer()
	New().Register(r)
	return r
}

// TestCorpus reads what the histories are made of: every activity stands in one,
// and none tells of a machine or holds what looks like a secret.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/replay/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	all, size := "", 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		size += len(raw)
		text := inTheClear(t, raw)
		if found := telling.FindAllString(text, 3); found != nil {
			t.Errorf("%s has %q in it", f, found)
		}
		all += text
	}
	left := map[string]string{
		task.LoadActivity:   "only for a plan above 256 KB",
		task.BreathActivity: "only after 250 reads in one workflow task",
	}
	for _, name := range []string{
		task.ReadActivity, task.ActActivity, task.StackActivity, task.HeldActivity, task.OpenActivity, task.TallyActivity, task.CloseActivity,
		task.ResolveActivity, task.NoteActivity, task.EndActivity, task.LoadActivity, task.ReportActivity, task.InForceActivity, task.ArrangeActivity,
		task.OpeningActivity, task.AlertsActivity, task.VerbsActivity, task.AnswerActivity, task.CallActivity, task.BreathActivity, task.FireActivity,
	} {
		if strings.Contains(all, `"`+name+`"`) == (left[name] != "") {
			t.Errorf("%s: in a history %v; %s", name, left[name] != "", left[name])
		}
	}
	for _, command := range []string{
		"CONTINUED_AS_NEW", "START_CHILD_WORKFLOW", "CHILD_WORKFLOW_EXECUTION_STARTED", "EXECUTION_SIGNALED", "SIGNAL_EXTERNAL_WORKFLOW", "UPDATE_COMPLETED",
		"TIMER_FIRED", "TIMER_CANCELED", "ACTIVITY_TASK_COMPLETED", "MARKER_RECORDED", "EXECUTION_COMPLETED",
	} {
		if !strings.Contains(all, command) {
			t.Errorf("%s is in no history", command)
		}
	}
	t.Logf("%d histories, %d KB", len(files), size>>10)
}

// telling matches paths of machines and what looks like a secret.
var telling = regexp.MustCompile(`/(?:tmp|home|root|work|Users|var)/[^\s"]+|(?i)bearer [a-z0-9]|-----BEGIN|-secret\b|password=`)

// inTheClear is a history with its payloads opened.
func inTheClear(t *testing.T, raw []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	out := strings.Builder{}
	out.Write(raw)
	var walk func(any)
	walk = func(v any) {
		switch x := v.(type) {
		case []any:
			for _, e := range x {
				walk(e)
			}
		case map[string]any:
			if text, ok := x["data"].(string); ok {
				if data, err := base64.StdEncoding.DecodeString(text); err == nil {
					out.WriteByte('\n')
					out.Write(data)
				}
			}
			for _, e := range x {
				walk(e)
			}
		}
	}
	walk(v)
	return out.String()
}

// TestReplayNotices replays a history with a workflow that does something else:
// it must be refused, or TestReplay would prove nothing.
func TestReplayNotices(t *testing.T) {
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ run.Input) (run.Result, error) {
		return run.Result{}, workflow.Sleep(ctx, 1)
	}, workflow.RegisterOptions{Name: run.PlaybookWorkflow})
	if err := replay(t, r, "testdata/replay/v0.1/contain-infected-host.json"); err == nil {
		t.Error("another workflow replayed the history")
	}
}
