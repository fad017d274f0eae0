package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// call is one resolved use of an action: everything is known but what comes of
// it.
type call struct {
	action   spec.Action
	schema   string
	instance string
	inputs   []byte
	values   map[string]any
}

// resolve evaluates the inputs of an action and finds the instance that serves
// it: the one that a handle among the inputs came from, else the bound one. A
// handle that is only read about, such as an account in an inventory, decides
// nothing.
func (it *interp) resolve(f frame, st *plan.Step) (call, error) {
	sp, ok := it.plan.ActionSpec(st.Action.Name)
	if !ok {
		return call{}, &stepError{task.Failure{Kind: "internal", Message: "the plan has no spec of " + st.Action.Name}}
	}
	values := map[string]any{}
	for _, w := range st.Action.With {
		v, err := it.value(f, w.Value)
		if err != nil {
			return call{}, err
		}
		if v != nil {
			values[w.Name] = v
		}
	}
	raw, err := kind.Encode(sp.InputType(), values)
	if err != nil {
		return call{}, &stepError{task.Failure{Kind: "invalid", Message: "inputs: " + err.Error()}}
	}
	c := call{action: sp, schema: it.schema(sp.Name), inputs: raw, values: values}
	c.instance = it.instanceOf(sp, values)
	if c.instance == "" {
		return call{}, &stepError{task.Failure{Kind: "unavailable", Message: "no connector instance serves " + sp.Name + "; bind one in the configuration"}}
	}
	return c, nil
}

func (it *interp) schema(action string) string {
	for _, a := range it.plan.Actions {
		if a.Name == action {
			return a.Schema
		}
	}
	return ""
}

func (it *interp) instanceOf(sp spec.Action, values map[string]any) string {
	for _, fd := range sp.Inputs {
		if fd.Foreign {
			continue
		}
		switch v := values[fd.Name].(type) {
		case kind.Handle:
			return v.Instance
		case []any:
			if len(v) > 0 {
				if h, ok := v[0].(kind.Handle); ok {
					return h.Instance
				}
			}
		}
	}
	for _, b := range it.in.Bindings {
		if b.Action == sp.Name {
			return b.Instance
		}
	}
	return ""
}

// uses calls an action.
func (it *interp) uses(f frame, st *plan.Step) (result, error) {
	c, err := it.resolve(f, st)
	if err != nil {
		return result{}, err
	}
	if st.Action.Effect {
		return it.effect(f, st, c)
	}
	return it.read(f, st, c)
}

func (it *interp) read(f frame, st *plan.Step, c call) (result, error) {
	req := task.ReadRequest{
		Place: it.place(f, st), Action: c.action.Name, Schema: c.schema, Instance: c.instance,
		Inputs: c.inputs, Fields: st.Action.Reads, Timeout: st.Timeout,
	}
	if st.Retry != nil {
		req.Attempts, req.Wait = st.Retry.Attempts, st.Retry.Wait
	}
	var res task.ReadResult
	if c.action.Quick && st.Timeout == 0 {
		quick := req
		quick.Quick = true
		ctx := workflow.WithLocalActivityOptions(f.ctx, workflow.LocalActivityOptions{
			StartToCloseTimeout: localTime, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
		})
		err := workflow.ExecuteLocalActivity(ctx, task.ReadActivity, quick).Get(ctx, &res)
		if err != nil {
			if temporal.IsCanceledError(err) {
				return result{}, err
			}
			res = task.ReadResult{Busy: true}
		}
	} else {
		res.Busy = true
	}
	if res.Busy {
		res = task.ReadResult{}
		if err := act(f.ctx, task.ReadActivity, req, &res); err != nil {
			return result{}, err
		}
	}
	if res.Failure != nil {
		return result{}, &stepError{*res.Failure}
	}
	return it.output(c.action, task.Done, res.Output, "")
}

// output decodes an action's output; fields that nobody reads may be missing.
func (it *interp) output(a spec.Action, o task.Outcome, raw []byte, detail string) (result, error) {
	res := result{outcome: o, detail: detail}
	if len(raw) == 0 {
		return res, nil
	}
	fields := make([]kind.Field, len(a.Outputs))
	for i, fd := range a.Outputs {
		fd.Optional = true
		fields[i] = fd
	}
	v, err := kind.Decode(kind.RecordOf(fields...), raw)
	if err != nil {
		return res, &stepError{task.Failure{Kind: "internal", Message: fmt.Sprintf("the result of %s does not fit its type: %v", a.Name, err)}}
	}
	res.out = v
	return res, nil
}

