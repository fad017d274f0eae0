package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

func isolate() spec.Action {
	return spec.Action{
		Name: "edr.isolate_host", Class: spec.Idempotent, ReadBack: spec.Strong, Reversal: spec.Exact, Inverse: "edr.release_host",
		Inputs:   []kind.Field{{Name: "host", Type: kind.Of(kind.Hostname)}},
		Outputs:  []kind.Field{{Name: "state", Type: kind.Of(kind.String)}},
		Deadline: time.Second, Targets: "host",
	}
}

func lookup() spec.Action {
	return spec.Action{
		Name: "intel.lookup_hash", Class: spec.Read, Deadline: time.Second, Quick: true,
		Inputs:  []kind.Field{{Name: "value", Type: kind.Of(kind.String)}},
		Outputs: []kind.Field{{Name: "verdict", Type: kind.Of(kind.String)}},
	}
}

func text(s string) *plan.Value {
	raw, _ := kind.Canonical(s)
	return &plan.Value{Literal: raw, Type: kind.Of(kind.String)}
}

func isolateStep(mod func(*plan.Step)) plan.Step {
	st := plan.Step{
		Kind: plan.Uses, Path: "contain.isolate", ID: "isolate", Phase: plan.Contain, OnError: plan.OnAsk,
		Action: &plan.ActionCall{Name: "edr.isolate_host", Effect: true, Reads: []string{"*"}, With: []plan.NamedValue{{Name: "host", Value: plan.Value{Literal: json.RawMessage(`"ws-1"`), Type: kind.Of(kind.Hostname)}}}},
	}
	if mod != nil {
		mod(&st)
	}
	return st
}

func reportStep() plan.Step {
	return plan.Step{Kind: plan.Report, Path: "review.pir", Phase: plan.Review, OnError: plan.OnFail, Text: text("pir")}
}

func results() []plan.Result {
	out := kind.RecordOf(kind.Field{Name: "verdict", Type: kind.Of(kind.String)})
	item := kind.RecordOf(
		kind.Field{Name: "item", Type: kind.Of(kind.String)}, kind.Field{Name: "index", Type: kind.Of(kind.Int)},
		kind.Field{Name: "ok", Type: kind.Of(kind.Boolean)}, kind.Field{Name: "out", Type: out, Optional: true})
	return []plan.Result{{ID: "scan", Type: out}, {ID: "verdicts", Type: kind.ListOf(item)}}
}

// play runs a plan of contain steps against a world and returns how it ended.
func play(t *testing.T, w *world, mode string, exprs []plan.Expr, steps ...plan.Step) run.Result {
	t.Helper()
	return playPlan(t, w, mode, &plan.Plan{
		Phases: []plan.Phase{{Name: plan.Contain, Steps: steps}, {Name: plan.Review, Steps: []plan.Step{reportStep()}}},
		Exprs:  exprs, Results: results(),
	})
}

// playPlan runs a plan of phases, expressions and results against a world.
func playPlan(t *testing.T, w *world, mode string, p *plan.Plan) run.Result {
	t.Helper()
	w.t = t
	w.fill()
	raw := complete(t, p, "p")
	return launch(t, w, raw, run.Input{Mode: mode})
}

// fill sets what a world leaves out: everything goes well.
func (w *world) fill() {
	if w.act == nil {
		w.act = func(task.ActRequest) task.ActResult {
			return task.ActResult{Outcome: task.Done, Output: []byte(`{"state":"isolated"}`), Held: true}
		}
	}
	if w.read == nil {
		w.read = func(task.ReadRequest) task.ReadResult { return task.ReadResult{Output: []byte(`{"verdict":"bad"}`)} }
	}
	if w.tally == nil {
		w.tally = func(task.TallyRequest) task.TallyResult {
			return task.TallyResult{State: "approved", By: []string{"lena"}}
		}
	}
}

