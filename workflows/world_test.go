package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/workflows/run"
)

// world answers the activities of a run in memory: what it is asked, and a
// script of what goes wrong.
type world struct {
	t *testing.T
	// mu guards all of it: activities of branches and rounds run at once.
	mu    sync.Mutex
	acts  []string // "isolate:do", in order
	opens []task.OpenRequest
	notes []string
	ended *run.Result
	// outcome and fail script the answer to an action's n-th call.
	act   func(q task.ActRequest) task.ActResult
	read  func(q task.ReadRequest) task.ReadResult
	tally func(q task.TallyRequest) task.TallyResult
	stack []task.StackItem
	// closed are the decisions with which requests were closed.
	closed []string
	// ends are how runs closed, called ones too, in order: "p/x/1 completed".
	ends []string
	// texts are the notes of playbooks, by note.
	texts map[string]string
	// force is what run.open shows; alerts are those that joined the run, verbs
	// what people said on it, answers what it made of that.
	force   []task.InForce
	alerts  []task.Alert
	verbs   []run.Verb
	answers []string
	// stacks are the requests for what a run did, arranged what takes it back.
	stacks   []task.StackRequest
	arranged []task.ArrangeRequest
	// said is what people answered to questions about failures.
	said []string
	// opening is when calendars open.
	opening time.Time
	// calls are the runs that steps called; child is the plan of each.
	calls []task.CallRequest
	// started is called before the run begins.
	started func(*testsuite.TestWorkflowEnvironment)
}

func (w *world) register(env *testsuite.TestWorkflowEnvironment) {
	reg := func(name string, f any) { env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name}) }
	reg(task.ReadActivity, func(_ context.Context, q task.ReadRequest) (task.ReadResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.read(q), nil
	})
	reg(task.ActActivity, func(_ context.Context, q task.ActRequest) (task.ActResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.acts = append(w.acts, fmt.Sprintf("%s:%s:%d", q.Key.Step, q.Key.Direction, q.Key.Generation))
		return w.act(q), nil
	})
	reg(task.StackActivity, func(_ context.Context, q task.StackRequest) (task.StackResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stacks = append(w.stacks, q)
		return task.StackResult{Items: w.stack}, nil
	})
	reg(task.HeldActivity, func(context.Context, task.HeldRequest) (task.HeldResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return task.HeldResult{}, nil
	})
	reg(task.OpenActivity, func(_ context.Context, q task.OpenRequest) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.opens = append(w.opens, q)
		return nil
	})
	reg(task.TallyActivity, func(_ context.Context, q task.TallyRequest) (task.TallyResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.tally(q), nil
	})
	reg(task.CloseActivity, func(_ context.Context, q task.CloseRequest) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.closed = append(w.closed, q.Decision)
		return nil
	})
	reg(task.ResolveActivity, func(_ context.Context, q task.ResolveRequest) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notes = append(w.notes, "resolve:"+q.As)
		return nil
	})
	reg(task.NoteActivity, func(_ context.Context, q task.NoteRequest) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notes = append(w.notes, q.Kind)
		var n struct{ Note, Text string }
		if q.Kind == "note.written" && json.Unmarshal(q.Data, &n) == nil {
			if w.texts == nil {
				w.texts = map[string]string{}
			}
			w.texts[n.Note] = n.Text
		}
		return nil
	})
	reg(task.EndActivity, func(_ context.Context, q task.EndRequest) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = &q.Result
		w.ends = append(w.ends, q.Run+" "+q.Result.Closing)
		return nil
	})
	reg(task.BreathActivity, func(context.Context) error { return nil })
	w.hear(reg)
	reg(task.ReportActivity, func(context.Context, task.ReportRequest) (task.ReportResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notes = append(w.notes, "report")
		return task.ReportResult{Seq: 1, Digest: "d"}, nil
	})
}

// hear answers the activities by which a run hears of the world.
func (w *world) hear(reg func(string, any)) {
	reg(task.InForceActivity, func(context.Context, task.InForceRequest) (task.InForceResult, error) {
		return task.InForceResult{Effects: w.force}, nil
	})
	reg(task.ArrangeActivity, func(_ context.Context, q task.ArrangeRequest) error {
		w.arranged = append(w.arranged, q)
		return nil
	})
	reg(task.OpeningActivity, func(_ context.Context, q task.OpeningRequest) (task.OpeningResult, error) {
		if w.opening.Before(q.From) {
			return task.OpeningResult{At: q.From}, nil
		}
		return task.OpeningResult{At: w.opening}, nil
	})
	reg(task.AlertsActivity, func(_ context.Context, q task.AlertsRequest) (res task.AlertsResult, _ error) {
		for _, a := range w.alerts {
			if a.Seq > q.After {
				res.Alerts = append(res.Alerts, a)
			}
		}
		return res, nil
	})
	reg(task.VerbsActivity, func(_ context.Context, q task.VerbsRequest) (res task.VerbsResult, _ error) {
		for _, v := range w.verbs {
			if v.N > q.After {
				res.Verbs = append(res.Verbs, v)
			}
		}
		return res, nil
	})
	reg(task.AnswerActivity, func(_ context.Context, q task.AnswerRequest) error {
		w.answers = append(w.answers, q.Verb+": "+q.Answer)
		return nil
	})
	reg(task.CallActivity, func(_ context.Context, q task.CallRequest) (task.CallResult, error) {
		w.calls = append(w.calls, q)
		return task.CallResult{Input: run.Input{
			ABI: run.ABI, Tenant: q.Tenant, Run: run.CalledID(q.Callee, q.Run, q.Step, q.Iteration, q.Generation), Playbook: q.Callee,
			Digest: q.CalleeDigest, Inputs: q.Inputs, Mode: "act", Trigger: run.Trigger{Kind: "manual", Actor: "ann"}, Parent: q.Run, Depth: 1,
			Bindings: []run.Binding{{Action: "edr.isolate_host", Instance: "falcon"}, {Action: "intel.lookup_hash", Instance: "vt"}},
		}}, nil
	})
}
