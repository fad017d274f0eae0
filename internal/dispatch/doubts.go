package dispatch

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/quell-soar/quell/workflows/run"
)

// doubts starts, once for each effect, the workflow that asks people what became
// of it.
func (d *Dispatcher) doubts(ctx context.Context) error {
	if d.opts.Doubts == nil {
		return nil
	}
	list, err := d.opts.Doubts(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, in := range list {
		if d.asked[in.Key] {
			continue
		}
		if err := d.doubt(ctx, in); err != nil {
			failed = err
			continue
		}
		d.asked[in.Key] = true
	}
	return failed
}

func (d *Dispatcher) doubt(ctx context.Context, in run.DoubtInput) error {
	_, err := d.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: run.DoubtID(in.Key), TaskQueue: run.TaskQueue, WorkflowTaskTimeout: taskTimeout,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "effect of " + in.Run + " not known",
	}, run.DoubtWorkflow, in)
	var there *serviceerror.WorkflowExecutionAlreadyStarted
	if err != nil && !errors.As(err, &there) {
		return fmt.Errorf("ask about %s: %w", in.Key, err)
	}
	return nil
}
