package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Limits of activities. The heartbeat decides how soon a run moves again after
// its process was killed; StartToClose only has to be longer than everything an
// activity may wait for.
const (
	heartbeat    = 5 * time.Second
	startToClose = 30 * time.Minute
	localTime    = 2 * time.Second
)

// patient retries for ever: it is for activities whose only failures are a store
// or a worker that is away, and work resumes by itself when they are back.
var patient = &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 1.5, MaximumInterval: 5 * time.Second}

// execute calls one of Quell's own quick activities: first as a local activity,
// which costs neither a task nor events of its own, and where that fails as a
// full one that waits until the store is back.
func execute(ctx workflow.Context, name string, req, res any) error {
	local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: localTime, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	err := workflow.ExecuteLocalActivity(local, name, req).Get(ctx, res)
	if err == nil || temporal.IsCanceledError(err) {
		return err
	}
	full := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 15 * time.Second, RetryPolicy: patient,
	})
	return workflow.ExecuteActivity(full, name, req).Get(ctx, res)
}

// act calls the activity of effects. It is waited for even when the run is
// cancelled: what became of a call that left must be known.
func act(ctx workflow.Context, name string, req, res any) error {
	full := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: startToClose, HeartbeatTimeout: heartbeat, WaitForCancellation: true, RetryPolicy: patient,
	})
	return workflow.ExecuteActivity(full, name, req).Get(ctx, res)
}
