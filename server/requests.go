package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/server/api"
)

// recordedError is a refusal that stands in the ledger already.
type recordedError struct{ error }

func (e *recordedError) Unwrap() error { return e.error }

// voteProblem tells what the room said about a vote. Its refusals are in the
// ledger, in the run's own story.
func voteProblem(err error) error {
	for _, m := range []struct {
		err  error
		code api.Code
	}{
		{approval.ErrNotFound, api.CodeNotFound},
		{approval.ErrClosed, api.CodeConflict},
		{approval.ErrExpired, api.CodeConflict},
		{approval.ErrVoted, api.CodeConflict},
		{approval.ErrNotEntitled, api.CodeForbidden},
		{approval.ErrRequester, api.CodeSelfApproval},
		{approval.ErrSeal, api.CodeSealChanged},
	} {
		if errors.Is(err, m.err) {
			return &recordedError{api.Problem(m.code, m.err.Error())}
		}
	}
	return err
}

// requests lists requests to people, the oldest first.
func (r Rooms) requests(ctx context.Context, tenant string, f approval.Filter) ([]api.Approval, string, error) {
	f.Tenant = tenant
	list, next, err := r.Approvals.List(ctx, f)
	if err != nil {
		return nil, "", err
	}
	out := make([]api.Approval, 0, len(list))
	for _, q := range list {
		one, err := shown(q)
		if err != nil {
			return nil, "", err
		}
		if f.All || one.Status == "open" {
			out = append(out, one)
		}
	}
	return out, next, nil
}

// request returns one request of a tenant.
func (r Rooms) request(ctx context.Context, tenant, id string) (api.Approval, error) {
	q, err := r.Approvals.Get(ctx, id)
	if errors.Is(err, approval.ErrNotFound) || (err == nil && q.Tenant != tenant) {
		return api.Approval{}, api.Problem(api.CodeNotFound, "there is no such request; quell approval list shows the open ones")
	}
	if err != nil {
		return api.Approval{}, err
	}
	return shown(q)
}

// shown writes a request as people see it. Its status is that of now: the
// workflow closes a decided request a moment later.
func shown(q *approval.Request) (api.Approval, error) {
	out := api.Approval{
		ID: q.ID, Kind: api.RequestKind(q.Kind), Run: q.Run, Step: q.Step, Iteration: q.Iteration, Question: q.Text, Status: q.Decision,
		Requester: q.Requester, Seal: q.Seal, Show: q.Show, Quorum: q.Quorum, Silent: q.Silent,
		Opened: q.Opened, Expires: q.Deadline(), Closed: q.Closed,
	}
	if out.Status == "" {
		out.Status = q.Stands(time.Now()).State
	}
	if len(q.Fields) > 0 {
		if err := json.Unmarshal(q.Fields, &out.Fields); err != nil {
			return out, fmt.Errorf("request %s: fields: %w", q.ID, err)
		}
	}
	for _, f := range out.Fields {
		if q.Kind == approval.Failure && f.Name == "choice" && f.Type.Kind == kind.Choice {
			out.Choices = f.Type.Of
		}
	}
	if q.Kind == approval.Approval && len(q.Show) > 0 {
		if err := json.Unmarshal(q.Show, &out.Effects); err != nil {
			return out, fmt.Errorf("request %s: effects: %w", q.ID, err)
		}
	}
	until := q.Opened
	for _, l := range q.Levels {
		shown := api.Level{Who: l.Who}
		if l.Within > 0 {
			until = until.Add(l.Within)
			shown.Until = until
		}
		out.Levels = append(out.Levels, shown)
	}
	for _, v := range q.Votes {
		d := api.Deny
		if v.Approve {
			d = api.Approve
		}
		out.Votes = append(out.Votes, api.Voted{Actor: v.Actor, Decision: string(d), Reason: v.Reason, Answer: v.Answer, At: v.At})
	}
	return out, nil
}

// effectsOf lists what a run did, in the order in which it was begun.
func (r Rooms) effectsOf(ctx context.Context, run string) ([]api.Effect, error) {
	list, err := r.Effects.List(ctx, effects.Filter{Run: run})
	if err != nil {
		return nil, err
	}
	out := make([]api.Effect, len(list))
	for i, e := range list {
		out[i] = api.Effect{
			Key: e.Key, Run: e.Run, Step: e.Step, Iteration: e.Iteration, Direction: e.Direction, Action: e.Action, Instance: e.Instance,
			Outcome: e.Outcome, Detail: e.Detail, Undone: e.Undone, Approval: e.Approval, Intended: e.Created, Ended: e.Settled,
		}
		for _, t := range e.Targets {
			out[i].Targets = append(out[i].Targets, t.Label)
		}
	}
	return out, nil
}
