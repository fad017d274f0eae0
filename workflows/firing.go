package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/workflows/run"
)

// Looks of a firing that waits for the run before to end.
const (
	firstLook = 15 * time.Second
	lastLook  = 10 * time.Minute
	// looksAtOnce bounds the history of one execution.
	looksAtOnce = 500
)

// Firing claims a run for one firing of a schedule: once, whatever is killed. The
// dispatcher starts the run. A firing whose run shall wait for the one before
// looks again until its turn has come.
func Firing(ctx workflow.Context, in run.FiringInput) (string, error) {
	id := workflow.GetInfo(ctx).WorkflowExecution.ID
	at, err := run.FiringTime(id)
	if err != nil {
		return "", temporal.NewNonRetryableApplicationError(err.Error(), "firing", err)
	}
	req := task.FireRequest{Tenant: in.Tenant, ID: id, Playbook: in.Playbook, Schedule: in.Schedule, At: at}
	for range looksAtOnce {
		var res task.FireResult
		if err := execute(ctx, task.FireActivity, req, &res); err != nil {
			return "", err
		}
		switch {
		case res.Failure != nil:
			return "", temporal.NewNonRetryableApplicationError(res.Failure.Message, res.Failure.Kind, nil)
		case res.Verdict != task.Queued:
			return res.Verdict + " " + res.Run, nil
		}
		in.Tries++
		if err := workflow.Sleep(ctx, min(lastLook, firstLook<<min(in.Tries-1, 6))); err != nil {
			return "", err
		}
	}
	return "", workflow.NewContinueAsNewError(ctx, run.FiringWorkflow, in)
}
