package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/internal/calendar"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// Opening tells when a calendar opens.
func (r *Recorder) Opening(_ context.Context, q task.OpeningRequest) (task.OpeningResult, error) {
	fail := func(format string, args ...any) (task.OpeningResult, error) {
		return task.OpeningResult{Failure: &task.Failure{Kind: "invalid", Message: fmt.Sprintf(format, args...)}}, nil
	}
	var c calendar.Calendar
	if err := json.Unmarshal(q.Calendar.Hours, &c); err != nil {
		return fail("calendar %s cannot be read: %v", q.Calendar.Name, err)
	}
	at, ok, err := c.Next(q.From)
	switch {
	case err != nil:
		return fail("calendar %s: %v", q.Calendar.Name, err)
	case !ok:
		return fail("calendar %s does not open within a year", q.Calendar.Name)
	}
	return task.OpeningResult{At: at}, nil
}

// Alerts lists the alerts that joined a run.
func (r *Recorder) Alerts(ctx context.Context, q task.AlertsRequest) (task.AlertsResult, error) {
	list, more, err := r.Runs.JoinedAfter(ctx, q.Run, q.After)
	res := task.AlertsResult{More: more}
	for _, j := range list {
		res.Alerts = append(res.Alerts, task.Alert{Seq: j.Seq, ID: j.Alert, Value: j.Value})
	}
	return res, err
}

// Verbs lists the verbs that people said on a run.
func (r *Recorder) Verbs(ctx context.Context, q task.VerbsRequest) (task.VerbsResult, error) {
	list, err := r.Runs.VerbsAfter(ctx, q.Run, q.After)
	var res task.VerbsResult
	for _, s := range list {
		res.Verbs = append(res.Verbs, s.Verb)
	}
	return res, err
}

// Answer stores what a run made of a verb, with its ledger entry.
func (r *Recorder) Answer(ctx context.Context, q task.AnswerRequest) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		first, err := r.Runs.AnswerVerb(tx, q.Run, q.N, q.Answer)
		if err != nil || !first {
			return err
		}
		entry := row(q.Place, "verb.answered")
		entry.Actor = q.Actor
		_, err = r.Ledger.Append(tx, entry, map[string]any{"verb": q.Verb, "n": q.N, "answer": q.Answer})
		return err
	})
}

// Call stores the run that a step calls, with its ledger entry, and returns its
// input without the plan: the caller has it.
func (r *Recorder) Call(ctx context.Context, q task.CallRequest) (task.CallResult, error) {
	var in run.Input
	err := r.DB.Update(ctx, func(tx *store.Tx) (err error) {
		in, err = r.Runs.Called(tx, runs.Call{
			Parent: q.Run, Step: q.Step, Iteration: q.Iteration, Generation: q.Generation,
			Playbook: q.Callee, Digest: q.CalleeDigest, Inputs: q.Inputs,
		})
		if err != nil {
			return err
		}
		_, _, err = r.Ledger.AppendOnce(tx, "called:"+in.Run, row(q.Place, "run.called"),
			map[string]any{"run": in.Run, "playbook": q.Callee, "digest": q.CalleeDigest, "inputs": q.Inputs, "mode": in.Mode})
		return err
	})
	if errors.Is(err, runs.ErrNotFound) {
		return task.CallResult{Failure: &task.Failure{Kind: "invalid", Message: err.Error() + "; publish the playbook again"}}, nil
	}
	in.Plan = nil
	return task.CallResult{Input: in}, err
}

// Fire claims a run for a schedule.
func (r *Recorder) Fire(ctx context.Context, q task.FireRequest) (task.FireResult, error) {
	if r.Starter == nil {
		return task.FireResult{Failure: &task.Failure{Kind: "invalid", Message: "no schedule is served here"}}, nil
	}
	return r.Starter(ctx, q)
}
