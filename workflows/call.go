package workflows

import (
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// call runs another playbook as a run of its own: own phases, own record, own
// review. The caller waits for it, also when it is cancelled, so that no called
// run is left behind; should the caller be ended from outside, the called run is
// cancelled and closes on record.
func (it *interp) call(f frame, st *plan.Step) (result, error) {
	child, ok := it.children[st.Child.Digest]
	if !ok {
		return result{}, failed("internal", "the plan has no playbook of the digest %s", st.Child.Digest)
	}
	inputs, err := it.callInputs(f, st, child)
	if err != nil {
		return result{}, err
	}
	var res task.CallResult
	req := task.CallRequest{
		Place: it.place(f, st), Generation: it.tried[place(st, f)] + 1,
		Callee: st.Child.Playbook, CalleeDigest: st.Child.Digest, Inputs: inputs,
	}
	if err := execute(f.ctx, task.CallActivity, req, &res); err != nil {
		return result{}, err
	}
	if res.Failure != nil {
		return result{}, &stepError{Failure: *res.Failure}
	}
	in := res.Input
	for _, c := range it.plan.Children {
		if c.Digest == st.Child.Digest && len(c.Plan) <= run.MaxInlinePlan {
			in.Plan = c.Plan
		}
	}
	in.Caps = it.lend(st)
	f.node.step.Detail = in.Run
	got, err := it.await(f, st, in)
	it.settleLoan(in.Caps, got.Used)
	if err != nil {
		return result{}, err
	}
	return called(child, in.Run, got)
}

// callInputs makes the inputs of a called run, by its own types.
func (it *interp) callInputs(f frame, st *plan.Step, child *plan.Plan) ([]byte, error) {
	values := map[string]any{}
	for _, w := range st.Child.With {
		v, err := it.value(f, w.Value)
		if err != nil {
			return nil, err
		}
		if v != nil {
			values[w.Name] = v
		}
	}
	fields := make([]kind.Field, len(child.Inputs))
	for i, in := range child.Inputs {
		fields[i] = kind.Field{Name: in.Name, Type: in.Type, Optional: in.Default != nil}
	}
	raw, err := kind.Encode(kind.RecordOf(fields...), values)
	if err != nil {
		return nil, failed("invalid", "inputs: %v", err)
	}
	return raw, nil
}

// await starts a called run and waits for its end.
func (it *interp) await(f frame, st *plan.Step, in run.Input) (run.Result, error) {
	ctx := workflow.WithChildOptions(f.ctx, workflow.ChildWorkflowOptions{
		WorkflowID: in.Run, TaskQueue: run.TaskQueue, WaitForCancellation: true,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		StaticSummary:         in.Playbook,
	})
	f.ctl.acts(1)
	var got run.Result
	err := workflow.ExecuteChildWorkflow(ctx, run.PlaybookWorkflow, in).Get(ctx, &got)
	f.ctl.acts(-1)
	if err == nil {
		if f.ctx.Err() != nil {
			return got, temporal.NewCanceledError()
		}
		return got, nil
	}
	// It could not begin, or was ended from outside: its record must not stay
	// open. The first end counts.
	got.Closing, got.Reason = closedFailed, err.Error()
	if temporal.IsCanceledError(err) {
		got.Closing = closedCancelled
	}
	out, _ := workflow.NewDisconnectedContext(f.ctx)
	end := task.EndRequest{Place: task.Place{Tenant: in.Tenant, Run: in.Run, Playbook: in.Playbook, Digest: in.Digest}, Result: got}
	if e := execute(out, task.EndActivity, end, nil); e != nil {
		return got, e
	}
	if temporal.IsCanceledError(err) {
		return got, err
	}
	return got, failed("call", "run %s of %s: %v", in.Run, st.Child.Playbook, err)
}

// called turns how a called run ended into a step's result: its outputs, or a
// failure where it failed, was denied or cancelled.
func called(child *plan.Plan, id string, got run.Result) (result, error) {
	switch got.Closing {
	case closedFailed, closedDenied, closedCancelled:
		return result{}, failed(got.Closing, "run %s: %s", id, got.Reason)
	}
	out := map[string]any{}
	if len(got.Outputs) > 0 {
		fields := make([]kind.Field, len(child.Outputs))
		for i, o := range child.Outputs {
			fields[i] = kind.Field{Name: o.Name, Type: o.Value.Type, Optional: true}
		}
		v, err := kind.Decode(kind.RecordOf(fields...), got.Outputs)
		if err != nil {
			return result{}, failed("internal", "the outputs of %s do not fit their types: %v", id, err)
		}
		out = v.(map[string]any)
	}
	return result{outcome: task.Done, out: out, detail: id + " " + got.Closing}, nil
}

// limit is how many targets of an action this run may still let one of its own
// effects reach, as a limit of the whole run: what it lent to called runs is
// taken off. 0 means that there is no limit, -1 that nothing is left.
func (it *interp) limit(action string) int {
	limit := it.plan.LimitOf(action)
	if c, ok := capOf(it.in.Caps, action); ok && (limit == 0 || c < limit) {
		limit = c
		if c == 0 {
			return -1
		}
	}
	if limit == 0 {
		return 0
	}
	if limit -= it.lent[action]; limit <= 0 {
		return -1
	}
	return limit
}

// lend takes from the run's own limits what a called run may use of them.
func (it *interp) lend(st *plan.Step) []run.Cap {
	out := make([]run.Cap, 0, len(st.Child.Limits))
	for _, l := range st.Child.Limits {
		n := l.Targets
		if own := it.limit(l.Action); own != 0 {
			n = min(n, max(0, own-it.reached[l.Action]))
		}
		it.lent[l.Action] += n
		out = append(out, run.Cap{Action: l.Action, Targets: n})
	}
	return out
}

// settleLoan takes back what a called run did not use.
func (it *interp) settleLoan(lent, used []run.Cap) {
	for _, l := range lent {
		n, _ := capOf(used, l.Action)
		it.lent[l.Action] -= max(0, l.Targets-n)
	}
}

// used lists how many targets the run and what it called reached.
func (it *interp) used() []run.Cap {
	var out []run.Cap
	for _, a := range it.plan.Actions {
		if n := it.reached[a.Name] + it.lent[a.Name]; n > 0 {
			out = append(out, run.Cap{Action: a.Name, Targets: n})
		}
	}
	for _, c := range it.plan.Children {
		for _, a := range it.children[c.Digest].Actions {
			if _, known := capOf(out, a.Name); !known && it.lent[a.Name] > 0 {
				out = append(out, run.Cap{Action: a.Name, Targets: it.lent[a.Name]})
			}
		}
	}
	return out
}

func capOf(list []run.Cap, action string) (int, bool) {
	i := slices.IndexFunc(list, func(c run.Cap) bool { return c.Action == action })
	if i < 0 {
		return 0, false
	}
	return list[i].Targets, true
}
