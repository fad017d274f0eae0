package activities

import (
	"context"
	"errors"
	"slices"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
)

// Stack lists what a run and the runs that it called did, newest first.
func (r *Recorder) Stack(ctx context.Context, q task.StackRequest) (task.StackResult, error) {
	list, err := r.family(ctx, q.Tenant, q.Run, q.Steps)
	if err != nil {
		return task.StackResult{}, err
	}
	var res task.StackResult
	for _, e := range list {
		if len(q.Keys) > 0 && !slices.Contains(q.Keys, e.Key) {
			continue
		}
		item := task.StackItem{Key: e.Key, Action: e.Action, Inverse: e.Inverse, Reversal: e.Reversal, Outcome: e.Outcome}
		back, err := r.arranged(ctx, e)
		if err != nil {
			return task.StackResult{}, err
		}
		if back != nil {
			item.Inverse, item.Reversal = back.Action, reversalArranged
		}
		for _, t := range e.Targets {
			item.Targets = append(item.Targets, t.Label)
		}
		res.Items = append(res.Items, item)
	}
	return res, nil
}

// reversalArranged says of an effect that its author said how it is taken back.
const reversalArranged = "arranged"

// family is the stack of a run and of all that it called.
func (r *Recorder) family(ctx context.Context, tenant, runID string, steps []string) ([]*effects.Effect, error) {
	ids, err := r.Runs.Family(ctx, runID, steps)
	if err != nil {
		return nil, err
	}
	var all []*effects.Effect
	for i, id := range ids {
		if i > 0 {
			steps = nil // all that was called
		}
		list, err := r.Effects.Stack(ctx, tenant, id, steps)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	if len(ids) > 1 {
		slices.SortStableFunc(all, newestFirst)
	}
	return all, nil
}

// newestFirst orders effects of several runs by the ledger entries of their
// outcomes; one without an outcome may be newer than all.
func newestFirst(a, b *effects.Effect) int {
	switch {
	case a.Seq == b.Seq:
		return b.Created.Compare(a.Created)
	case a.Seq == 0:
		return -1
	case b.Seq == 0:
		return 1
	}
	return int(min(1, max(-1, b.Seq-a.Seq)))
}

func (r *Recorder) arranged(ctx context.Context, e *effects.Effect) (*effects.Arrangement, error) {
	if e.Inverse != "" {
		return nil, nil
	}
	return r.Effects.Arranged(ctx, e.Key)
}

// InForce lists what a run did that is in force and can be taken back.
func (r *Recorder) InForce(ctx context.Context, q task.InForceRequest) (task.InForceResult, error) {
	list, err := r.family(ctx, q.Tenant, q.Run, nil)
	if err != nil {
		return task.InForceResult{}, err
	}
	var res task.InForceResult
	for _, e := range list {
		back, err := r.arranged(ctx, e)
		if err != nil {
			return res, err
		}
		reversible := e.Reversal == string(spec.Exact) || e.Reversal == string(spec.Lossy) || back != nil
		if !reversible || e.Outcome == effects.Unknown {
			continue
		}
		f := task.InForce{Key: e.Key, Action: e.Action, Instance: e.Instance, Step: e.Step, Since: e.Settled}
		for _, t := range e.Targets {
			f.Targets = append(f.Targets, t.Label)
		}
		res.Effects = append(res.Effects, f)
	}
	return res, nil
}

// Arrange keeps how an effect without an inverse is taken back.
func (r *Recorder) Arrange(ctx context.Context, q task.ArrangeRequest) error {
	a := effects.Arrangement{Action: q.Action, Instance: q.Instance, Inputs: q.Inputs}
	if r.Host != nil {
		if sp, ok := r.Host.Action(q.Instance, q.Action); ok {
			a.Targets = targets(sp, declared(sp, q.Inputs))
		}
	}
	err := r.Effects.Arrange(ctx, q.Key, a)
	if errors.Is(err, effects.ErrNotFound) {
		return nil // simulated or gone: there is nothing to take back
	}
	return err
}
