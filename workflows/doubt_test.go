package workflows

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/workflows/run"
)

// TestDoubt: a person is asked what became of an effect without a run, and the
// answer is stored under the person's name.
func TestDoubt(t *testing.T) {
	key := run.Key{Tenant: "t", Run: "p/x/1", Step: "contain.isolate", Direction: run.Do, Generation: 1}.String()
	for choice, want := range map[string]string{"done": "done", "not_done": "not_done", "by_hand": "by_hand", "skip": "skipped"} {
		w := &world{t: t, tally: func(task.TallyRequest) task.TallyResult {
			return task.TallyResult{State: "approved", By: []string{"lena"}, Answer: []byte(`{"choice":"` + choice + `"}`)}
		}}
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(quiet{})
		env := suite.NewTestWorkflowEnvironment()
		New().Register(env)
		reg := func(name string, f any) { env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name}) }
		var resolved task.ResolveRequest
		reg(task.OpenActivity, func(_ context.Context, q task.OpenRequest) error { w.opens = append(w.opens, q); return nil })
		reg(task.TallyActivity, func(_ context.Context, q task.TallyRequest) (task.TallyResult, error) { return w.tally(q), nil })
		reg(task.CloseActivity, func(context.Context, task.CloseRequest) error { return nil })
		reg(task.ResolveActivity, func(_ context.Context, q task.ResolveRequest) error { resolved = q; return nil })
		looked := 0
		env.OnSignalExternalWorkflow(mock.Anything, run.HoldID(key), mock.Anything, signalLook, mock.Anything).
			Return(func(string, string, string, string, any) error { looked++; return nil })
		env.ExecuteWorkflow(run.DoubtWorkflow, run.DoubtInput{Tenant: "t", Run: "p/x/1", Key: key, Action: "edr.isolate_host", Labels: []string{"ws-1"}, Why: "lost"})
		if err := env.GetWorkflowError(); err != nil {
			t.Fatal(err)
		}
		if resolved.As != want || resolved.Actor != "lena" || resolved.Key != key || looked != 1 {
			t.Errorf("%s: %+v, looked %d", choice, resolved, looked)
		}
		q := w.opens[0]
		if len(w.opens) != 1 || run.WorkflowOf(q.ID) != run.DoubtID(key) || q.Kind != "failure" || !strings.Contains(q.Text, "ws-1") || strings.Contains(string(q.Fields), "retry") {
			t.Errorf("%s asked %+v", choice, q)
		}
	}
}
