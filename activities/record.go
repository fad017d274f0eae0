package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/report"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// Recorder keeps what a run says of itself, and people's requests.
type Recorder struct {
	DB        *store.DB
	Ledger    *ledger.Ledger
	Effects   *effects.Effects
	Approvals *approval.Approvals
	Runs      *runs.Runs
	// Host knows the actions that take effects back; see Arrange.
	Host Connectors
	// Starter claims runs for schedules; nil claims none.
	Starter func(ctx context.Context, q task.FireRequest) (task.FireResult, error)
	// Ended is told of every run that ended, once, after the commit. It returns at
	// once; nil is told nothing.
	Ended func(ctx context.Context, q task.EndRequest)
}

// Held tells a hold how its effect stands.
func (r *Recorder) Held(ctx context.Context, q task.HeldRequest) (task.HeldResult, error) {
	e, err := r.Effects.Get(ctx, q.Key)
	if errors.Is(err, effects.ErrNotFound) {
		key, err := run.ParseKey(q.Key)
		if err != nil {
			return task.HeldResult{}, err
		}
		over, err := r.Runs.Over(ctx, key.Run, windsDown)
		return task.HeldResult{Open: true, Asks: !over}, err
	}
	if err != nil {
		return task.HeldResult{}, err
	}
	res := task.HeldResult{Known: true, Open: e.Open() || e.Idle() || e.Outcome == effects.Unknown && e.Resolved == ""}
	if res.Held, err = r.Effects.Holds(ctx, q.Key); res.Held {
		res.Age = max(r.Effects.Age(e), 1)
	}
	return res, err
}

// windsDown is for how long an activity of a run that was ended from outside may
// still go on: until its next heartbeat is answered, and some.
const windsDown = time.Minute

// Open stores a request to people.
func (r *Recorder) Open(ctx context.Context, q task.OpenRequest) error {
	levels := make([]approval.Level, len(q.Levels))
	for i, l := range q.Levels {
		levels[i] = approval.Level{Who: l.Who, Within: l.Within}
	}
	return r.Approvals.Open(ctx, approval.Request{
		ID: q.ID, Tenant: q.Tenant, Run: q.Run, Step: q.Step, Iteration: q.Iteration, Kind: q.Kind, Text: q.Text,
		Seal: q.Seal, Show: q.Show, Fields: q.Fields, Levels: levels, Quorum: q.Quorum, Requester: q.Requester,
		Silent: q.Silent, Opened: q.Opened, Subject: q.Subject, Via: q.Via,
	})
}

// Tally tells how a request stands; where that is its end, it is decided with
// that, so that no later vote is accepted.
func (r *Recorder) Tally(ctx context.Context, q task.TallyRequest) (task.TallyResult, error) {
	t, err := r.Approvals.Decide(ctx, q.ID, q.Now)
	return task.TallyResult{
		State: t.State, Next: t.Next, By: t.By, Answer: t.Answer, Reason: t.Reason, Untrusted: t.Untrusted, Withdrawn: t.Withdrawn,
	}, err
}

// Close ends a request.
func (r *Recorder) Close(ctx context.Context, q task.CloseRequest) error {
	return r.Approvals.Close(ctx, q.ID, q.Decision)
}

// Resolve stores what a person found out about an unknown effect.
func (r *Recorder) Resolve(ctx context.Context, q task.ResolveRequest) error {
	err := r.Effects.Resolve(ctx, q.Key, q.As, q.Actor, q.Reason)
	if errors.Is(err, effects.ErrNotUnknown) || errors.Is(err, effects.ErrNotFound) {
		return nil // somebody else was quicker; their word stands in the ledger
	}
	return err
}

// Note writes an entry of the run into the ledger, once.
func (r *Recorder) Note(ctx context.Context, q task.NoteRequest) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		_, _, err := r.Ledger.AppendOnce(tx, q.ID, row(q.Place, q.Kind), q.Data)
		return err
	})
}

func row(p task.Place, kind string) ledger.Row {
	return ledger.Row{Kind: kind, Tenant: p.Tenant, Run: p.Run, Step: p.Step}
}

// End records how a run ended, in its own row and in the ledger together.
func (r *Recorder) End(ctx context.Context, q task.EndRequest) error {
	raw, err := json.Marshal(q.Result)
	if err != nil {
		return fmt.Errorf("write the result of %s: %w", q.Run, err)
	}
	ended := false
	err = r.DB.Update(ctx, func(tx *store.Tx) error {
		ended = false
		first, err := r.Runs.End(tx, q.Run, q.Result.Closing, q.Result.Reason, raw)
		if err != nil || !first {
			return err
		}
		ended = true
		_, err = r.Ledger.Append(tx, row(q.Place, "run.ended"), q.Result)
		return err
	})
	if err == nil && ended && r.Ended != nil {
		r.Ended(ctx, q)
	}
	return err
}

// Load fetches a plan that was too large for the run's input.
func (r *Recorder) Load(ctx context.Context, q task.LoadRequest) (task.LoadResult, error) {
	raw, err := r.Runs.Plan(ctx, q.Digest)
	return task.LoadResult{Plan: raw}, err
}

// Report makes the review of a run so far and keeps it in the ledger, once per
// step: the body of the entry is report.Report as JSON.
func (r *Recorder) Report(ctx context.Context, q task.ReportRequest) (task.ReportResult, error) {
	b := report.Builder{Runs: r.Runs, Effects: r.Effects, Approvals: r.Approvals, Ledger: r.Ledger, Now: time.Now}
	made, err := b.Build(ctx, q.Tenant, q.Run, &q.Tree)
	if err != nil {
		return task.ReportResult{}, err
	}
	made.Template = q.Template
	var res task.ReportResult
	err = r.DB.Update(ctx, func(tx *store.Tx) error {
		seq, _, err := r.Ledger.AppendOnce(tx, "report:"+q.Run+"#"+q.Step+"#"+q.Iteration, row(q.Place, "report.made"), made)
		res.Seq = seq
		return err
	})
	if err != nil {
		return res, err
	}
	entries, err := r.Ledger.Read(ctx, ledger.Filter{After: res.Seq - 1, Limit: 1})
	if err != nil || len(entries) == 0 {
		return res, err
	}
	res.Digest = entries[0].Payload
	return res, nil
}