// effect brings an effect about: approval where the seal around does not cover
// it, hold, act, and a person where it went wrong.
func (it *interp) effect(f frame, st *plan.Step, c call) (result, error) {
	sealed, res, err := it.permitted(f, st, c)
	if err != nil || res != nil {
		return deref(res), err
	}
	f.sealed = sealed
	for asked := false; ; {
		key := it.key(f, st)
		res, err := it.attempt(f, st, c, key)
		if err != nil {
			return result{}, err
		}
		if res.Ask && !asked {
			asked = true
			sealed, denied, err := it.guardAsks(f, st, c, res.Detail)
			if err != nil || denied != nil {
				return deref(denied), err
			}
			f.sealed = sealed
			it.tried[place(st, f)]++
			continue
		}
		if res.Failure == nil && res.Outcome != task.Refused && res.Outcome != task.Unknown {
			return it.output(c.action, res.Outcome, res.Output, res.Detail)
		}
		r, again, err := it.wrong(f, st, key, res)
		if err != nil || !again {
			return r, err
		}
		it.tried[place(st, f)]++
	}
}

func place(st *plan.Step, f frame) string { return st.Path + "#" + f.iter }

// key is the effect's key at this place; a person's "retry" makes a new
// generation.
func (it *interp) key(f frame, st *plan.Step) run.Key {
	return run.Key{
		Tenant: it.in.Tenant, Run: it.in.Run, Step: st.Path, Iteration: f.iter,
		Direction: run.Do, Generation: it.tried[place(st, f)] + 1,
	}
}

func (it *interp) attempt(f frame, st *plan.Step, c call, key run.Key) (task.ActResult, error) {
	req := task.ActRequest{
		Place: it.place(f, st), Key: key, Action: c.action.Name, Schema: c.schema, Inst: c.instance,
		Inputs: c.inputs, Limit: it.plan.LimitOf(c.action.Name), Mode: it.in.Mode,
		Actor: it.in.Trigger.Actor, Fields: st.Action.Reads, Timeout: st.Timeout,
	}
	if f.sealed != nil {
		req.Approval = f.sealed.request
	}
	if st.Retry != nil {
		req.Attempts, req.Wait = st.Retry.Attempts, st.Retry.Wait
	}
	held := st.Hold != nil && it.mode(c.instance) != modeObserve
	if held {
		if err := it.startHold(f, st, c, key); err != nil {
			return task.ActResult{}, err
		}
	}
	var res task.ActResult
	if err := act(f.ctx, task.ActActivity, req, &res); err != nil {
		return task.ActResult{}, err
	}
	if held && !res.Held && res.Outcome != task.Unknown {
		look(f.ctx, key.String())
	}
	return res, nil
}

// wrong decides what a refused, failed or unknown effect means: on_error, and
// by default a person.
func (it *interp) wrong(f frame, st *plan.Step, key run.Key, res task.ActResult) (result, bool, error) {
	fail := task.Failure{Kind: string(res.Outcome), Message: res.Detail}
	if res.Failure != nil {
		fail = *res.Failure
	}
	item := st.Foreach != nil && st.Foreach.OnItemError == plan.OnContinue
	if st.OnError != plan.OnAsk || (item && res.Outcome != task.Unknown) {
		if res.Outcome == task.Refused || res.Outcome == task.Unknown {
			fail.Kind = string(res.Outcome)
		}
		return result{}, false, &stepError{fail}
	}
	options := []string{"retry", "skip", "by_hand", "stop"}
	if res.Outcome == task.Unknown {
		// Trying again could double it; first a person must find out.
		options = []string{"done", "not_done", "by_hand", "skip", "stop"}
	}
	choice, err := it.trouble(f, st, fail, options)
	if err != nil {
		return result{}, false, err
	}
	if res.Outcome == task.Unknown && choice.choice != "stop" {
		if err := it.settle(f, st, key, choice); err != nil {
			return result{}, false, err
		}
	}
	switch choice.choice {
	case "retry", "not_done":
		return result{}, true, nil
	case "done", "by_hand":
		return result{outcome: task.Done, detail: choice.said()}, false, nil
	case "skip":
		return result{outcome: task.Skipped, detail: choice.said()}, false, nil
	}
	return result{}, false, &ending{closing: closedFailed, reason: fmt.Sprintf("step %s: %s", st.Path, choice.said())}
}

func (it *interp) settle(f frame, st *plan.Step, key run.Key, c troubleChoice) error {
	as := c.choice
	if as == "skip" {
		as = "skipped"
	}
	return execute(f.ctx, task.ResolveActivity, task.ResolveRequest{
		Place: it.place(f, st), Key: key.String(), As: as, Actor: c.actor, Reason: c.reason,
	}, nil)
}
