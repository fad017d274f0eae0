package playtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows"
	"github.com/quell-soar/quell/workflows/run"
)

// Played is what came of one play.
type Played struct {
	Result   run.Result
	Effects  []*Effect
	Requests []*Request
	Holds    []Hold
	Calls    map[string]int
	Reports  []string
	Notes    []string
	// Took is the duration in playbook time.
	Took time.Duration
	// Problems are what the script lacks, or why the run could not be played.
	Problems []string
	all      []*Effect
}

// realTime is the longest that one play may take by the clock on the wall.
const realTime = 20 * time.Second

// Play plays a plan through the interpreter against a script.
func Play(p *plan.Plan, c *Case) *Played { return play(p, c, nil) }

func play(p *plan.Plan, c *Case, force *fault) (out *Played) {
	out = &Played{}
	defer func() { // the test environment panics where a workflow cannot go on
		if x := recover(); x != nil {
			out.Problems = append(out.Problems, fmt.Sprintf("the run stopped: %v", x))
		}
	}()
	w, err := newWorld(p, c)
	if err != nil {
		out.Problems = append(out.Problems, err.Error())
		return out
	}
	w.force = force
	in, err := input(p, c)
	if err != nil {
		out.Problems = append(out.Problems, err.Error())
		return out
	}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(c.Now)
	env.SetTestTimeout(realTime)
	// A machine under load is no deadlock of the run.
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: realTime})
	workflows.New().Register(env)
	w.register(env, in)
	env.ExecuteWorkflow(run.PlaybookWorkflow, in)
	return w.played(env, out)
}

func (w *world) played(env *testsuite.TestWorkflowEnvironment, out *Played) *Played {
	w.mu.Lock()
	defer w.mu.Unlock()
	out.Problems = append(out.Problems, w.problems...)
	out.Took = env.Now().Sub(w.began)
	if !env.IsWorkflowCompleted() {
		out.Problems = append(out.Problems, "the run did not end")
	} else if err := env.GetWorkflowError(); err != nil {
		out.Problems = append(out.Problems, "the run could not be played: "+err.Error())
	} else if err := env.GetWorkflowResult(&out.Result); err != nil {
		out.Problems = append(out.Problems, err.Error())
	}
	out.Effects, out.Requests, out.Holds, out.Calls = w.deeds(), w.requests, w.holds, w.calls
	out.Reports, out.Notes, out.all = w.reports, w.notes, w.effects
	for i, said := range w.said {
		if !said {
			s := w.c.People[i]
			out.Problems = append(out.Problems, fmt.Sprintf("step %s never asked what the test answers (%s)", s.Step, s.Says))
		}
	}
	return out
}

// input is what the run is started with.
func input(p *plan.Plan, c *Case) (run.Input, error) {
	raw, err := p.Encode()
	if err != nil {
		return run.Input{}, err
	}
	in := run.Input{
		ABI: run.ABI, Tenant: "default", Run: run.ID(p.Playbook, "test", 1), Playbook: p.Playbook, Digest: plan.DigestOf(raw), Plan: raw,
		Mode: c.Mode, Incident: "INC-1", Trigger: run.Trigger{Kind: "manual", Actor: c.Actor},
	}
	inputs := c.Inputs
	if c.Alert != nil {
		if inputs, err = triggered(p, c); err != nil {
			return in, err
		}
		source, _ := c.Alert["source"].(string)
		severity, _ := c.Alert["severity"].(string)
		id, _ := c.Alert["id"].(string)
		in.Trigger = run.Trigger{Kind: "alert", Actor: "source:" + source, Source: source, Alert: id, Severity: severity}
	}
	if in.Inputs, err = kind.Canonical(orEmpty(inputs)); err != nil {
		return in, err
	}
	if in.Settings, err = kind.Canonical(orEmpty(c.Settings)); err != nil {
		return in, err
	}
	in.Calendars = calendars(p, c)
	for _, a := range p.Actions {
		in.Bindings = append(in.Bindings, run.Binding{Action: a.Name, Instance: Instance})
	}
	return in, nil
}

