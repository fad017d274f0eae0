package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/failpoint"
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
		return call{}, failed("internal", "the plan has no spec of %s", st.Action.Name)
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
		return call{}, failed("invalid", "inputs: %s", err.Error())
	}
	c := call{action: sp, schema: it.schema(sp.Name), inputs: raw, values: values}
	c.instance = it.instanceOf(sp, values)
	if c.instance == "" {
		return call{}, failed("unavailable", "no connector instance serves %s; bind one in the configuration", sp.Name)
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
	var err error
	if c.action.Quick && st.Timeout == 0 && !it.crowded(f.ctx) {
		if err := it.breathe(f.ctx); err != nil {
			return result{}, err
		}
		quick := req
		quick.Quick = true
		ctx := workflow.WithLocalActivityOptions(f.ctx, workflow.LocalActivityOptions{
			StartToCloseTimeout: localTime, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
		})
		it.quick++
		err := workflow.ExecuteLocalActivity(ctx, task.ReadActivity, quick).Get(ctx, &res)
		if it.quick--; err != nil {
			if temporal.IsCanceledError(err) {
				return result{}, err
			}
			res = task.ReadResult{Busy: true}
		}
		it.localBytes += len(res.Output)
	} else {
		res.Busy = true
	}
	if res.Busy {
		if res, err = it.readFully(f, req); err != nil {
			return result{}, err
		}
	}
	if res.Failure != nil {
		return result{}, &stepError{Failure: *res.Failure}
	}
	f.node.step.Facts = res.Facts
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
		return res, failed("internal", "the result of %s does not fit its type: %v", a.Name, err)
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
	it.served[place(st, f)] = c.instance
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
			it.reached[c.action.Name] += c.targets()
			if err := it.arrange(f, st, c, key, res); err != nil {
				return result{}, err
			}
			return it.effectOutput(f, st, c, res)
		}
		r, again, err := it.wrong(f, st, key, res)
		if err != nil || !again {
			return r, err
		}
		it.tried[place(st, f)]++
	}
}

// effectOutput is the result of an effect, with the effect itself as a value
// where an expression reads it.
func (it *interp) effectOutput(f frame, st *plan.Step, c call, res task.ActResult) (result, error) {
	r, err := it.output(c.action, res.Outcome, res.Output, res.Detail)
	if err != nil || !st.Action.Named {
		return r, err
	}
	out, _ := r.out.(map[string]any)
	if out == nil {
		out = map[string]any{}
	}
	out[plan.EffectField] = it.effectValue(f, st)
	r.out = out
	return r, nil
}

// effectValue is the effect at a place as a value. Its key is known whatever
// became of it: to undo what did not happen does nothing.
func (it *interp) effectValue(f frame, st *plan.Step) kind.Handle {
	return kind.Handle{Name: plan.Effect, Instance: it.served[place(st, f)], ID: it.key(f, st).String(), Label: title(st)}
}

// targets counts what the call acts on.
func (c call) targets() int {
	switch v := c.values[c.action.Targets].(type) {
	case []any:
		return len(v)
	case nil:
		return 0
	}
	return 1
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
		Inputs: c.inputs, Limit: it.limit(c.action.Name), Mode: it.in.Mode,
		Actor: it.in.Trigger.Actor, Fields: st.Action.Reads, Timeout: st.Timeout,
	}
	req.Would = f.would
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
	f.ctl.acts(1)
	err := act(f.ctx, task.ActActivity, req, &res)
	failpoint.Here("effect.completed", key.String())
	f.ctl.acts(-1)
	if err != nil {
		return task.ActResult{}, err
	}
	if held && res.Held {
		it.heldUntil[key.String()] = workflow.Now(f.ctx).Add(st.Hold.For).UTC()
	}
	if held && !res.Held && res.Outcome != task.Unknown {
		look(f.ctx, key.String())
	}
	return res, nil
}

// What a person may say of a step that went wrong. Trying again could double what
// may have happened: there a person must find out first.
var (
	usualOptions = []string{"retry", "skip", "by_hand", "stop"}
	doubtOptions = []string{"done", "not_done", "by_hand", "skip", "stop"}
)

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
		if res.Outcome != task.Unknown {
			// Should a block around it be tried again, that is a new effect. One whose
			// outcome is unknown stays the same and stays unknown.
			it.tried[place(st, f)]++
		}
		return result{}, false, &stepError{Failure: fail}
	}
	options := usualOptions
	if res.Outcome == task.Unknown {
		options = doubtOptions
	}
	choice, err := it.trouble(f, st, fail, options)
	if err != nil {
		return result{}, false, err
	}
	if res.Outcome == task.Unknown && choice.choice != "stop" {
		if err := it.settle(f, st, key.String(), choice); err != nil {
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

func (it *interp) settle(f frame, st *plan.Step, key string, c troubleChoice) error {
	as := c.choice
	if as == "skip" {
		as = "skipped"
	}
	return execute(f.ctx, task.ResolveActivity, task.ResolveRequest{
		Place: it.place(f, st), Key: key, As: as, Actor: c.actor, Reason: c.reason,
	}, nil)
}
