package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/playbooks/plan"
)

// result is how one step, or one round of it, went.
type result struct {
	outcome task.Outcome
	// out is what steps.ID becomes; nil leaves it absent.
	out any
	// detail is for people.
	detail string
}

// steps runs steps in order.
func (it *interp) steps(f frame, steps []plan.Step) error {
	for i := range steps {
		if err := it.step(f, &steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// step runs one step with its modifiers and records how it ended.
func (it *interp) step(f frame, st *plan.Step) error {
	if f.ctx.Err() != nil {
		return temporal.NewCanceledError()
	}
	n := f.begin(st)
	in := f
	in.node = n
	res, err := it.decided(in, st)
	if err == nil {
		f.record(st, res.outcome, res.out, nil)
		n.end(workflow.Now(f.ctx), string(res.outcome), res.detail)
		return nil
	}
	fail, ok := failureOf(err)
	if !ok { // an ending or a cancellation goes up as it is
		n.end(workflow.Now(f.ctx), "ended", err.Error())
		f.record(st, task.Skipped, nil, nil)
		return err
	}
	f.record(st, task.Failed, nil, fail)
	n.end(workflow.Now(f.ctx), string(task.Failed), fail.Kind+": "+fail.Message)
	if st.OnError == plan.OnContinue {
		return nil
	}
	return &ending{closing: closedFailed, reason: fmt.Sprintf("step %s: %s: %s", st.Path, fail.Kind, fail.Message)}
}

// decided applies if, approve and the loops.
func (it *interp) decided(f frame, st *plan.Step) (result, error) {
	if st.If != nil {
		yes, err := it.truth(f, *st.If)
		if err != nil {
			return result{}, err
		}
		if !yes {
			return result{outcome: task.Skipped, detail: "its condition is false"}, nil
		}
	}
	if st.Approve != nil {
		sealed, res, err := it.approve(f, st)
		if err != nil || res != nil {
			return deref(res), err
		}
		f.sealed = sealed
	}
	switch {
	case st.Foreach != nil:
		return it.foreach(f, st)
	case st.Repeat != nil:
		return it.repeat(f, st)
	}
	return it.bounded(f, st)
}

func deref(r *result) result {
	if r == nil {
		return result{}
	}
	return *r
}

// bounded applies timeout to steps that are no single action; an action's time
// is bounded by its activity, which knows what a call that left may still do.
func (it *interp) bounded(f frame, st *plan.Step) (result, error) {
	if st.Timeout == 0 || st.Kind == plan.Uses {
		return it.body(f, st)
	}
	ctx, cancel := workflow.WithCancel(f.ctx)
	late := false
	workflow.Go(ctx, func(ctx workflow.Context) {
		if workflow.Sleep(ctx, st.Timeout) == nil {
			late = true
			cancel()
		}
	})
	in := f
	in.ctx = ctx
	res, err := it.body(in, st)
	cancel()
	if late && err != nil {
		return result{}, &stepError{task.Failure{Kind: "timeout", Message: fmt.Sprintf("it did not end within %s", st.Timeout)}}
	}
	return res, err
}

// body does what the step's kind says.
func (it *interp) body(f frame, st *plan.Step) (result, error) {
	switch st.Kind {
	case plan.Uses:
		return it.uses(f, st)
	case plan.Do:
		return result{outcome: task.Done}, it.steps(f, st.Steps)
	case plan.Switch:
		return it.choose(f, st)
	case plan.Set:
		return it.assign(f, st)
	case plan.Wait:
		return it.wait(f, st)
	case plan.Ask:
		return it.question(f, st)
	case plan.Undo:
		return it.undo(f, st)
	case plan.Report:
		return it.report(f, st)
	case plan.Fail:
		text, err := it.text(f, st.Text)
		if err != nil {
			return result{}, err
		}
		return result{}, &stepError{task.Failure{Kind: "fail", Message: text}}
	case plan.Stop:
		class, err := it.text(f, st.Text)
		if err != nil {
			return result{}, err
		}
		if class == "" || class == "true" {
			class = closedCompleted
		}
		return result{}, &ending{closing: class, reason: "stopped by " + st.Path}
	}
	return result{}, &stepError{task.Failure{Kind: "internal", Message: fmt.Sprintf("this build does not run steps of kind %q", st.Kind)}}
}

func (it *interp) choose(f frame, st *plan.Step) (result, error) {
	text, err := it.text(f, &plan.Value{Expr: &st.Choose.On})
	if err != nil {
		return result{}, err
	}
	for _, c := range st.Choose.Cases {
		for _, k := range c.Keys {
			if k == text {
				return result{outcome: task.Done, detail: "case " + k}, it.steps(f, c.Steps)
			}
		}
	}
	if !st.Choose.HasDefault {
		return result{outcome: task.Skipped, detail: fmt.Sprintf("no case for %q", text)}, nil
	}
	return result{outcome: task.Done, detail: "default"}, it.steps(f, st.Choose.Default)
}

func (it *interp) assign(f frame, st *plan.Step) (result, error) {
	out := map[string]any{}
	for _, a := range st.Assign {
		v, err := it.value(f, a.Value)
		if err != nil {
			return result{}, err
		}
		if v != nil {
			out[a.Name] = v
		}
	}
	return result{outcome: task.Done, out: out}, nil
}

func (it *interp) wait(f frame, st *plan.Step) (result, error) {
	var d time.Duration
	switch {
	case st.Pause.For != nil:
		v, err := it.value(f, *st.Pause.For)
		if err != nil {
			return result{}, err
		}
		d, _ = v.(time.Duration)
	case st.Pause.At != nil:
		v, err := it.value(f, *st.Pause.At)
		if err != nil {
			return result{}, err
		}
		at, ok := v.(time.Time)
		if !ok {
			return result{}, &stepError{task.Failure{Kind: "invalid", Message: "wait.at is not a time"}}
		}
		d = until(f.ctx, at)
	}
	return result{outcome: task.Done}, workflow.Sleep(f.ctx, d)
}

func (it *interp) report(f frame, st *plan.Step) (result, error) {
	template, err := it.text(f, st.Text)
	if err != nil {
		return result{}, err
	}
	var res task.ReportResult
	req := task.ReportRequest{Place: it.place(f, st), Template: template, Tree: it.progress()}
	if err := execute(f.ctx, task.ReportActivity, req, &res); err != nil {
		return result{}, err
	}
	return result{outcome: task.Done, out: map[string]any{"seq": res.Seq, "digest": res.Digest}}, nil
}