// calendars are those that the settings name. What they say, the test says: see
// Case.Opens.
func calendars(p *plan.Plan, c *Case) []run.Calendar {
	var out []run.Calendar
	for _, s := range p.Settings {
		if s.Type.Kind != kind.Calendar {
			continue
		}
		name, _ := c.Settings[s.Name].(string)
		if name == "" && s.Default != nil {
			_ = json.Unmarshal(s.Default.Literal, &name)
		}
		out = append(out, run.Calendar{Name: name})
	}
	return out
}

// triggered gives the inputs that the first trigger that applies makes of the
// alert, as intake does.
func triggered(p *plan.Plan, c *Case) (map[string]any, error) {
	set, err := expr.Load(p)
	if err != nil {
		return nil, err
	}
	sc := expr.Scope{Alert: c.Alert, Settings: orEmpty(c.Settings), Now: c.Now}
	for _, s := range p.Settings {
		if _, ok := sc.Settings[s.Name]; !ok && s.Default != nil {
			if v, err := set.Value(*s.Default, sc); err == nil && v != nil {
				sc.Settings[s.Name] = v
			}
		}
	}
	source, _ := c.Alert["source"].(string)
	for _, t := range p.Triggers.Alerts {
		if !slices.Contains(t.From, source) && !slices.Contains(t.From, "any") {
			continue
		}
		if t.When != nil {
			yes, err := set.Bool(*t.When, sc)
			if err != nil {
				return nil, fmt.Errorf("on.alert: when: %w", err)
			}
			if !yes {
				continue
			}
		}
		out := map[string]any{}
		for _, nv := range t.Inputs {
			v, err := set.Value(nv.Value, sc)
			if err != nil {
				return nil, fmt.Errorf("on.alert: input %s: %w", nv.Name, err)
			}
			if v != nil {
				out[nv.Name] = v
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("no trigger of %s takes this alert of source %s", p.Playbook, source)
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// register gives the interpreter its activities.
func (w *world) register(env *testsuite.TestWorkflowEnvironment, in run.Input) {
	reg := func(name string, f any) { env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name}) }
	read := func(_ context.Context, q task.ReadRequest) (task.ReadResult, error) { return w.read(q), nil }
	act := func(_ context.Context, q task.ActRequest) (task.ActResult, error) { return w.act(q), nil }
	reg(task.ReadActivity, read)
	reg(task.ActActivity, act)
	reg(task.StackActivity, func(_ context.Context, q task.StackRequest) (task.StackResult, error) { return w.stack(q), nil })
	reg(task.HeldActivity, func(context.Context, task.HeldRequest) (task.HeldResult, error) { return task.HeldResult{}, nil })
	reg(task.OpenActivity, func(_ context.Context, q task.OpenRequest) error { w.open(q); return nil })
	reg(task.TallyActivity, func(_ context.Context, q task.TallyRequest) (task.TallyResult, error) { return w.tally(q), nil })
	reg(task.CloseActivity, func(_ context.Context, q task.CloseRequest) error { w.closed(q); return nil })
	reg(task.ResolveActivity, func(_ context.Context, q task.ResolveRequest) error { w.resolve(q); return nil })
	reg(task.InForceActivity, func(context.Context, task.InForceRequest) (task.InForceResult, error) { return w.inForce(), nil })
	reg(task.ArrangeActivity, func(context.Context, task.ArrangeRequest) error { return nil })
	reg(task.OpeningActivity, func(_ context.Context, q task.OpeningRequest) (task.OpeningResult, error) {
		if q.From.Before(w.c.Opens) {
			return task.OpeningResult{At: w.c.Opens}, nil
		}
		return task.OpeningResult{At: q.From}, nil
	})
	reg(task.BreathActivity, func(context.Context) error { return nil })
	reg(task.AlertsActivity, func(context.Context, task.AlertsRequest) (task.AlertsResult, error) { return task.AlertsResult{}, nil })
	reg(task.VerbsActivity, func(context.Context, task.VerbsRequest) (task.VerbsResult, error) { return task.VerbsResult{}, nil })
	reg(task.AnswerActivity, func(context.Context, task.AnswerRequest) error { return nil })
	reg(task.CallActivity, func(_ context.Context, q task.CallRequest) (task.CallResult, error) { return w.call(q, in), nil })
	reg(task.LoadActivity, func(_ context.Context, q task.LoadRequest) (task.LoadResult, error) { return w.load(q) })
	reg(task.NoteActivity, func(_ context.Context, q task.NoteRequest) error { w.noted(q); return nil })
	reg(task.EndActivity, func(context.Context, task.EndRequest) error { return nil })
	reg(task.ReportActivity, func(_ context.Context, q task.ReportRequest) (task.ReportResult, error) { return w.reported(q), nil })
	w.slow(env, read, act) // mocks come behind what they stand before
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil).Maybe()
	env.OnWorkflow(run.HoldWorkflow, mock.Anything, mock.Anything).Return(func(_ workflow.Context, h run.HoldInput) (string, error) {
		w.held(h)
		return "", nil
	}).Maybe()
}

// slow makes the calls that take playbook time take it.
func (w *world) slow(env *testsuite.TestWorkflowEnvironment, read, act any) {
	var waits []time.Duration
	for _, list := range w.c.Answers {
		for _, a := range list {
			if a.After > 0 && !slices.Contains(waits, a.After) {
				waits = append(waits, a.After)
			}
		}
	}
	for _, d := range waits {
		env.OnActivity(task.ReadActivity, mock.Anything, mock.MatchedBy(func(q task.ReadRequest) bool {
			return !q.Quick && w.delay(q.Action, q.Inputs) == d
		})).After(d).Return(read).Maybe()
		env.OnActivity(task.ActActivity, mock.Anything, mock.MatchedBy(func(q task.ActRequest) bool {
			return w.delay(q.Action, q.Inputs) == d
		})).After(d).Return(act).Maybe()
	}
	if len(waits) > 0 {
		env.OnActivity(task.ReadActivity, mock.Anything, mock.Anything).Return(read).Maybe()
		env.OnActivity(task.ActActivity, mock.Anything, mock.Anything).Return(act).Maybe()
	}
}

func (w *world) call(q task.CallRequest, parent run.Input) task.CallResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	child := w.plans[q.CalleeDigest]
	if child == nil {
		return task.CallResult{Failure: &task.Failure{Kind: "internal", Message: "the plan of " + q.Callee + " is missing"}}
	}
	in := run.Input{
		ABI: run.ABI, Tenant: q.Tenant, Run: run.CalledID(q.Callee, q.Run, q.Step, q.Iteration, q.Generation), Playbook: q.Callee, Digest: q.CalleeDigest,
		Inputs: q.Inputs, Mode: parent.Mode, Incident: parent.Incident, Trigger: parent.Trigger, Parent: q.Run, Depth: 1,
	}
	for _, a := range child.Actions {
		in.Bindings = append(in.Bindings, run.Binding{Action: a.Name, Instance: Instance})
	}
	return task.CallResult{Input: in}
}

func (w *world) load(q task.LoadRequest) (task.LoadResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.plans[q.Digest]
	if p == nil {
		return task.LoadResult{}, fmt.Errorf("there is no plan %s", q.Digest)
	}
	raw, err := p.Encode()
	return task.LoadResult{Plan: raw}, err
}

func (w *world) noted(q task.NoteRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var n struct{ Note string }
	if q.Kind == "note.written" && json.Unmarshal(q.Data, &n) == nil {
		w.notes = append(w.notes, n.Note)
	}
}

func (w *world) reported(q task.ReportRequest) task.ReportResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reports = append(w.reports, q.Template)
	return task.ReportResult{Seq: int64(len(w.reports)), Digest: "test"}
}

func (w *world) held(h run.HoldInput) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k, err := run.ParseKey(h.Key)
	if err != nil {
		w.problem("%v", err)
		return
	}
	w.holds = append(w.holds, Hold{Step: k.Step, For: h.For, Then: h.Then})
}
