package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// Bounds of what local activities bring into one workflow task. They all travel
// in its completion, whose message has at most 4 MiB: past that the server ends
// the run.
const (
	mostLocals     = 250
	mostLocalBytes = 512 << 10
)

// breathe ends the workflow task once enough results of local activities stand in
// it: a timer of a millisecond, for which all branches and rounds wait that would
// begin another one.
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
	err := workflow.Sleep(ctx, time.Millisecond)
	it.resting, it.locals, it.localBytes = false, 1, 0
	return err
}
