package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/quell-soar/quell/workflows/run"
)

// ErrNotFound says that Temporal no longer knows, or never knew, a workflow.
var ErrNotFound = errors.New("the engine does not know it")

// Progress returns the tree of a run. It needs a live worker and answers from
// the workflow's memory; a run that Temporal has forgotten gives ErrNotFound.
func (d *Dispatcher) Progress(ctx context.Context, id string) (run.Progress, error) {
	v, err := d.temporal.QueryWorkflow(ctx, id, "", run.QueryProgress)
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return run.Progress{}, fmt.Errorf("run %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return run.Progress{}, fmt.Errorf("ask run %s how it goes: %w", id, err)
	}
	var p run.Progress
	if err := v.Get(&p); err != nil {
		return run.Progress{}, fmt.Errorf("read how run %s goes: %w", id, err)
	}
	return p, nil
}

// Undo starts an undo of a run and returns its id. Two undos of one run may go
// at once: they meet at each effect's target, and the second finds it undone.
// Its number is the time in milliseconds, so no effect key is ever used again,
// not even after Temporal has forgotten earlier undos.
func (d *Dispatcher) Undo(ctx context.Context, in run.UndoInput) (string, error) {
	if in.ID == "" {
		in.ID = run.UndoID(in.Run, int(time.Now().UnixMilli()))
	}
	_, err := d.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: in.ID, TaskQueue: run.TaskQueue, EnableEagerStart: true, WorkflowTaskTimeout: taskTimeout,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		StaticSummary:         "undo " + in.Run,
	}, run.UndoWorkflow, in)
	if err != nil {
		return "", fmt.Errorf("start %s: %w", in.ID, err)
	}
	return in.ID, nil
}

// UndoResult returns what an undo did so far: done is false while it goes on.
func (d *Dispatcher) UndoResult(ctx context.Context, id string) (res run.UndoResult, done bool, err error) {
	desc, err := d.temporal.DescribeWorkflowExecution(ctx, id, "")
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return res, false, fmt.Errorf("undo %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return res, false, fmt.Errorf("ask for undo %s: %w", id, err)
	}
	if desc.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return res, false, nil
	}
	if err := d.temporal.GetWorkflow(ctx, id, "").Get(ctx, &res); err != nil {
		return res, true, fmt.Errorf("undo %s failed: %w", id, err)
	}
	return res, true, nil
}

// Cancel asks a run to stop what it does and go to its review. Effects stay as
// they are; undo is another matter. Asking again changes nothing.
func (d *Dispatcher) Cancel(ctx context.Context, id, actor, reason string) error {
	err := d.temporal.CancelWorkflow(ctx, id, "")
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return fmt.Errorf("run %s is not running: %w", id, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("cancel run %s: %w", id, err)
	}
	d.opts.Log.Info().Str("run", id).Str("actor", actor).Str("reason", reason).Msg("run cancelled")
	return nil
}

// Deliver says that a vote on a request was stored.
func (d *Dispatcher) Deliver(context.Context, string) { d.Nudge() }

// Ready reports why runs cannot be started, or nil.
func (d *Dispatcher) Ready(ctx context.Context) error {
	if _, err := d.temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("the engine does not answer: %w", err)
	}
	return nil
}
