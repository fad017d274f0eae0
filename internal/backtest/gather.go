package backtest

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/readings"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/rehearse"
	"github.com/quell-soar/quell/workflows/run"
)

func (r *Record) planOf(ctx context.Context, in run.Input) (*plan.Plan, error) {
	if p, known := r.plans.Load(in.Digest); known {
		return p.(*plan.Plan), nil //nolint:forcetypeassert // nothing else is kept
	}
	raw := []byte(in.Plan)
	if len(raw) == 0 {
		var err error
		if raw, err = r.Runs.Plan(ctx, in.Digest); err != nil {
			return nil, err
		}
	}
	p, err := plan.Decode(raw)
	if err == nil {
		r.plans.Store(in.Digest, p)
	}
	return p, err
}

func readOf(one readings.Reading) rehearse.RecordedRead {
	out := rehearse.RecordedRead{Run: one.Run, Step: one.Step, Iteration: one.Iteration, Action: one.Action, Inputs: one.Inputs, Output: one.Output}
	if one.Error != "" {
		out.Failure = &task.Failure{Kind: one.Error, Message: one.Message}
	}
	return out
}

// effectOf is how an effect ended, as its run heard it.
func effectOf(e *effects.Effect) rehearse.RecordedEffect {
	out := rehearse.RecordedEffect{
		Key: e.Key, Step: e.Step, Action: e.Action, Inputs: e.Inputs, Output: e.Output, Outcome: task.Outcome(e.Outcome), Detail: e.Detail,
		Open: e.Outcome == "", Held: e.Happened() && e.Inverse != "",
		Ask: e.Outcome == effects.Refused && e.Refusal != nil && e.Refusal.Ask,
	}
	if e.Outcome == effects.Failed {
		out.Failure = &task.Failure{Kind: e.ErrorKind, Message: e.Detail, Code: e.VendorCode}
	}
	return out
}

// requestOf is what people said to a request: the vote that decided it, or that
// nobody did.
func requestOf(q *approval.Request) rehearse.RecordedRequest {
	out := rehearse.RecordedRequest{ID: q.ID, Open: q.Decision == ""}
	s := &out.Said
	switch q.Decision {
	case "approved", "denied":
		s.Approve = q.Decision == "approved"
		for _, v := range q.Votes {
			if v.Approve != s.Approve {
				continue
			}
			s.After, s.Answer, s.Reason = max(0, v.At.Sub(q.Opened)), v.Answer, v.Reason
			s.By = append(s.By, v.Actor)
			s.Untrusted = strings.HasPrefix(v.Actor, "subject:")
		}
	case "withdrawn":
		s.Withdrawn, s.After = true, max(0, q.Closed.Sub(q.Opened))
	default:
		s.Silent = true
	}
	return out
}

func joinOf(j runs.JoinedAt, started time.Time) rehearse.Joined {
	return rehearse.Joined{After: max(0, j.Received.Sub(started)), Alert: task.Alert{Seq: j.Seq, ID: j.Alert, Value: json.RawMessage(j.Value)}}
}
