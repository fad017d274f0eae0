package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// unwound says how the effects of a stack were taken back.
type unwound struct {
	items []run.UndoItem
	// left counts those that are still there and wait for a person.
	left int
	// unsure are the keys of the calls of which it is not known whether they took
	// back what they should.
	unsure []string
}

// unwind takes back what a run did, newest first, and never stops at one that
// cannot be taken back: the others still can.
func unwind(ctx workflow.Context, base task.ActRequest, stack []task.StackItem, generation int) (unwound, error) {
	var u unwound
	for _, s := range stack {
		item := run.UndoItem{Key: s.Key, Action: s.Action, Targets: s.Targets}
		if s.Reversal == "none" || s.Reversal == "unneeded" {
			item.Outcome = "irreversible"
			if s.Reversal == "unneeded" {
				item.Outcome = "nothing"
			} else {
				u.left++
			}
			u.items = append(u.items, item)
			continue
		}
		if s.Outcome == string(task.Unknown) {
			item.Outcome, item.Detail = s.Outcome, "resolve it first"
			u.left++
			u.items = append(u.items, item)
			continue
		}
		key, err := run.ParseKey(s.Key)
		if err != nil {
			return u, failed("internal", "%s", err.Error())
		}
		key.Direction, key.Generation = run.Undo, generation
		req := base
		req.Key, req.Of, req.Step, req.Iteration = key, s.Key, key.Step, key.Iteration
		var res task.ActResult
		if err := act(ctx, task.ActActivity, req, &res); err != nil {
			return u, err
		}
		item.Outcome, item.Detail = string(res.Outcome), res.Detail
		switch {
		case res.Failure != nil:
			item.Detail = res.Failure.Kind + ": " + res.Failure.Message
			u.left++
		case res.Outcome == task.Unknown || res.Outcome == task.Failed || res.Outcome == task.Partial || res.Outcome == task.Refused:
			u.left++
			if res.Outcome == task.Unknown {
				u.unsure = append(u.unsure, key.String())
			}
		default:
			look(ctx, s.Key)
		}
		u.items = append(u.items, item)
	}
	return u, nil
}

// undo runs an undo step.
func (it *interp) undo(f frame, st *plan.Step) (result, error) {
	req := task.StackRequest{Tenant: it.in.Tenant, Run: it.in.Run}
	for _, id := range st.Undoes {
		req.Steps = append(req.Steps, it.ids[id]...)
	}
	if st.UndoOf != nil {
		var err error
		if req.Keys, err = it.effectKeys(f, *st.UndoOf); err != nil {
			return result{}, err
		}
	}
	if len(req.Steps)+len(req.Keys) == 0 { // an empty list would mean all
		return result{outcome: task.Already, detail: "nothing to take back"}, nil
	}
	for {
		var stack task.StackResult
		if err := execute(f.ctx, task.StackActivity, req, &stack); err != nil {
			return result{}, err
		}
		base := task.ActRequest{Place: it.place(f, st), Mode: it.in.Mode, Actor: it.in.Trigger.Actor, Unattended: true}
		f.ctl.acts(1)
		u, err := unwind(f.ctx, base, stack.Items, it.tried[place(st, f)]+1)
		f.ctl.acts(-1)
		if err != nil {
			return result{}, err
		}
		if u.left == 0 {
			return undone(u), nil
		}
		fail := task.Failure{Kind: "undo", Message: fmt.Sprintf("%d of %d effects are still there: %s", u.left, len(u.items), leftovers(u))}
		if st.OnError != plan.OnAsk {
			return result{}, &stepError{Failure: fail}
		}
		res, again, err := it.stillThere(f, st, fail, u)
		if err != nil || !again {
			return res, err
		}
		it.tried[place(st, f)]++
	}
}

// stillThere asks what to do about effects that could not be taken back. While it
// is not known whether one was, trying again could do it twice: first a person
// must find out.
func (it *interp) stillThere(f frame, st *plan.Step, fail task.Failure, u unwound) (res result, again bool, err error) {
	options, doubt := usualOptions, len(u.unsure) > 0
	if doubt && workflow.GetVersion(f.ctx, "undo-doubt", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		doubt = false
	}
	if doubt {
		options = doubtOptions
	}
	choice, err := it.trouble(f, st, fail, options)
	if err != nil {
		return result{}, false, err
	}
	if doubt && choice.choice != "stop" {
		for _, key := range u.unsure {
			if err := it.settle(f, st, key, choice); err != nil {
				return result{}, false, err
			}
		}
	}
	switch choice.choice {
	case "retry", "not_done":
		return result{}, true, nil
	case "done":
		return result{outcome: task.Done, detail: choice.said()}, u.left > len(u.unsure), nil
	case "by_hand":
		return result{outcome: task.Done, detail: choice.said()}, false, nil
	case "skip":
		return result{outcome: task.Skipped, detail: choice.said()}, false, nil
	}
	return result{}, false, &ending{closing: closedFailed, reason: choice.said()}
}

// effectKeys are the keys of effects that an expression gives: one or a list.
func (it *interp) effectKeys(f frame, of plan.Value) ([]string, error) {
	v, err := it.value(f, of)
	if err != nil {
		return nil, err
	}
	list, many := v.([]any)
	if !many {
		list = []any{v}
	}
	var keys []string
	for _, e := range list {
		h, ok := e.(kind.Handle)
		if !ok || h.Name != plan.Effect {
			return nil, failed("invalid", "undo needs an effect")
		}
		keys = append(keys, h.ID)
	}
	return keys, nil
}

func undone(u unwound) result {
	res := result{outcome: task.Already, detail: "nothing to take back"}
	for _, i := range u.items {
		if i.Outcome == string(task.Done) {
			return result{outcome: task.Done, detail: fmt.Sprintf("%d taken back", len(u.items))}
		}
	}
	return res
}

func leftovers(u unwound) string {
	out := ""
	for _, i := range u.items {
		switch i.Outcome {
		case "done", "already", "nothing", "skipped":
			continue
		}
		if out != "" {
			out += "; "
		}
		out += fmt.Sprintf("%s %v %s %s", i.Action, i.Targets, i.Outcome, i.Detail)
	}
	return out
}

// Undo takes back what a run did, whether the run still goes, has ended or is
// long forgotten: the stack comes from the effects store.
func Undo(ctx workflow.Context, in run.UndoInput) (run.UndoResult, error) {
	var stack task.StackResult
	if err := execute(ctx, task.StackActivity, task.StackRequest{Tenant: in.Tenant, Run: in.Run, Steps: in.Steps}, &stack); err != nil {
		return run.UndoResult{}, err
	}
	base := task.ActRequest{Place: task.Place{Tenant: in.Tenant, Run: in.Run}, Mode: "act", Actor: in.Actor}
	u, err := unwind(ctx, base, stack.Items, 1+undoNumber(in.ID))
	if err != nil {
		return run.UndoResult{Items: u.items}, temporal.NewApplicationErrorWithCause("undo ended early", "undo", err, u.items)
	}
	note := task.NoteRequest{Place: base.Place, ID: in.ID, Kind: "undo.ended"}
	return run.UndoResult{Items: u.items}, execute(ctx, task.NoteActivity, note, nil)
}

// undoNumber is N of undo/RUN/N.
func undoNumber(id string) int {
	n := 0
	for i := len(id) - 1; i >= 0 && id[i] >= '0' && id[i] <= '9'; i-- {
		n++
	}
	v := 0
	for _, c := range id[len(id)-n:] {
		v = v*10 + int(c-'0')
	}
	return v
}