// complete adds to a plan what all of them have and encodes it.
func complete(t *testing.T, p *plan.Plan, name string) []byte {
	t.Helper()
	p.Format, p.Language, p.Playbook = plan.Format, 1, name
	p.Actions = []plan.Action{
		{Name: "edr.isolate_host", Schema: isolate().SchemaDigest(), Spec: isolate()},
		{Name: "intel.lookup_hash", Schema: lookup().SchemaDigest(), Spec: lookup()},
	}
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// launch runs a plan's bytes to their end.
func launch(t *testing.T, w *world, raw []byte, in run.Input) run.Result {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	New().Register(env)
	w.register(env)
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil).Maybe()
	env.OnWorkflow(run.HoldWorkflow, mock.Anything, mock.Anything).Return(func(workflow.Context, run.HoldInput) (string, error) { return "", nil }).Maybe()
	if w.started != nil {
		w.started(env)
	}
	in.ABI, in.Tenant, in.Run, in.Playbook, in.Digest, in.Plan = run.ABI, "default", "p/x/1", "p", plan.DigestOf(raw), raw
	in.Incident, in.Trigger = "INC-1", run.Trigger{Kind: "manual", Actor: "ann"}
	in.Bindings = []run.Binding{{Action: "edr.isolate_host", Instance: "falcon"}, {Action: "intel.lookup_hash", Instance: "vt"}}
	if len(in.Inputs) == 0 {
		in.Inputs = []byte("{}")
	}
	env.ExecuteWorkflow(run.PlaybookWorkflow, in)
	if !env.IsWorkflowCompleted() {
		t.Fatal("the run did not end")
	}
	if err := env.GetWorkflowError(); err != nil {
		var pe *temporal.PanicError
		if errors.As(err, &pe) {
			t.Log(pe.StackTrace())
		}
		t.Fatal(err)
	}
	var res run.Result
	if err := env.GetWorkflowResult(&res); err != nil {
		t.Fatal(err)
	}
	if w.ended == nil || w.ended.Closing != res.Closing {
		t.Fatalf("the end was not recorded: %v", w.ended)
	}
	if len(w.notes) == 0 || w.notes[len(w.notes)-1] != "report" {
		t.Fatalf("review did not run: %v", w.notes)
	}
	return res
}

func TestEffectOutcomes(t *testing.T) {
	answer := func(choice string) func(task.TallyRequest) task.TallyResult {
		return func(task.TallyRequest) task.TallyResult {
			return task.TallyResult{State: "approved", By: []string{"lena"}, Answer: []byte(fmt.Sprintf(`{"choice":%q}`, choice))}
		}
	}
	first := func(r task.ActResult) func(task.ActRequest) task.ActResult {
		n := 0
		return func(task.ActRequest) task.ActResult {
			if n++; n == 1 {
				return r
			}
			return task.ActResult{Outcome: task.Done}
		}
	}
	failed := task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: "permission", Message: "no"}}
	unknown := task.ActResult{Outcome: task.Unknown, Detail: "the answer was lost"}
	refused := task.ActResult{Outcome: task.Refused, Detail: "kill switch"}
	for _, c := range []struct {
		name    string
		act     task.ActResult
		onError plan.OnError
		choice  string
		closing string
		acts    int
		asked   int
		notes   string
	}{
		{"done", task.ActResult{Outcome: task.Done}, plan.OnAsk, "", "completed", 1, 0, "report"},
		{"already", task.ActResult{Outcome: task.Already}, plan.OnAsk, "", "completed", 1, 0, "report"},
		{"failed, fail", failed, plan.OnFail, "", "failed", 1, 0, "report"},
		{"failed, continue", failed, plan.OnContinue, "", "completed", 1, 0, "report"},
		{"failed, person retries", failed, plan.OnAsk, "retry", "completed", 2, 1, "report"},
		{"failed, person skips", failed, plan.OnAsk, "skip", "completed", 1, 1, "report"},
		{"failed, person stops", failed, plan.OnAsk, "stop", "failed", 1, 1, "report"},
		{"refused, person skips", refused, plan.OnAsk, "skip", "completed", 1, 1, "report"},
		{"unknown, it was done", unknown, plan.OnAsk, "done", "completed", 1, 1, "resolve:done report"},
		{"unknown, it was not", unknown, plan.OnAsk, "not_done", "completed", 2, 1, "resolve:not_done report"},
		{"unknown, stop", unknown, plan.OnAsk, "stop", "failed", 1, 1, "report"},
		{"unknown, fail", unknown, plan.OnFail, "", "failed", 1, 0, "report"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{act: first(c.act), tally: answer(c.choice)}
			res := play(t, w, "act", nil, isolateStep(func(s *plan.Step) { s.OnError = c.onError }))
			if res.Closing != c.closing || len(w.acts) != c.acts || len(w.opens) != c.asked || strings.Join(w.notes, " ") != c.notes {
				t.Errorf("closing %s, acts %v, asked %d, notes %v", res.Closing, w.acts, len(w.opens), w.notes)
			}
			if c.asked > 0 && strings.HasPrefix(c.name, "unknown") && strings.Contains(string(w.opens[0].Fields), "retry") {
				t.Errorf("retry was offered while unknown: %s", w.opens[0].Fields)
			}
			if c.acts == 2 && w.acts[0] == w.acts[1] {
				t.Errorf("a deliberate repetition has the same key: %v", w.acts)
			}
		})
	}
}

