package workflows

import (
	"fmt"
	"strconv"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// foreach runs the body once per element and gives the results in the order of
// the input, whatever order they ended in. loop says how far it was, where the
// run continued as new within it.
func (it *interp) foreach(f frame, st *plan.Step, loop *run.Loop) (result, error) {
	items, err := it.elements(f, st)
	if err != nil {
		return result{}, err
	}
	all, from, err := takeUpRounds(loop, len(items), it.needs(st, len(items)))
	if err != nil {
		return result{}, err
	}
	may := it.stable(st.Foreach.In) && st.Timeout == 0
	for from < len(items) {
		var first error
		next := from
		one := func(ctx workflow.Context, i int) {
			in := f
			in.ctx = ctx
			next = max(next, from+i+1)
			r, err := it.item(in, st, from+i, items[from+i])
			all.add(from+i, r)
			if err != nil && first == nil {
				first = err
			}
			f.node.thin()
		}
		it.inTurns(f.ctx, len(items)-from, st.Foreach.AtOnce, one, func() bool {
			it.calm(f.ctx)
			return first != nil || (may && next > from && f.full())
		})
		switch {
		case first != nil:
			return result{}, first
		case f.ctx.Err() != nil:
			return result{}, temporal.NewCanceledError()
		}
		if from = next; from < len(items) {
			loop, err := all.loop(from)
			if err != nil {
				return result{}, err
			}
			it.lighten(f, st, all, &loop)
			if err := it.goOn(f, st, loop); err != nil {
				return result{}, err
			}
			may = false
		}
	}
	return all.summary(), nil
}

func (it *interp) elements(f frame, st *plan.Step) ([]any, error) {
	v, err := it.eval(f, st.Foreach.In)
	if err != nil {
		return nil, err
	}
	items, ok := v.([]any)
	if !ok {
		return nil, failed("invalid", "foreach needs a list")
	}
	if st.Foreach.Max > 0 && len(items) > st.Foreach.Max {
		return nil, failed("invalid", "foreach over %d elements; the playbook allows %d", len(items), st.Foreach.Max)
	}
	return items, nil
}

// inTurns calls one for 0…n-1, at most atOnce at a time, and starts no further
// ones once halt says so. Those under way are waited for: nothing is left
// running behind the step.
func (it *interp) inTurns(ctx workflow.Context, n, atOnce int, one func(workflow.Context, int), halt func() bool) {
	if atOnce <= 1 || n == 1 {
		for i := range n {
			if halt() || ctx.Err() != nil {
				return
			}
			one(ctx, i)
		}
		return
	}
	sem := workflow.NewSemaphore(ctx, int64(atOnce))
	wg := workflow.NewWaitGroup(ctx)
	for i := range n {
		if sem.Acquire(ctx, 1) != nil || halt() {
			break
		}
		wg.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer wg.Done()
			defer sem.Release(1)
			one(ctx, i)
		})
	}
	wg.Wait(ctx)
}

// round is one round of a foreach: its record, as expressions see it, and its
// outcome.
type round struct {
	rec     map[string]any
	outcome task.Outcome
}

// item runs one round and makes its record. An error is returned only where it
// shall end the loop.
func (it *interp) item(f frame, st *plan.Step, i int, item any) (round, error) {
	err := it.gate(f)
	if err == nil && st.Kind != plan.Uses { // an action breathes by itself
		err = it.breathe(f.ctx)
	}
	if err != nil {
		return round{rec: map[string]any{"item": item, "index": int64(i), "ok": false}}, err
	}
	sc := f.sc.inner()
	sc.locals[st.Foreach.Var] = item
	n := &node{}
	n.step.Path, n.step.Kind, n.step.Phase = st.Path, "item", string(st.Phase)
	n.step.Iteration, n.step.Status, n.step.Began = strconv.Itoa(i), "running", workflow.Now(f.ctx).UTC()
	n.step.Title = label(item)
	f.node.children = append(f.node.children, n)

	in, c := it.controlled(f.round(strconv.Itoa(i), sc, n), st)
	res, err := it.bounded(in, st)
	it.uncontrolled(c)
	if err != nil && c.skipped != "" && temporal.IsCanceledError(err) && f.ctx.Err() == nil {
		res, err = result{outcome: task.Skipped, detail: c.skipped}, nil
	}
	r := round{rec: map[string]any{"item": item, "index": int64(i), "ok": false}, outcome: task.Failed}
	if st.Kind == plan.Uses && st.Action.Named {
		r.rec[plan.EffectField] = it.effectValue(in, st)
		if out, ok := res.out.(map[string]any); ok {
			delete(out, plan.EffectField) // of a round it stands beside item
		}
	}
	fail, handled := failureOf(err)
	switch {
	case err == nil:
		r.outcome = res.outcome
		r.rec["ok"] = res.outcome.Happened()
		it.outputs(r.rec, st, sc, res)
		n.end(workflow.Now(f.ctx), string(res.outcome), res.detail)
		return r, nil
	case handled:
		r.rec["error"] = map[string]any{"kind": fail.Kind, "message": fail.Message}
		n.end(workflow.Now(f.ctx), string(outcomeOf(fail)), fail.Kind+": "+fail.Message)
		if st.Foreach.OnItemError == plan.OnContinue {
			return r, nil
		}
		err = at(err, fail, st.Path)
	default:
		n.end(workflow.Now(f.ctx), "ended", err.Error())
	}
	return r, err
}

