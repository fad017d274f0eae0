package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/quell-soar/quell/workflows/run"
)

// Schedule is one schedule of a playbook, as Temporal shall keep it.
type Schedule struct {
	Tenant, Playbook string
	// N counts the schedules of a playbook, from 1.
	N int
	// Digest is that of the plan: a schedule of another plan is updated.
	Digest     string
	Cron, Zone string
	// Alone says that no firing begins while another one still waits for its turn.
	Alone bool
}

// catchUp is how late a firing may come that fell into a time in which Quell was
// not running. What is older is not made up for: nobody wants ten nightly sweeps
// in the morning.
const catchUp = 10 * time.Minute

func (s Schedule) id() string   { return run.ScheduleID(s.Playbook, s.N) }
func (s Schedule) note() string { return s.Tenant + " " + s.Digest + " " + s.Zone + " " + s.Cron }

func (s Schedule) spec() client.ScheduleSpec {
	return client.ScheduleSpec{CronExpressions: []string{s.Cron}, TimeZoneName: s.Zone}
}

func (s Schedule) action() *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID: s.id(), Workflow: run.FiringWorkflow, TaskQueue: run.TaskQueue,
		Args:                []any{run.FiringInput{Tenant: s.Tenant, Playbook: s.Playbook, Schedule: s.N}},
		WorkflowTaskTimeout: taskTimeout,
	}
}

func (s Schedule) overlap() enumspb.ScheduleOverlapPolicy {
	if s.Alone {
		return enumspb.SCHEDULE_OVERLAP_POLICY_SKIP
	}
	return enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL
}

// KeepSchedules makes Temporal's schedules those of want: it creates, updates and
// deletes. It is called once at each start, and again changes nothing.
func (d *Dispatcher) KeepSchedules(ctx context.Context, want []Schedule) error {
	c := d.temporal.ScheduleClient()
	if err := d.dropSchedules(ctx, c, want); err != nil {
		return err
	}
	for _, s := range want {
		_, err := c.Create(ctx, client.ScheduleOptions{
			ID: s.id(), Spec: s.spec(), Action: s.action(), Overlap: s.overlap(), CatchupWindow: catchUp, Note: s.note(),
		})
		if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
			err = s.update(ctx, c.GetHandle(ctx, s.id()))
		}
		if err != nil {
			return fmt.Errorf("schedule %s: %w", s.id(), err)
		}
	}
	return nil
}

// update brings a schedule up to date where its note says that it is not.
func (s Schedule) update(ctx context.Context, h client.ScheduleHandle) error {
	return h.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		old := in.Description.Schedule
		if old.State != nil && old.State.Note == s.note() {
			return nil, temporal.ErrSkipScheduleUpdate
		}
		spec := s.spec()
		old.Spec, old.Action = &spec, s.action()
		old.Policy = &client.SchedulePolicies{Overlap: s.overlap(), CatchupWindow: catchUp}
		if old.State == nil {
			old.State = &client.ScheduleState{}
		}
		old.State.Note = s.note()
		return &client.ScheduleUpdate{Schedule: &old}, nil
	}})
}

// dropSchedules deletes the schedules of playbooks that have them no more.
func (d *Dispatcher) dropSchedules(ctx context.Context, c client.ScheduleClient, want []Schedule) error {
	it, err := c.List(ctx, client.ScheduleListOptions{PageSize: 100})
	if err != nil {
		return fmt.Errorf("list the schedules: %w", err)
	}
	for it.HasNext() {
		e, err := it.Next()
		if err != nil {
			return fmt.Errorf("list the schedules: %w", err)
		}
		if !strings.HasPrefix(e.ID, run.SchedulePrefix) || slices.ContainsFunc(want, func(s Schedule) bool { return s.id() == e.ID }) {
			continue
		}
		err = c.GetHandle(ctx, e.ID).Delete(ctx)
		var gone *serviceerror.NotFound
		if err != nil && !errors.As(err, &gone) {
			return fmt.Errorf("delete the schedule %s: %w", e.ID, err)
		}
	}
	return nil
}
