package workflows

import (
	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// arrange keeps how an effect without an inverse is taken back: the action of
// undo_with, with its inputs as they are just after the effect. So an undo needs
// neither the plan nor the run's history.
func (it *interp) arrange(f frame, st *plan.Step, c call, key run.Key, res task.ActResult) error {
	if st.UndoWith == nil || (res.Outcome != task.Done && res.Outcome != task.Partial) {
		return nil
	}
	back := *st
	back.Action, back.UndoWith = st.UndoWith, nil
	in := f
	in.sc = f.sc.inner()
	if got, err := it.effectOutput(f, st, c, res); err == nil {
		in.record(st, got.outcome, got.out, nil)
	}
	r, err := it.resolve(in, &back)
	if err != nil {
		return err
	}
	return execute(f.ctx, task.ArrangeActivity, task.ArrangeRequest{
		Place: it.place(f, st), Key: key.String(), Action: r.action.Name, Instance: r.instance, Inputs: r.inputs,
	}, nil)
}