// outputs puts what a round gave into its record: `out`, or over a block the
// inner ids beside `item`.
func (it *interp) outputs(rec map[string]any, st *plan.Step, sc *scope, res result) {
	if st.Kind != plan.Do {
		if res.out != nil {
			rec["out"] = res.out
		}
		return
	}
	for _, id := range it.inside[st.Path] {
		if v, ok := sc.steps[id]; ok {
			rec[id] = v
		}
	}
}

func label(v any) string {
	switch x := v.(type) {
	case kind.Handle:
		return x.Label
	case string:
		return x
	}
	return ""
}

// repeat runs rounds until the condition holds: the first at once, the next
// Every after the one before began its wait. Being late is never success.
func (it *interp) repeat(f frame, st *plan.Step, loop *run.Loop) (result, error) {
	began, start := workflow.Now(f.ctx), 0
	if loop != nil {
		began, start = loop.Began, loop.Next
	}
	for round := start; ; round++ {
		if round > start && st.Timeout == 0 && f.full() {
			if err := it.goOn(f, st, run.Loop{Next: round, Began: began}); err != nil {
				return result{}, err
			}
		}
		if err := it.gate(f); err != nil {
			return result{}, err
		}
		sc := f.sc.inner()
		n := &node{}
		n.step.Path, n.step.Kind, n.step.Phase, n.step.Iteration = st.Path, "round", string(st.Phase), strconv.Itoa(round)
		n.step.Status, n.step.Began = "running", workflow.Now(f.ctx).UTC()
		f.node.children = append(f.node.children, n)
		in := f.round(strconv.Itoa(round), sc, n)
		res, err := it.bounded(in, st)
		if err != nil {
			n.end(workflow.Now(f.ctx), string(task.Failed), err.Error())
			return result{}, err
		}
		rec := map[string]any{}
		it.outputs(rec, st, sc, res)
		done, err := it.truth(in, st.Repeat.Until)
		if err != nil {
			return result{}, err
		}
		n.end(workflow.Now(f.ctx), string(res.outcome), "")
		f.node.thin()
		if done {
			return result{outcome: task.Done, out: rec, detail: fmt.Sprintf("%d rounds", round+1)}, nil
		}
		next := workflow.Now(f.ctx).Add(st.Repeat.Every)
		over := st.Repeat.Within > 0 && next.After(began.Add(st.Repeat.Within))
		if over || (st.Repeat.Max > 0 && round+1 >= st.Repeat.Max) {
			res, again, err := it.late(f, st, rec, round+1)
			if err != nil || !again {
				return res, err
			}
			began = workflow.Now(f.ctx)
		}
		if err := workflow.Sleep(f.ctx, st.Repeat.Every); err != nil {
			return result{}, temporal.NewCanceledError()
		}
	}
}

// late decides what happens when the rounds are used up; again means that a
// person gave the loop as much time once more.
func (it *interp) late(f frame, st *plan.Step, rec map[string]any, rounds int) (res result, again bool, err error) {
	fail := task.Failure{Kind: "timeout", Message: fmt.Sprintf("the condition did not hold after %d rounds", rounds)}
	switch st.Repeat.Late {
	case plan.OnContinue:
		return result{outcome: task.Failed, out: rec, detail: fail.Message}, false, nil
	case plan.OnAsk:
		return it.lateChoice(f, st, fail, rec)
	}
	return result{}, false, &stepError{Failure: fail}
}

// lateChoice asks what to do about a wait that was in vain: as long once more,
// go on without, or stop.
func (it *interp) lateChoice(f frame, st *plan.Step, fail task.Failure, out any) (res result, again bool, err error) {
	choice, err := it.trouble(f, st, fail, []string{"retry", "skip", "stop"})
	if err != nil {
		return result{}, false, err
	}
	switch choice.choice {
	case "retry":
		return result{}, true, nil
	case "skip":
		return result{outcome: task.Skipped, out: out, detail: choice.said()}, false, nil
	}
	return result{}, false, &ending{closing: closedFailed, reason: choice.said()}
}
