package workflows

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// calling makes a plan that calls another with a text and notes its output.
func calling(t *testing.T, child *plan.Plan, limits []plan.Limit, mod func(*plan.Plan, *plan.Step)) *plan.Plan {
	t.Helper()
	child.Inputs = []plan.Input{{Name: "who", Type: kind.Of(kind.String)}, {Name: "n", Type: kind.Of(kind.Int), Default: &plan.Value{Literal: []byte(`1`), Type: kind.Of(kind.Int)}}}
	child.Exprs = append(child.Exprs, plan.Expr{Text: `"hello " + inputs.who + " by " + run.trigger`, Type: kind.Of(kind.String), Line: 1, Column: 1})
	child.Outputs = []plan.Output{{Name: "said", Value: plan.Value{Expr: exprRef(len(child.Exprs) - 1), Type: kind.Of(kind.String)}}}
	child.Phases = append(child.Phases, plan.Phase{Name: plan.Review, Steps: []plan.Step{reportStep()}})
	raw := complete(t, child, "q")
	st := stepAt(plan.Call, "contain.q", func(s *plan.Step) {
		s.Child = &plan.CallBody{Playbook: "q", Digest: plan.DigestOf(raw), Limits: limits, With: []plan.NamedValue{{Name: "who", Value: *text("ann")}}}
	})
	note := stepAt(plan.Note, "contain.n", func(s *plan.Step) { s.Note, s.Text = "n", exprValue(0) })
	p := &plan.Plan{
		Exprs:    []plan.Expr{{Text: `steps.q.said`, Type: kind.Of(kind.String), Line: 1, Column: 1}},
		Results:  []plan.Result{{ID: "q", Type: kind.RecordOf(kind.Field{Name: "said", Type: kind.Of(kind.String)})}},
		Children: []plan.Child{{Playbook: "q", Digest: plan.DigestOf(raw), Plan: raw}},
		Phases:   []plan.Phase{{Name: plan.Contain, Steps: []plan.Step{st, note}}, {Name: plan.Review, Steps: []plan.Step{reportStep()}}},
	}
	if mod != nil {
		mod(p, &p.Phases[0].Steps[0])
	}
	return p
}

func TestCall(t *testing.T) {
	for _, c := range []struct {
		name    string
		child   []plan.Step
		world   func(*world)
		closing string
		reason  string
		ends    string
		note    string
	}{
		{"its outputs come back", []plan.Step{readAt("contain.look")}, nil, "completed", "", "completed completed", "hello ann by call"},
		{"a class of stop is no failure", []plan.Step{stopAt("contain.s", "benign")}, nil, "completed", "", "benign completed", "hello ann by call"},
		{"it fails", []plan.Step{failAt("contain.f")}, nil, "failed", "step contain.q: failed: run ", "failed failed", ""},
		{"it is denied", []plan.Step{func() plan.Step {
			s := effectAt("contain.e")
			s.Approve = &plan.Approve{Ask: *text("?"), From: []plan.Level{{Who: []string{"soc"}}}, Quorum: 1, Denied: plan.OnStop, Silent: plan.OnStop}
			return s
		}()}, func(w *world) {
			w.tally = func(task.TallyRequest) task.TallyResult {
				return task.TallyResult{State: "denied", By: []string{"lena"}}
			}
		}, "failed", "step contain.q: denied: run ", "denied failed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{}
			if c.world != nil {
				c.world(w)
			}
			res := playPlan(t, w, "act", calling(t, &plan.Plan{Phases: []plan.Phase{{Name: plan.Contain, Steps: c.child}}}, nil, nil))
			var ends []string
			for _, e := range w.ends {
				_, how, _ := strings.Cut(e, " ")
				ends = append(ends, how)
			}
			if res.Closing != c.closing || !strings.HasPrefix(res.Reason, c.reason) || strings.Join(ends, " ") != c.ends || w.texts["n"] != c.note {
				t.Errorf("closed %s (%s), ends %v, note %q", res.Closing, res.Reason, w.ends, w.texts["n"])
			}
			if len(w.calls) != 1 || string(w.calls[0].Inputs) != `{"who":"ann"}` || !strings.HasPrefix(w.ends[0], "q/c-") {
				t.Errorf("%+v %v", w.calls, w.ends)
			}
		})
	}
}

// TestCallLimits counts what a called run reaches against the caller's limits:
// what the caller has used up is not lent, what was lent and not used comes back.
func TestCallLimits(t *testing.T) {
	limits := []plan.Limit{{Action: "edr.isolate_host", Targets: 3}}
	var asked []int
	w := &world{act: func(q task.ActRequest) task.ActResult {
		asked = append(asked, q.Limit)
		return task.ActResult{Outcome: task.Done, Output: []byte(`{"state":"x"}`)}
	}}
	child := &plan.Plan{Phases: []plan.Phase{{Name: plan.Contain, Steps: []plan.Step{effectAt("contain.e")}}}}
	p := calling(t, child, limits, func(p *plan.Plan, _ *plan.Step) {
		p.Limits = []plan.Limit{{Action: "edr.isolate_host", Targets: 3}}
		steps := p.Phases[0].Steps
		p.Phases[0].Steps = append([]plan.Step{effectAt("contain.before")}, append(steps, effectAt("contain.after"))...)
	})
	if res := playPlan(t, w, "act", p); res.Closing != "completed" || len(res.Used) != 1 || res.Used[0].Targets != 3 {
		t.Fatal(res.Closing, res.Reason, res.Used)
	}
	// Own: 3. Lent: 3 less the one reached. Own after it: 3 less the one that the
	// called run reached; the store counts the run's own.
	if len(asked) != 3 || asked[0] != 3 || asked[1] != 2 || asked[2] != 2 {
		t.Errorf("limits %v", asked)
	}
}

