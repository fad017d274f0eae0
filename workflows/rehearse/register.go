package rehearse

import (
	"context"
	"fmt"
	"slices"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/workflows/run"
)

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// register gives the interpreter its activities. They are the only ones there are:
// whatever else a run asked for would fail as unknown.
func (s *stage) register(env *testsuite.TestWorkflowEnvironment) {
	reg := func(name string, f any) { env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name}) }
	reg(task.ReadActivity, func(ctx context.Context, q task.ReadRequest) (task.ReadResult, error) { return s.read(ctx, q), nil })
	reg(task.ActActivity, func(ctx context.Context, q task.ActRequest) (task.ActResult, error) { return s.act(ctx, q), nil })
	reg(task.StackActivity, func(_ context.Context, q task.StackRequest) (task.StackResult, error) { return s.stack(q), nil })
	reg(task.HeldActivity, func(context.Context, task.HeldRequest) (task.HeldResult, error) { return task.HeldResult{}, nil })
	reg(task.OpenActivity, func(_ context.Context, q task.OpenRequest) error { s.open(q); return nil })
	reg(task.TallyActivity, func(_ context.Context, q task.TallyRequest) (task.TallyResult, error) { return s.tally(q), nil })
	reg(task.CloseActivity, func(_ context.Context, q task.CloseRequest) error { s.closed(q); return nil })
	reg(task.ResolveActivity, func(_ context.Context, q task.ResolveRequest) error { s.resolve(q); return nil })
	reg(task.InForceActivity, func(_ context.Context, q task.InForceRequest) (task.InForceResult, error) { return s.inForce(q), nil })
	reg(task.ArrangeActivity, func(_ context.Context, q task.ArrangeRequest) error { s.arrange(q); return nil })
	reg(task.OpeningActivity, func(ctx context.Context, q task.OpeningRequest) (task.OpeningResult, error) {
		if len(q.Calendar.Hours) == 0 || string(q.Calendar.Hours) == "null" { // offline there are no calendars: all are open
			return task.OpeningResult{At: q.From}, nil
		}
		return (&activities.Recorder{}).Opening(ctx, q) // it reads the run's own calendar and nothing else
	})
	reg(task.AlertsActivity, func(ctx context.Context, q task.AlertsRequest) (task.AlertsResult, error) {
		return s.alerts(env, q), nil
	})
	reg(task.VerbsActivity, func(context.Context, task.VerbsRequest) (task.VerbsResult, error) { return task.VerbsResult{}, nil })
	reg(task.AnswerActivity, func(context.Context, task.AnswerRequest) error { return nil })
	reg(task.CallActivity, func(_ context.Context, q task.CallRequest) (task.CallResult, error) {
		return s.script.Call(q, s.in), nil
	})
	reg(task.LoadActivity, func(_ context.Context, q task.LoadRequest) (task.LoadResult, error) { return s.load(q) })
	reg(task.NoteActivity, func(context.Context, task.NoteRequest) error { return nil })
	reg(task.EndActivity, func(context.Context, task.EndRequest) error { return nil })
	reg(task.ReportActivity, func(context.Context, task.ReportRequest) (task.ReportResult, error) {
		return task.ReportResult{Seq: 1, Digest: "rehearsed"}, nil
	})
	reg(task.BreathActivity, func(context.Context) error { return nil })
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil).Maybe()
	env.OnWorkflow(run.HoldWorkflow, mock.Anything, mock.Anything).Return(func(_ workflow.Context, h run.HoldInput) (string, error) {
		s.held(h)
		return "", nil
	}).Maybe()
}

func (s *stage) load(q task.LoadRequest) (task.LoadResult, error) {
	p := s.plans[q.Digest]
	if p == nil && q.Digest == s.in.Digest {
		p = s.root
	}
	if p == nil {
		return task.LoadResult{}, fmt.Errorf("there is no plan %s", q.Digest)
	}
	raw, err := p.Encode()
	return task.LoadResult{Plan: raw}, err
}

// alerts lists those that joined by now.
func (s *stage) alerts(env *testsuite.TestWorkflowEnvironment, q task.AlertsRequest) task.AlertsResult {
	var out task.AlertsResult
	if q.Run != s.in.Run {
		return out
	}
	now := env.Now().Sub(s.began)
	for _, j := range s.script.Joined() {
		if j.Alert.Seq > q.After && j.After <= now {
			out.Alerts = append(out.Alerts, j.Alert)
		}
	}
	slices.SortFunc(out.Alerts, func(a, b task.Alert) int { return int(a.Seq - b.Seq) })
	return out
}
