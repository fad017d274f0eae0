package workflows

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/failpoint"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// signalLook tells a hold that something about its effect changed. Like all
// messages it carries nothing: the hold reads the store.
const signalLook = "look"

// startHold starts the hold of an effect before the effect is called for, so
// that nothing is ever held without somebody watching the time. Starting it
// again, after a crash or by another run that joins, finds the one that is
// there.
func (it *interp) startHold(f frame, st *plan.Step, c call, key run.Key) error {
	in := run.HoldInput{
		Tenant: it.in.Tenant, Run: it.in.Run, Key: key.String(), For: st.Hold.For, Then: string(st.Hold.Then),
		Action: c.action.Name, Instance: c.instance, Labels: labels(c), Pages: it.troubleshooters(st),
	}
	// It outlives the step: no end of a step, a block or the run may cancel it.
	free, _ := workflow.NewDisconnectedContext(f.ctx)
	ctx := workflow.WithChildOptions(free, workflow.ChildWorkflowOptions{
		WorkflowID: run.HoldID(in.Key), TaskQueue: run.TaskQueue,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
	})
	failpoint.Here("hold.starting", in.Key)
	err := workflow.ExecuteChildWorkflow(ctx, run.HoldWorkflow, in).GetChildWorkflowExecution().Get(ctx, nil)
	failpoint.Here("hold.started", in.Key)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil
	}
	return err
}

func labels(c call) []string {
	var out []string
	switch v := c.values[c.action.Targets].(type) {
	case []any:
		for _, e := range v {
			out = append(out, label(e))
		}
	case nil:
	default:
		out = append(out, label(v))
	}
	return out
}

// look tells the hold of an effect to look at the store again. A hold that has
// ended, or never was, is no error.
func look(ctx workflow.Context, key string) {
	_ = workflow.SignalExternalWorkflow(ctx, run.HoldID(key), "", signalLook, nil).Get(ctx, nil)
}

// Hold watches one effect: it ends when the effect is no longer there, and when
// its time is over it releases, keeps or asks. It outlives the run, and goes on in
// new executions where it tries for weeks what cannot be done yet. Its time runs
// from when the effect happened: the hold is there before that, and where a call
// waits for a vendor or for its turn, long before.
func Hold(ctx workflow.Context, in run.HoldInput) (string, error) {
	anew := !in.Until.IsZero()
	if !anew {
		in.Began = workflow.Now(ctx)
		in.Due = in.Began.Add(in.For)
		in.Until = in.Due
	}
	looks := workflow.GetSignalChannel(ctx, signalLook)
	for waited := false; ; {
		if waited && holdFull(ctx) {
			for looks.ReceiveAsync(nil) { // the next execution looks first of all
			}
			return "", workflow.NewContinueAsNewError(ctx, run.HoldWorkflow, in)
		}
		over := false
		if !anew {
			var err error
			if over, err = watch(ctx, looks, in.Until); err != nil {
				return "", err
			}
			waited = true
		}
		anew = false
		var st task.HeldResult
		if err := execute(ctx, task.HeldActivity, task.HeldRequest{Tenant: in.Tenant, Key: in.Key}, &st); err != nil {
			return "", err
		}
		switch {
		case !st.Held && !st.Open:
			return "released", nil
		case over && !st.Known && !st.Asks:
			// The run ended before it asked for the effect.
			return "never", nil
		case over && !st.Known:
			in.Until = workflow.Now(ctx).Add(again(in.For, time.Hour))
			continue
		case st.Open && over:
			// The effect itself is not decided yet.
			in.Until = workflow.Now(ctx).Add(again(in.For, time.Minute))
			continue
		case !over, late(ctx, &in, st.Age):
			continue
		}
		end, more, err := expire(ctx, &in)
		if err != nil || more == 0 {
			return end, err
		}
		in.Until = workflow.Now(ctx).Add(more)
		if end == renewed {
			in.Began, in.Due = workflow.Now(ctx), in.Until
		}
	}
}

// again is how long a hold waits until it looks again for an effect that is not there
// yet: not so long that the effect's own time could be over by then, unless that is
// very short.
func again(held, most time.Duration) time.Duration { return min(max(held, 5*time.Second), most) }

// late reports whether the effect happened so long after its hold began that its time
// is not over yet; the hold's time is then that of the effect. It counts once: the two
// clocks may be moved, and no effect is held for ever by that.
func late(ctx workflow.Context, in *run.HoldInput, age time.Duration) bool {
	if in.Counted || age == 0 {
		return false
	}
	in.Counted = true
	rest := in.For - age
	if rest <= time.Second {
		return false
	}
	now := workflow.Now(ctx)
	in.Began, in.Due, in.Until = now.Add(-age), now.Add(rest), now.Add(rest)
	return true
}

// holdFull reports whether the history is long enough for a new execution. Holds of
// earlier builds never went on in one: where such a history is replayed, each of its
// turns past that length is as it was.
func holdFull(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	n := info.GetCurrentHistoryLength()
	return (info.GetContinueAsNewSuggested() || n > mostEvents) &&
		workflow.GetVersion(ctx, fmt.Sprint("hold-goes-on@", n), workflow.DefaultVersion, 1) != workflow.DefaultVersion
}

// watch waits for a look or for the end of the time, and says which.
func watch(ctx workflow.Context, looks workflow.ReceiveChannel, end time.Time) (over bool, err error) {
	tctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	sel := workflow.NewSelector(ctx)
	sel.AddFuture(workflow.NewTimer(tctx, until(ctx, end)), func(f workflow.Future) { over = true })
	sel.AddReceive(looks, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) })
	sel.Select(ctx)
	return over, ctx.Err()
}

