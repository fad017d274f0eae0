package workflows

import (
	"strconv"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/playbooks/plan"
)

// preview lists every effect inside a step without acting: targets and inputs as
// they will be. The reads inside are made, in a scope that is thrown away, so
// that a person sees what the effects behind them would act on. An effect whose
// inputs cannot be known yet cannot be sealed, and so cannot be approved here.
func (it *interp) preview(f frame, st *plan.Step) ([]shown, error) {
	f.sc = f.sc.inner()
	return it.previewStep(f, st)
}

func (it *interp) previewStep(f frame, st *plan.Step) ([]shown, error) {
	if st.Foreach == nil {
		return it.previewBody(f, st)
	}
	items, err := it.elements(f, st)
	if err != nil {
		return nil, err
	}
	var all []shown
	for i, item := range items {
		sc := f.sc.inner()
		sc.locals[st.Foreach.Var] = item
		one, err := it.previewBody(f.round(strconv.Itoa(i), sc, f.node), st)
		if _, handled := failureOf(err); handled && st.Foreach.OnItemError == plan.OnContinue {
			continue // it will fail, or be asked about alone
		}
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

// previewBody looks into one step that is no loop.
func (it *interp) previewBody(f frame, st *plan.Step) ([]shown, error) {
	switch st.Kind {
	case plan.Uses:
		return it.previewAction(f, st)
	case plan.Set:
		res, err := it.assign(f, st)
		if err == nil {
			f.record(st, res.outcome, res.out, nil)
		}
		return nil, err
	case plan.Switch:
		text, err := it.text(f, &plan.Value{Expr: &st.Choose.On})
		if err != nil {
			return nil, err
		}
		steps, _ := chosen(st.Choose, text)
		return it.previewAll(f, steps)
	}
	var all []shown
	for _, steps := range st.Inside() {
		some, err := it.previewAll(f, steps)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (it *interp) previewAll(f frame, steps []plan.Step) ([]shown, error) {
	var all []shown
	for i := range steps {
		st := &steps[i]
		if st.If != nil {
			yes, err := it.truth(f, *st.If)
			if err != nil {
				return nil, err
			}
			if !yes {
				continue
			}
		}
		some, err := it.previewStep(f, st)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// previewAction resolves an effect, or makes a read.
func (it *interp) previewAction(f frame, st *plan.Step) ([]shown, error) {
	c, err := it.resolve(f, st)
	if err != nil {
		return nil, err
	}
	if st.Action.Effect {
		e, err := showEffect(f, st, c)
		return []shown{e}, err
	}
	res, err := it.read(f, st, c)
	fail, handled := failureOf(err)
	switch {
	case err == nil:
		f.record(st, res.outcome, res.out, nil)
	case handled && st.OnError == plan.OnContinue:
		f.record(st, task.Failed, nil, fail)
	default:
		return nil, err
	}
	return nil, nil
}