// TestCallCancel cancels the caller while the called run waits: both end on
// record, the called one first.
func TestCallCancel(t *testing.T) {
	w := &world{tally: func(task.TallyRequest) task.TallyResult { return task.TallyResult{State: "open"} }}
	w.started = func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	}
	ask := stepAt(plan.Ask, "contain.a", func(s *plan.Step) {
		s.People = &plan.AskBody{Text: *text("?"), From: []plan.Level{{Who: []string{"soc"}}}, Silent: plan.OnFail}
	})
	res := playPlan(t, w, "act", calling(t, &plan.Plan{Phases: []plan.Phase{{Name: plan.Contain, Steps: []plan.Step{ask}}}}, nil, nil))
	if res.Closing != "cancelled" || len(w.ends) != 2 || !strings.HasPrefix(w.ends[0], "q/c-") || !strings.HasSuffix(w.ends[0], " cancelled") ||
		strings.Join(w.closed, " ") != "withdrawn" {
		t.Errorf("%s, ends %v, closed %v", res.Closing, w.ends, w.closed)
	}
}

// TestHoldThen lets holds come to their end: released, kept, or asked about.
func TestHoldThen(t *testing.T) {
	in := run.HoldInput{Tenant: "default", Run: "p/x/1", Key: key("contain.isolate", "", 1), For: 24 * time.Hour, Action: "edr.isolate_host", Pages: []string{"soc"}}
	for _, c := range []struct {
		then  plan.HoldThen
		word  string
		end   string
		acts  int
		after time.Duration
	}{
		{plan.HoldRelease, "", "released", 1, 24 * time.Hour},
		{plan.HoldKeep, "", "kept", 0, 24 * time.Hour},
		{plan.HoldAsk, "approved", "released", 1, 24 * time.Hour},
		{plan.HoldAsk, "denied", "released", 1, 48 * time.Hour}, // kept for as long again, and then asked again
	} {
		t.Run(string(c.then)+" "+c.word, func(t *testing.T) {
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(quiet{})
			env := suite.NewTestWorkflowEnvironment()
			New().Register(env)
			w := &world{}
			w.fill()
			asked := map[string]bool{}
			w.tally = func(q task.TallyRequest) task.TallyResult {
				asked[q.ID] = true
				if c.word == "denied" && len(asked) > 1 {
					return task.TallyResult{State: "approved", By: []string{"lena"}}
				}
				return task.TallyResult{State: c.word, By: []string{"lena"}}
			}
			w.register(env)
			env.OnActivity(task.HeldActivity, mock.Anything, mock.Anything).Return(task.HeldResult{Known: true, Held: true}, nil)
			began := env.Now()
			hold := in
			hold.Then = string(c.then)
			env.ExecuteWorkflow(run.HoldWorkflow, hold)
			var end string
			if err := env.GetWorkflowResult(&end); err != nil {
				t.Fatal(err)
			}
			if took := env.Now().Sub(began).Round(time.Minute); end != c.end || len(w.acts) != c.acts || took != c.after {
				t.Errorf("%s after %s, %v", end, took, w.acts)
			}
		})
	}
}

// TestFiring claims a run once per firing; one that is queued looks until its
// turn has come.
func TestFiring(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "schedule/p/1-2026-03-01T12:00:00Z", TaskQueue: run.TaskQueue})
	New().Register(env)
	n := 0
	env.RegisterActivityWithOptions(func(context.Context, task.FireRequest) (task.FireResult, error) { return task.FireResult{}, nil },
		activity.RegisterOptions{Name: task.FireActivity})
	env.OnActivity(task.FireActivity, mock.Anything, mock.Anything).Return(func(_ context.Context, q task.FireRequest) (task.FireResult, error) {
		if n++; n < 4 {
			return task.FireResult{Verdict: task.Queued}, nil
		}
		if !q.At.Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) || q.Schedule != 1 {
			t.Errorf("%+v", q)
		}
		return task.FireResult{Verdict: task.Started, Run: "p/x/2"}, nil
	})
	env.ExecuteWorkflow(run.FiringWorkflow, run.FiringInput{Tenant: "default", Playbook: "p", Schedule: 1})
	var end string
	if err := env.GetWorkflowResult(&end); err != nil || end != "started p/x/2" || n != 4 {
		t.Errorf("%q after %d looks: %v", end, n, err)
	}
}
