package serve

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/internal/dispatch"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// starter claims runs for schedules.
type starter struct {
	*rooms
	book  *book
	nudge func()
}

// errQueued rolls a claim back whose turn has not come.
var errQueued = errors.New("its turn has not come")

// fire claims the run of one firing, with its ledger entry, once.
func (s *starter) fire(ctx context.Context, q task.FireRequest) (task.FireResult, error) {
	fail := func(format string, args ...any) (task.FireResult, error) {
		return task.FireResult{Failure: &task.Failure{Kind: "invalid", Message: fmt.Sprintf(format, args...)}}, nil
	}
	l, ok := s.book.scheduled(q.Playbook)
	if !ok {
		return fail("there is no active playbook %s", q.Playbook)
	}
	claim, overlap, err := l.Scheduled(q.Tenant, q.Schedule, q.ID, q.At)
	if err != nil {
		return fail("schedule %d of %s: %v", q.Schedule, q.Playbook, err)
	}
	var res task.FireResult
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		got, err := s.runs.Fire(tx, q.ID, claim)
		if err != nil {
			return err
		}
		res = task.FireResult{Run: got.ID, Verdict: task.Started}
		switch {
		case got.Repeated:
			res.Verdict = task.Repeated
			return nil
		case got.Joined && overlap == plan.OverlapQueue:
			return errQueued
		case got.Joined:
			res.Verdict = task.Dropped
		}
		row := ledger.Row{Kind: "schedule." + res.Verdict, Tenant: q.Tenant, Run: got.ID, Key: q.ID, Actor: claim.Trigger.Actor}
		_, err = s.ledger.Append(tx, row, map[string]any{"playbook": q.Playbook, "digest": claim.Digest, "at": q.At, "mode": claim.Mode})
		return err
	})
	if errors.Is(err, errQueued) {
		return task.FireResult{Verdict: task.Queued}, nil
	}
	if err == nil && res.Verdict == task.Started {
		s.nudge()
	}
	return res, err
}

// scheduled returns a playbook in the mode of a schedule.
func (b *book) scheduled(name string) (intake.Loaded, bool) {
	for _, l := range b.edition().list {
		if l.Plan.Playbook == name {
			return b.with(l, b.triggerMode("schedule", "")), true
		}
	}
	return intake.Loaded{}, false
}

// schedules lists what Temporal's schedules shall be.
func (b *book) schedules(tenant string) []dispatch.Schedule {
	var out []dispatch.Schedule
	for _, l := range b.edition().list {
		for i, t := range l.Plan.Triggers.Schedules {
			out = append(out, dispatch.Schedule{
				Tenant: tenant, Playbook: l.Plan.Playbook, N: i + 1, Digest: l.Digest, Cron: t.Cron, Zone: t.Zone,
				Alone: t.Overlap == plan.OverlapQueue,
			})
		}
	}
	return out
}

// messages are what runs are told of beside votes: verbs, and alerts that joined.
func messages(r *runs.Runs) []dispatch.Messages {
	return []dispatch.Messages{
		func(ctx context.Context) ([]dispatch.Message, error) {
			list, err := r.VerbsToTell(ctx)
			out := make([]dispatch.Message, len(list))
			for i, v := range list {
				out[i] = dispatch.Message{
					Workflow: v.Run, Update: run.UpdateVerb, Body: run.Said{N: v.N}, ID: "verb-" + strconv.FormatInt(v.N, 10),
					Told: func(ctx context.Context) error { return r.VerbTold(ctx, v.Run, v.N) },
				}
			}
			return out, err
		},
		func(ctx context.Context) ([]dispatch.Message, error) {
			list, err := r.Alerted(ctx)
			out := make([]dispatch.Message, len(list))
			for i, n := range list {
				out[i] = dispatch.Message{
					Workflow: n.Run, Update: run.UpdateAlerted, Body: run.Alerted{}, ID: "alerts-" + strconv.FormatInt(n.Seq, 10),
					Told: func(ctx context.Context) error { return r.AlertTold(ctx, n.Run) },
				}
			}
			return out, err
		},
	}
}

// keepSchedules brings Temporal's schedules up to date before anything starts.
func keepSchedules(ctx context.Context, d *dispatch.Dispatcher, b *book, tenant string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return d.KeepSchedules(ctx, b.schedules(tenant))
}
