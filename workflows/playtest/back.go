package playtest

import (
	"slices"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/workflows/run"
)

// takeBack plays the inverse of an effect.
func (w *world) takeBack(q task.ActRequest, key string) task.ActResult {
	i := slices.IndexFunc(w.effects, func(e *Effect) bool { return e.Key == q.Of })
	if i < 0 || w.effects[i].Undone || w.effects[i].Outcome == task.Failed || w.effects[i].Outcome == task.Refused {
		return task.ActResult{Outcome: task.Skipped, Detail: "nothing to take back"}
	}
	of := w.effects[i]
	name := w.specs[of.Action].Inverse
	sp := w.specs[name]
	e := &Effect{Step: w.at(q.Place), Iteration: q.Iteration, Key: key, Action: name, Targets: of.Targets, Undo: true, Inputs: of.Inputs, of: of, n: len(w.effects)}
	w.effects = append(w.effects, e)
	if q.Mode == "observe" {
		e.Outcome = task.Simulated
		return task.ActResult{Outcome: task.Simulated}
	}
	w.calls[name]++
	q.Action, q.Inputs = name, of.Inputs
	r := w.settle(sp, w.tried(q), e, nil)
	e.Outcome = r.Outcome
	of.Undone = r.Outcome.Happened()
	return r
}

// stack lists what can be taken back, the newest first.
func (w *world) stack(q task.StackRequest) task.StackResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out task.StackResult
	for _, e := range slices.Backward(w.effects) {
		there := e.Outcome == task.Done || e.Outcome == task.Partial || e.Outcome == task.Unknown
		if e.Undo || e.Undone || !there {
			continue
		}
		k, err := run.ParseKey(e.Key)
		if err != nil || (len(q.Steps) > 0 && !slices.Contains(q.Steps, k.Step)) || (len(q.Keys) > 0 && !slices.Contains(q.Keys, e.Key)) {
			continue
		}
		out.Items = append(out.Items, task.StackItem{Key: e.Key, Action: e.Action, Inverse: w.specs[e.Action].Inverse, Targets: e.Targets, Reversal: e.Reversal, Outcome: string(e.Outcome)})
	}
	return out
}

func (w *world) resolve(q task.ResolveRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.effects {
		if e.Key != q.Key {
			continue
		}
		switch q.As {
		case "done", "by_hand":
			e.Outcome = task.Done
		default:
			e.Outcome = task.Failed
		}
	}
}

func (w *world) inForce() task.InForceResult {
	var out task.InForceResult
	st := w.stack(task.StackRequest{})
	for _, i := range st.Items {
		k, err := run.ParseKey(i.Key)
		if err == nil {
			out.Effects = append(out.Effects, task.InForce{Key: i.Key, Action: i.Action, Instance: Instance, Step: k.Step, Targets: i.Targets, Since: w.began})
		}
	}
	return out
}
