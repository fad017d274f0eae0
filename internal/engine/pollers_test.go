package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// TestPollers keeps a worker busy with workflows that are in its memory, more than it
// has slots for, and begins others: they get their turn. With a fixed number of pollers
// none does until the busy ones are over.
func TestPollers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	e, err := Start(ctx, Options{Dir: t.TempDir(), Log: zerolog.Nop(), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Stop() })
	const slots, busy, others = 2, 40, 5
	w := worker.New(e.Client(), "q", worker.Options{
		MaxConcurrentWorkflowTaskExecutionSize: slots, WorkerStopTimeout: time.Second,
		WorkflowTaskPollerBehavior: Pollers(), ActivityTaskPollerBehavior: Pollers(),
	})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		for ctx.Err() == nil {
			if err := workflow.Sleep(ctx, time.Millisecond); err != nil {
				return err
			}
			if workflow.GetInfo(ctx).GetCurrentHistoryLength() > 5000 {
				return nil // its history is long enough
			}
		}
		return ctx.Err()
	}, workflow.RegisterOptions{Name: "busy"})
	w.RegisterWorkflowWithOptions(func(workflow.Context) error { return nil }, workflow.RegisterOptions{Name: "other"})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	begin := func(name string, n int) client.WorkflowRun {
		run, err := e.Client().ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: fmt.Sprint(name, "-", n), TaskQueue: "q"}, name)
		if err != nil {
			t.Fatal(err)
		}
		return run
	}
	for n := range busy {
		begin("busy", n)
	}
	began := time.Now()
	for n := range others {
		if err := begin("other", n).Get(ctx, nil); err != nil {
			t.Fatalf("workflow %d of those that begin, after %s: %v", n, time.Since(began), err)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("%d workflows that begin and end at once took %s beside %d busy ones", others, took, busy)
	} else {
		t.Logf("%d workflows that begin took %s beside %d busy ones", others, took, busy)
	}
	for n := range busy {
		if err := e.Client().TerminateWorkflow(ctx, fmt.Sprint("busy-", n), "", "enough"); err != nil {
			t.Logf("%d had ended: %v", n, err)
		}
	}
}
