package workflows

import (
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
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
	from, _ := it.resuming(steps)
	for i := from; i < len(steps); i++ {
		if err := it.step(f, &steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// step runs one step with its modifiers and records how it ended. A failure that
// the step does not handle itself goes to the block around it.
func (it *interp) step(f frame, st *plan.Step) error {
	if err := it.gate(f); err != nil {
		return err
	}
	again := it.takeUp(st)
	n := f.begin(st, again != nil)
	in := f
	in.node = n
	in, c := it.controlled(in, st)
	res, err := it.attended(in, st, again)
	it.uncontrolled(c)
	var goesOn *continued
	if errors.As(err, &goesOn) {
		return err
	}
	if err != nil && c.skipped != "" && temporal.IsCanceledError(err) && f.ctx.Err() == nil {
		res, err = result{outcome: task.Skipped, detail: c.skipped}, nil
	}
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
	f.record(st, outcomeOf(fail), nil, fail)
	n.end(workflow.Now(f.ctx), string(outcomeOf(fail)), fail.Kind+": "+fail.Message)
	if st.OnError == plan.OnContinue {
		return nil
	}
	return at(err, fail, st.Path)
}

// at says where a failure came from: the innermost step counts.
func at(err error, fail *task.Failure, path string) error {
	var se *stepError
	if errors.As(err, &se) {
		if se.at == "" {
			se.at = path
		}
		return se
	}
	return &stepError{Failure: *fail, at: path}
}

// outcomeOf is what outcome.ID shows of a failure: a guard's refusal and an
// unknown effect keep their own word.
func outcomeOf(f *task.Failure) task.Outcome {
	switch o := task.Outcome(f.Kind); o {
	case task.Refused, task.Unknown, task.Denied:
		return o
	}
	return task.Failed
}

// attended runs a step and, where on_error is ask, puts its failure before
// people. Effects ask by themselves, for they know what may be done about them;
// what comes here of them is that they could not even be asked for. A denial is
// a person's word already.
func (it *interp) attended(f frame, st *plan.Step, again *run.Level) (result, error) {
	for ; ; again = nil {
		res, err := it.decided(f, st, again)
		fail, ok := failureOf(err)
		if !ok || st.OnError != plan.OnAsk || slices.Contains(answered, task.Outcome(fail.Kind)) {
			return res, err
		}
		res, retry, err := it.remedy(f, st, fail)
		if !retry {
			return res, err
		}
	}
}

// remedy asks people what to do about a failure; again says that the step shall be
// tried once more.
func (it *interp) remedy(f frame, st *plan.Step, fail *task.Failure) (res result, again bool, err error) {
	choice, err := it.trouble(f, st, *fail, usualOptions)
	if err != nil {
		return result{}, false, err
	}
	switch choice.choice {
	case "retry":
		it.tried[place(st, f)]++
		return result{}, true, nil
	case "skip":
		return result{outcome: task.Skipped, detail: choice.said()}, false, nil
	case "by_hand":
		return result{outcome: task.Done, detail: choice.said()}, false, nil
	}
	return result{}, false, &ending{closing: closedFailed, reason: fmt.Sprintf("step %s: %s", st.Path, choice.said())}
}

// answered are the failures that nobody is asked about.
var answered = []task.Outcome{task.Denied}

// decided applies if, limits on lists, approve and the loops. again is set where the step was under
// way when the run continued as new: then if was true, and nobody had to approve.
func (it *interp) decided(f frame, st *plan.Step, again *run.Level) (result, error) {
	if st.If != nil && again == nil {
		yes, err := it.truth(f, *st.If)
		if err != nil {
			return result{}, err
		}
		if !yes {
			return result{outcome: task.Skipped, detail: "its condition is false"}, nil
		}
	}
	if st.Foreach != nil && again == nil {
		if res, ok, err := it.allowed(f, st); !ok {
			return res, err
		}
	}
	if st.Approve != nil && it.in.Mode == modeObserve {
		f.would = it.wouldAsk(f, st) // nothing will be done, so nobody is woken
	} else if st.Approve != nil && again == nil {
		sealed, res, err := it.approve(f, st)
		if err != nil || res != nil {
			return deref(res), err
		}
		f.sealed = sealed
	}
	f.again = nil
	switch {
	case st.Foreach != nil:
		return it.foreach(f, st, it.takeUpLoop(again))
	case st.Repeat != nil:
		return it.repeat(f, st, it.takeUpLoop(again))
	}
	f.again = again
	res, err := it.bounded(f, st)
	within(err, st.Path, f.chose())
	return res, err
}

func deref(r *result) result {
	if r == nil {
		return result{}
	}
	return *r
}

// body does what the step's kind says.
func (it *interp) body(f frame, st *plan.Step) (result, error) {
	switch st.Kind {
	case plan.Uses:
		return it.uses(f, st)
	case plan.Do:
		return result{outcome: task.Done}, it.steps(f, st.Steps)
	case plan.Parallel:
		return it.parallel(f, st)
	case plan.Switch:
		return it.choose(f, st)
	case plan.Call:
		return it.call(f, st)
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
	case plan.Note:
		return it.note(f, st)
	case plan.Fail:
		text, err := it.text(f, st.Text)
		if err != nil {
			return result{}, err
		}
		return result{}, failed("fail", "%s", text)
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
	return result{}, failed("internal", "this build does not run steps of kind %q", st.Kind)
}

func (it *interp) choose(f frame, st *plan.Step) (result, error) {
	text, err := "", error(nil)
	if f.again != nil {
		text = f.again.Case
	} else if text, err = it.text(f, &plan.Value{Expr: &st.Choose.On}); err != nil {
		return result{}, err
	}
	f.node.chose = text
	steps, how := chosen(st.Choose, text)
	if how == "" {
		return result{outcome: task.Skipped, detail: fmt.Sprintf("no case for %q", text)}, nil
	}
	return result{outcome: task.Done, detail: how}, it.steps(f, steps)
}

// chosen finds the case of a switch; how is empty where there is none.
func chosen(s *plan.SwitchBody, text string) (steps []plan.Step, how string) {
	for _, c := range s.Cases {
		if slices.Contains(c.Keys, text) {
			return c.Steps, "case " + text
		}
	}
	if s.HasDefault {
		return s.Default, "default"
	}
	return nil, ""
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

// note writes into the ledger. A note with the same id replaces an earlier one
// for who reads them; the ledger keeps both.
func (it *interp) note(f frame, st *plan.Step) (result, error) {
	text, err := it.text(f, st.Text)
	if err != nil {
		return result{}, err
	}
	data, err := kind.Canonical(map[string]any{"note": st.Note, "text": text})
	if err != nil {
		return result{}, asFailure(err)
	}
	p := place(st, f)
	it.tried[p]++
	req := task.NoteRequest{Place: it.place(f, st), ID: fmt.Sprintf("note:%s#%s#%d", it.in.Run, p, it.tried[p]), Kind: "note.written", Data: data}
	return result{outcome: task.Done}, execute(f.ctx, task.NoteActivity, req, nil)
}

func (it *interp) report(f frame, st *plan.Step) (result, error) {
	template, err := it.text(f, st.Text)
	if err != nil {
		return result{}, err
	}
	params := map[string]any{}
	for _, p := range st.Params {
		v, err := it.value(f, p.Value)
		if err != nil {
			return result{}, err
		}
		if v != nil {
			params[p.Name] = v
		}
	}
	req := task.ReportRequest{Place: it.place(f, st), Template: template, Tree: it.progress()}
	if len(params) > 0 {
		if req.Params, err = kind.Canonical(params); err != nil {
			return result{}, asFailure(err)
		}
	}
	var res task.ReportResult
	if err := execute(f.ctx, task.ReportActivity, req, &res); err != nil {
		return result{}, err
	}
	return result{outcome: task.Done, out: map[string]any{"seq": res.Seq, "digest": res.Digest}}, nil
}
