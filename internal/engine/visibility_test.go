package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/workflows/run"
)

// TestList shows that Temporal lists what it lists for itself and for others, and
// not Quell's workflows.
func TestList(t *testing.T) {
	for _, name := range []string{run.PlaybookWorkflow, run.UndoWorkflow, run.HoldWorkflow, run.DoubtWorkflow, run.FiringWorkflow} {
		if !strings.HasPrefix(name, ours) {
			t.Errorf("workflows of the type %s would be listed", name)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	e, err := Start(ctx, Options{Dir: t.TempDir(), Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Stop() }()
	w := worker.New(e.Client(), "q", worker.Options{})
	for _, name := range []string{run.PlaybookWorkflow, "another"} {
		w.RegisterWorkflowWithOptions(func(workflow.Context) error { return nil }, workflow.RegisterOptions{Name: name})
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for _, name := range []string{run.PlaybookWorkflow, "another"} { // the list is written in this order
		r, err := e.Client().ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: name, TaskQueue: "q"}, name)
		if err == nil {
			err = r.Get(ctx, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for listed := ""; listed != "another"; {
		res, err := e.Client().ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: `ExecutionStatus = "Completed"`})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range res.GetExecutions() {
			if listed = x.GetType().GetName(); listed != "another" {
				t.Fatalf("%s is listed", listed)
			}
		}
	}
	if _, err := e.Client().ScheduleClient().List(ctx, client.ScheduleListOptions{}); err != nil {
		t.Error(err)
	}
}
