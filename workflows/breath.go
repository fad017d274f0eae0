package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
)

// Bounds of what local activities bring into one workflow task. They all travel
// in its completion, whose message has at most 4 MiB: past that the server ends
// the run.
const (
	mostLocals     = 250
	mostLocalBytes = 512 << 10
)

// breathe ends the workflow task once enough results of local activities stand in
// it: with an activity that does nothing, for which all branches and rounds wait
// that would begin another one. A timer would do, but fires up to a second late.
func (it *interp) breathe(ctx workflow.Context) error {
	if it.resting {
		if err := workflow.Await(ctx, func() bool { return !it.resting }); err != nil {
			return err
		}
	}
	if it.locals < mostLocals && it.localBytes < mostLocalBytes {
		it.locals++
		return nil
	}
	if workflow.GetVersion(ctx, "breathe", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil // a run of an earlier build
	}
	it.resting = true
	full := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 15 * time.Second, RetryPolicy: patient})
	err := workflow.ExecuteActivity(full, task.BreathActivity).Get(ctx, nil)
	it.resting, it.locals, it.localBytes = false, 1, 0
	return err
}
