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

// mostQuick is how many local activities are under way at once: an instance has
// fewer slots, and at the end of each of them all branches are looked at, again at
// each replay. With hundreds of both, a workflow task took longer than it may on a
// busy machine, and so did its repetition. The results of full activities come in
// together.
const mostQuick = 32

// Bounds of what the reads of full activities bring. What ends while a workflow task
// is under way waits with the server, which ends that task by force at 2 MiB or 100
// events, and the run where one transaction has more than 4 MiB: so the reads under
// way together bring less, however long a task takes on a busy machine. The task must
// decode it within five seconds, and again whenever a run is taken up from its
// history; and the server ends a run whose history has more than 50 MB.
const (
	wideReads   = 3
	narrowReads = 24 // of each instance: one that hangs holds up no other
	narrowBytes = 16 << 10
	// olderWide bounds runs that an earlier build took up; narrow reads had no bound.
	olderWide   = 8
	mostHistory = 28 << 20 // the 50 rounds that a loop may run at once fit
	// olderHistory bounds runs that an earlier build took up.
	olderHistory = 24 << 20
)

// readFully reads by a full activity. A few at a time may bring as much as any; of
// what more there are each may bring a little, and where that is not enough it is
// asked for again when its turn comes.
func (it *interp) readFully(f frame, req task.ReadRequest) (res task.ReadResult, err error) {
	if err := it.keeps(f.ctx); err != nil {
		return res, err
	}
	most := it.mostWide(f.ctx)
	if it.wide >= most {
		if res, err := it.readNarrow(f, req, most < olderWide); err != nil || !res.Large {
			return res, err
		}
		it.queued++
		err := workflow.Await(f.ctx, func() bool { return it.wide < most })
		if it.queued--; err != nil {
			return res, err
		}
		if most < olderWide { // what came meanwhile counts
			if err := it.keeps(f.ctx); err != nil {
				return res, err
			}
		}
	}
	it.wide++
	defer func() { it.wide-- }()
	res = task.ReadResult{}
	err = act(f.ctx, task.ReadActivity, req, &res)
	return res, err
}

// crowded reports whether a quick read had better be a full activity at once.
func (it *interp) crowded(ctx workflow.Context) bool {
	return it.quick >= mostQuick && workflow.GetVersion(ctx, "crowded", workflow.DefaultVersion, 1) != workflow.DefaultVersion
}

// mostWide is how many reads of a run may bring as much as any.
func (it *interp) mostWide(ctx workflow.Context) int {
	if it.wide >= wideReads && workflow.GetVersion(ctx, "narrowReads", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return olderWide
	}
	return wideReads
}

// readNarrow reads what is at most a little, when its turn comes.
func (it *interp) readNarrow(f frame, req task.ReadRequest, bounded bool) (res task.ReadResult, err error) {
	if bounded {
		if err := workflow.Await(f.ctx, func() bool { return it.narrow[req.Instance] < narrowReads }); err != nil {
			return res, err
		}
	}
	req.Most = narrowBytes
	it.narrow[req.Instance]++
	defer func() { it.narrow[req.Instance]-- }()
	err = act(f.ctx, task.ReadActivity, req, &res)
	return res, err
}

// keeps fails where the run's history has all that it can keep.
func (it *interp) keeps(ctx workflow.Context) error {
	n := workflow.GetInfo(ctx).GetCurrentHistorySize()
	if n <= olderHistory || !it.beyond(ctx, n) {
		return nil
	}
	return failed("too_large", "the run has read %d MB already, which is all that it can keep; read less at once, or let loops use what they read", n>>20)
}

// beyond reports whether a history of n bytes is all that a run can keep.
func (it *interp) beyond(ctx workflow.Context, n int) bool {
	switch workflow.GetVersion(ctx, "mostHistory", workflow.DefaultVersion, 2) {
	case workflow.DefaultVersion:
		return false
	case 1:
		return true
	}
	return n > mostHistory
}

// calm holds a loop's next round back while as many large results are asked for
// again as may come at once: each round that began would have to end before the
// run can go on in another execution, and all of them share this one's history.
func (it *interp) calm(ctx workflow.Context) {
	if it.queued < wideReads || workflow.GetVersion(ctx, "calm", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	_ = workflow.Await(ctx, func() bool { return it.queued < wideReads }) // the round itself meets the cancellation
}

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