// renewed is the end of a hold that a person let go on for its time again.
const renewed = "renewed"

// expire does what the hold says at the end of its time, which began and is due by
// the engine's clock. more is how long to go on holding.
func expire(ctx workflow.Context, in *run.HoldInput) (end string, more time.Duration, err error) {
	switch plan.HoldThen(in.Then) {
	case plan.HoldKeep:
		return "kept", 0, execute(ctx, task.NoteActivity, note(ctx, *in, "hold.kept", time.Time{}), nil)
	case plan.HoldRelease:
		return release(ctx, in, task.ActRequest{Actor: byItself, Unattended: true, Began: in.Began.UTC(), Due: in.Due.UTC()})
	}
	if in.Word != "" && in.Failed < quickTries && workflow.GetVersion(ctx, "hold-word", workflow.DefaultVersion, 1) != workflow.DefaultVersion {
		return release(ctx, in, task.ActRequest{Actor: in.Word}) // it was said already, and could not be done
	}
	t, err := askHold(ctx, *in)
	if err != nil {
		return "", 0, err
	}
	in.Word, in.Failed = "", 0
	if t.State == "approved" {
		in.Word = join(t.By)
		return release(ctx, in, task.ActRequest{Actor: in.Word})
	}
	// Kept by a person's word: for as long again.
	return renewed, in.For, execute(ctx, task.NoteActivity, note(ctx, *in, "hold.renewed", workflow.Now(ctx).Add(in.For)), nil)
}

// byItself is the actor of a release that no person asked for.
const byItself = "hold"

// A release that could not be done is tried again every quickWait, after quickTries
// every slowWait. A person whose word it was is asked again then.
const (
	quickTries = 6
	quickWait  = 10 * time.Minute
	slowWait   = time.Hour
)

// laterReleases is what the generations of a hold's later tries are counted from:
// apart from those of undo steps and undos of runs, which count from 1.
const laterReleases = 1_000_000

// release takes the effect back; req says who wants it, and since when. A try whose
// outcome is stored as failed is over, and the next one is another.
func release(ctx workflow.Context, in *run.HoldInput, req task.ActRequest) (string, time.Duration, error) {
	key, err := run.ParseKey(in.Key)
	if err != nil {
		return "", 0, temporal.NewNonRetryableApplicationError(err.Error(), "key", err)
	}
	key.Direction = run.Undo
	if in.Tries > 0 {
		key.Generation = laterReleases + in.Tries
	}
	var res task.ActResult
	req.Place = task.Place{Tenant: in.Tenant, Run: in.Run, Step: key.Step, Iteration: key.Iteration}
	req.Key, req.Of, req.Mode = key, in.Key, "act"
	if err := act(ctx, task.ActActivity, req, &res); err != nil {
		return "", 0, err
	}
	if res.Outcome.Happened() || res.Outcome == task.Skipped {
		return "released", 0, nil
	}
	// It could not be released: it stays held, on record, and is tried again.
	if res.Outcome == task.Failed || res.Outcome == task.Partial {
		in.Tries++
		in.Failed++
		in.Why = res.Detail
		if res.Failure != nil {
			in.Why = res.Failure.Kind + ": " + res.Failure.Message
		}
	}
	if in.Failed >= quickTries && plan.HoldThen(in.Then) == plan.HoldRelease {
		return "", slowWait, nil
	}
	return "", quickWait, nil
}

// askHold pages people and waits for as long as it takes; nothing is released
// by silence.
func askHold(ctx workflow.Context, in run.HoldInput) (task.TallyResult, error) {
	it := newInterp(run.Input{Tenant: in.Tenant, Run: in.Run})
	if err := workflow.SetUpdateHandler(ctx, run.UpdateVoted, func(workflow.Context, run.Voted) error { it.voted++; return nil }); err != nil {
		return task.TallyResult{}, err
	}
	key, err := run.ParseKey(in.Key)
	if err != nil {
		return task.TallyResult{}, temporal.NewNonRetryableApplicationError(err.Error(), "key", err)
	}
	f := frame{ctx: ctx, node: it.root}
	text := fmt.Sprintf("%s on %v has been held for %s. Release it?", in.Action, in.Labels, in.For)
	if in.Failed > 0 {
		text = fmt.Sprintf("%s on %v could not be released in %d tries (%s). Try again?", in.Action, in.Labels, in.Failed, in.Why)
	}
	return it.decide(f, task.OpenRequest{
		Place: task.Place{Tenant: in.Tenant, Run: in.Run, Step: key.Step, Iteration: key.Iteration},
		ID:    run.HoldRequestID(in.Key, workflow.Now(ctx).Unix()), Kind: "hold",
		Text:   text,
		Levels: []task.Level{{Who: in.Pages}}, Quorum: 1, Silent: "keep", Opened: workflow.Now(ctx).UTC(),
	})
}

// note is an entry about a hold: each renewal has its own, with its new end.
func note(ctx workflow.Context, in run.HoldInput, what string, until time.Time) task.NoteRequest {
	n := task.NoteRequest{Place: task.Place{Tenant: in.Tenant, Run: in.Run}, ID: what + ":" + in.Key, Kind: what}
	if key, err := run.ParseKey(in.Key); err == nil {
		n.Step, n.Iteration = key.Step, key.Iteration
	}
	data := map[string]any{"key": in.Key}
	if !until.IsZero() {
		n.ID += fmt.Sprint("@", workflow.Now(ctx).Unix())
		data["until"] = until.UTC().Format(time.RFC3339)
	}
	n.Data, _ = kind.Canonical(data) // two texts
	return n
}
