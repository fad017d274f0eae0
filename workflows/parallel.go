package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/playbooks/plan"
)

// parallel runs branches at once and waits for all: nothing is left running
// behind it, however it ends.
//
// A branch that fails takes nothing from the others; the block fails when all
// have ended. A stop, a denied approval and a cancellation end the others too:
// their waits and questions at once, an effect of theirs with its outcome.
func (it *interp) parallel(f frame, st *plan.Step) (result, error) {
	all := st.Fork.Branches
	errs := make([]error, len(all))
	cancels := make([]workflow.CancelFunc, len(all))
	wg := workflow.NewWaitGroup(f.ctx)
	winner := -1
	end := func(i int, err error) {
		errs[i] = err
		won := st.Fork.First && err == nil && winner < 0
		if won {
			winner = i
		}
		var en *ending
		if won || errors.As(err, &en) {
			for k := range cancels {
				if k != i {
					cancels[k]()
				}
			}
		}
	}
	frames := make([]frame, len(all))
	for i := range all {
		frames[i] = f.branch(st, all[i].Name)
		frames[i].ctx, cancels[i] = workflow.WithCancel(f.ctx)
	}
	for i := range all {
		wg.Add(1)
		workflow.Go(frames[i].ctx, func(ctx workflow.Context) {
			defer wg.Done()
			in := frames[i]
			in.ctx = ctx
			err := it.steps(in, all[i].Steps)
			in.node.end(workflow.Now(ctx), branchStatus(err), branchDetail(err))
			end(i, err)
		})
	}
	wg.Wait(f.ctx)
	for _, cancel := range cancels {
		cancel()
	}
	if winner >= 0 {
		return result{outcome: task.Done, detail: "first: " + all[winner].Name, out: map[string]any{"first": all[winner].Name}}, nil
	}
	return result{outcome: task.Done}, worst(f, errs)
}

// worst is the error of a parallel: its own cancellation, else an ending, else a
// failure; of several the first in the order in which the branches are written.
func worst(f frame, errs []error) error {
	if f.ctx.Err() != nil {
		return temporal.NewCanceledError()
	}
	for _, err := range errs {
		var en *ending
		if errors.As(err, &en) {
			return err
		}
	}
	for _, err := range errs {
		if err != nil && !temporal.IsCanceledError(err) {
			return err
		}
	}
	return nil
}

func branchStatus(err error) string {
	switch _, fail := failureOf(err); {
	case err == nil:
		return string(task.Done)
	case fail:
		return string(task.Failed)
	}
	return "ended"
}

func branchDetail(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