func TestApproval(t *testing.T) {
	approve := func(denied, silent plan.OnError) func(*plan.Step) {
		return func(s *plan.Step) {
			s.Approve = &plan.Approve{Ask: *text("Isolate?"), From: []plan.Level{{Who: []string{"ir-lead"}, Within: 10 * time.Minute}}, Quorum: 1, Denied: denied, Silent: silent}
		}
	}
	for _, c := range []struct {
		name           string
		denied, silent plan.OnError
		state          string
		closing        string
		acts           int
	}{
		{"approved", plan.OnStop, plan.OnStop, "approved", "completed", 1},
		{"denied stop", plan.OnStop, plan.OnAct, "denied", "denied", 0},
		{"denied skip", plan.OnSkip, plan.OnAct, "denied", "completed", 0},
		{"denied fail", plan.OnFail, plan.OnAct, "denied", "failed", 0},
		{"silent stop", plan.OnSkip, plan.OnStop, "expired", "denied", 0},
		{"silent skip", plan.OnStop, plan.OnSkip, "expired", "completed", 0},
		{"silent fail", plan.OnStop, plan.OnFail, "expired", "failed", 0},
		{"silent act", plan.OnStop, plan.OnAct, "expired", "completed", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w *world
			w = &world{tally: func(q task.TallyRequest) task.TallyResult {
				deadline := w.opens[0].Opened.Add(10 * time.Minute)
				if c.state == "expired" && q.Now.Before(deadline) {
					return task.TallyResult{State: "open", Next: deadline}
				}
				return task.TallyResult{State: c.state, By: []string{"lena"}}
			}}
			res := play(t, w, "act", nil, isolateStep(approve(c.denied, c.silent)))
			if res.Closing != c.closing || len(w.acts) != c.acts {
				t.Errorf("closing %s (%s), acts %v", res.Closing, res.Reason, w.acts)
			}
			o := w.opens[0]
			if o.Seal == "" || o.Requester != "ann" || !strings.Contains(string(o.Show), "ws-1") {
				t.Errorf("what was shown: %+v", o)
			}
		})
	}
}

func TestModes(t *testing.T) {
	would := ""
	w := &world{act: func(q task.ActRequest) task.ActResult {
		would = q.Would
		return task.ActResult{Outcome: task.Simulated}
	}}
	res := play(t, w, "observe", nil, isolateStep(func(s *plan.Step) {
		s.Approve = &plan.Approve{Ask: *text("?"), From: []plan.Level{{Who: []string{"x"}}}, Quorum: 1, Denied: plan.OnStop, Silent: plan.OnStop}
	}))
	if res.Closing != "completed" || len(w.opens) != 0 || res.Tree.Steps[0].Status != "simulated" {
		t.Errorf("observe woke %d people and ended %s", len(w.opens), res.Closing)
	}
	if would != "the playbook asks x: ?" {
		t.Errorf("whom it spared: %q", would)
	}
	w = &world{}
	res = play(t, w, "ask", nil, isolateStep(nil))
	if res.Closing != "completed" || len(w.opens) != 1 || w.opens[0].Kind != "approval" {
		t.Errorf("ask mode asked %d", len(w.opens))
	}
}

