package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// wait runs a wait step, in one of its four forms.
func (it *interp) wait(f frame, st *plan.Step) (result, error) {
	switch w := st.Pause; {
	case w.ForAlert != nil:
		return it.awaitAlert(f, st)
	case w.Open != nil:
		return it.awaitOpening(f, *w.Open)
	case w.For != nil:
		v, err := it.value(f, *w.For)
		if err != nil {
			return result{}, err
		}
		d, _ := v.(time.Duration)
		return result{outcome: task.Done}, workflow.Sleep(f.ctx, d)
	case w.At != nil:
		v, err := it.value(f, *w.At)
		if err != nil {
			return result{}, err
		}
		at, ok := v.(time.Time)
		if !ok {
			return result{}, failed("invalid", "wait.at is not a time")
		}
		return result{outcome: task.Done}, workflow.Sleep(f.ctx, until(f.ctx, at))
	}
	return result{}, failed("internal", "a wait for nothing")
}

// awaitOpening waits until a calendar is open. The rules of its zone are read in
// an activity, once: what it answers stands in the history.
func (it *interp) awaitOpening(f frame, ref plan.ExprRef) (result, error) {
	v, err := it.eval(f, ref)
	if err != nil {
		return result{}, err
	}
	name, _ := v.(string)
	i := slices.IndexFunc(it.in.Calendars, func(c run.Calendar) bool { return c.Name == name })
	if i < 0 {
		return result{}, failed("invalid", "the run knows no calendar %q; name it in the playbook's settings", name)
	}
	var res task.OpeningResult
	req := task.OpeningRequest{Calendar: it.in.Calendars[i], From: workflow.Now(f.ctx).UTC()}
	if err := execute(f.ctx, task.OpeningActivity, req, &res); err != nil {
		return result{}, err
	}
	if res.Failure != nil {
		return result{}, &stepError{Failure: *res.Failure}
	}
	f.node.step.Detail = name + " opens at " + res.At.Format(time.RFC3339)
	return result{outcome: task.Done, detail: f.node.step.Detail}, workflow.Sleep(f.ctx, until(f.ctx, res.At))
}

// awaitAlert waits for an alert that joins the run. It reads the store; an Update
// only says when to look. One step takes no alert twice, also not in the rounds
// of a loop.
func (it *interp) awaitAlert(f frame, st *plan.Step) (result, error) {
	w := st.Pause.ForAlert
	for {
		end := workflow.Now(f.ctx).Add(w.Within)
		for over := false; ; {
			seen := it.alerted
			out, err := it.takeAlert(f, st)
			if err != nil || out != nil {
				return result{outcome: task.Done, out: out}, err
			}
			if over {
				break
			}
			woken, err := workflow.AwaitWithTimeout(f.ctx, until(f.ctx, end), func() bool { return it.alerted != seen })
			if err != nil {
				return result{}, err
			}
			over = !woken // one look more: it may have come with the time's end
		}
		res, again, err := it.noAlert(f, st)
		if err != nil || !again {
			return res, err
		}
	}
}

// noAlert decides what happens when none came in time.
func (it *interp) noAlert(f frame, st *plan.Step) (res result, again bool, err error) {
	w := st.Pause.ForAlert
	fail := task.Failure{Kind: "timeout", Message: "no such alert came within " + kind.FormatDuration(w.Within)}
	switch w.Late {
	case plan.OnContinue:
		return result{outcome: task.Failed, detail: fail.Message}, false, nil
	case plan.OnAsk:
		return it.lateChoice(f, st, fail, nil)
	}
	return result{}, false, &stepError{Failure: fail}
}

// takeAlert looks through the alerts that joined the run since the one that this
// step took last. nil means that none of them is the one.
func (it *interp) takeAlert(f frame, st *plan.Step) (any, error) {
	for after := it.taken[st.Path]; ; {
		var res task.AlertsResult
		if err := execute(f.ctx, task.AlertsActivity, task.AlertsRequest{Tenant: it.in.Tenant, Run: it.in.Run, After: after}, &res); err != nil {
			return nil, err
		}
		for _, a := range res.Alerts {
			after = a.Seq
			v, err := kind.Decode(alert.Type(), a.Value)
			if err != nil {
				return nil, failed("internal", "the stored alert %s does not fit its type: %v", a.ID, err)
			}
			in := f
			in.alert = v.(map[string]any)
			yes := true
			if when := st.Pause.ForAlert.When; when != nil {
				if yes, err = it.truth(in, *when); err != nil {
					return nil, err
				}
			}
			if !yes {
				continue
			}
			it.taken[st.Path] = a.Seq
			out := map[string]any{}
			for _, name := range []string{"id", "source", "kind", "severity", "occurred"} {
				out[name] = in.alert[name]
			}
			return out, nil
		}
		if !res.More {
			return nil, nil
		}
	}
}