func TestLoops(t *testing.T) {
	exprs := []plan.Expr{
		{Text: `["a","b","c"]`, Type: kind.ListOf(kind.Of(kind.String)), Line: 1, Column: 1},
		{Text: `h`, Type: kind.Of(kind.String), Line: 1, Column: 1},
		{Text: `steps.scan.verdict == "clean"`, Type: kind.Of(kind.Boolean), Line: 1, Column: 1},
		{Text: `outcome.verdicts == "partial" && steps.verdicts[1].ok == false && steps.verdicts[2].out.verdict == "bad"`, Type: kind.Of(kind.Boolean), Line: 1, Column: 1},
	}
	ref := func(i int) *plan.ExprRef { r := plan.ExprRef(i); return &r }
	n := 0
	w := &world{read: func(q task.ReadRequest) task.ReadResult {
		if strings.Contains(string(q.Inputs), `"b"`) {
			return task.ReadResult{Failure: &task.Failure{Kind: "not_found", Message: "no such"}}
		}
		if q.Step == "contain.clean.scan" {
			if n++; n == 3 {
				return task.ReadResult{Output: []byte(`{"verdict":"clean"}`)}
			}
		}
		return task.ReadResult{Output: []byte(`{"verdict":"bad"}`)}
	}}
	look := func(path, id string, v plan.Value) plan.Step {
		return plan.Step{
			Kind: plan.Uses, Path: path, ID: id, Phase: plan.Contain, OnError: plan.OnFail,
			Action: &plan.ActionCall{Name: "intel.lookup_hash", Reads: []string{"verdict"}, With: []plan.NamedValue{{Name: "value", Value: v}}},
		}
	}
	verdicts := look("contain.verdicts", "verdicts", plan.Value{Expr: ref(1), Type: kind.Of(kind.String)})
	verdicts.Foreach = &plan.Foreach{Var: "h", In: 0, AtOnce: 2, OnItemError: plan.OnContinue}
	scan := look("contain.clean.scan", "scan", *text("x"))
	clean := plan.Step{
		Kind: plan.Do, Path: "contain.clean", ID: "clean", Phase: plan.Contain, OnError: plan.OnFail, Steps: []plan.Step{scan},
		Repeat: &plan.Repeat{Until: 2, Every: time.Hour, Within: 8 * time.Hour, Late: plan.OnFail},
	}
	last := isolateStep(func(s *plan.Step) { s.If = ref(3) })
	res := play(t, w, "act", exprs, verdicts, clean, last)
	if res.Closing != "completed" || n != 3 || len(w.acts) != 1 {
		t.Errorf("closing %s (%s), %d rounds, acts %v", res.Closing, res.Reason, n, w.acts)
	}
}

func TestUndoStep(t *testing.T) {
	key := run.Key{Tenant: "default", Run: "p/x/1", Step: "contain.isolate", Direction: run.Do, Generation: 1}
	w := &world{stack: []task.StackItem{{Key: key.String(), Action: "edr.isolate_host", Reversal: "exact"}}}
	undo := plan.Step{Kind: plan.Undo, Path: "contain.1", Phase: plan.Contain, OnError: plan.OnAsk, Undoes: []string{"isolate"}}
	res := play(t, w, "act", nil, isolateStep(func(s *plan.Step) { s.Hold = &plan.Hold{For: time.Hour, Then: plan.HoldAsk} }), undo)
	if res.Closing != "completed" || strings.Join(w.acts, " ") != "contain.isolate:do:1 contain.isolate:undo:1" {
		t.Errorf("closing %s (%s), acts %v", res.Closing, res.Reason, w.acts)
	}
}

// TestCancel cancels a run that waits for people: its request is withdrawn,
// review runs, and its end is on record.
func TestCancel(t *testing.T) {
	w := &world{tally: func(q task.TallyRequest) task.TallyResult { return task.TallyResult{State: "open"} }}
	w.started = func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
	}
	res := play(t, w, "act", nil, isolateStep(func(s *plan.Step) {
		s.Approve = &plan.Approve{Ask: *text("?"), From: []plan.Level{{Who: []string{"x"}}}, Quorum: 1, Denied: plan.OnStop, Silent: plan.OnStop}
	}))
	if res.Closing != "cancelled" || len(w.acts) != 0 || strings.Join(w.closed, " ") != "withdrawn" {
		t.Errorf("closing %s, acts %v, closed %v", res.Closing, w.acts, w.closed)
	}
}
