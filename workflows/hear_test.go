package workflows

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// update sends an Update to the run after a time.
func update(env *testsuite.TestWorkflowEnvironment, after time.Duration, name, id string, body any, before func()) {
	env.RegisterDelayedCallback(func() {
		if before != nil {
			before()
		}
		env.UpdateWorkflow(name, id, &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(error) {}, OnComplete: func(any, error) {},
		}, body)
	}, after)
}

func anAlert(t *testing.T, seq int64, severity string) task.Alert {
	t.Helper()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := alert.Alert{ID: "x", Source: "siem", Kind: "malware", Title: "t", Severity: severity, Occurred: at, Received: at}
	raw, err := kind.Encode(alert.Type(), a.Value())
	if err != nil {
		t.Fatal(err)
	}
	return task.Alert{Seq: seq, ID: "a", Value: raw}
}

func awaitAt(path string, late plan.OnError) plan.Step {
	return stepAt(plan.Wait, path, func(s *plan.Step) {
		s.Pause = &plan.WaitBody{ForAlert: &plan.ForAlert{When: exprRef(0), Within: 8 * time.Hour, Late: late}}
	})
}

// containing runs steps in contain, with the results that expressions know.
func containing(t *testing.T, w *world, exprs []plan.Expr, ids []plan.Result, steps ...plan.Step) run.Result {
	t.Helper()
	return playPlan(t, w, "act", &plan.Plan{Exprs: exprs, Results: ids, Phases: []plan.Phase{
		{Name: plan.Contain, Steps: steps}, {Name: plan.Review, Steps: []plan.Step{reportStep()}},
	}})
}

func TestWaitForAlert(t *testing.T) {
	grave := []plan.Expr{{Text: `alert.severity >= severity.high`, Type: kind.Of(kind.Boolean), Line: 1, Column: 1}}
	ids := []plan.Result{{ID: "seen", Type: expr.AlertTakenType()}}
	for _, c := range []struct {
		name    string
		there   []string // severities of the alerts that joined before
		comes   string   // of the one that joins after an hour
		late    plan.OnError
		choice  string
		closing string
		status  string
	}{
		{"it is there already", []string{"low", "critical"}, "", plan.OnFail, "", "completed", "done"},
		{"it comes", []string{"low"}, "high", plan.OnFail, "", "completed", "done"},
		{"another comes", nil, "low", plan.OnFail, "", "failed", "failed"},
		{"none comes", nil, "", plan.OnContinue, "", "completed", "failed"},
		{"none comes, a person goes on", nil, "", plan.OnAsk, "skip", "completed", "skipped"},
		{"none comes, a person stops", nil, "", plan.OnAsk, "stop", "failed", "ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{}
			for i, s := range c.there {
				w.alerts = append(w.alerts, anAlert(t, int64(i+1), s))
			}
			says := []string{c.choice}
			w.says(&says)
			w.started = func(env *testsuite.TestWorkflowEnvironment) {
				if c.comes != "" {
					update(env, time.Hour, run.UpdateAlerted, "alerts-9", run.Alerted{}, func() {
						w.alerts = append(w.alerts, anAlert(t, int64(len(w.alerts)+1), c.comes))
					})
				}
			}
			res := containing(t, w, grave, ids, awaitAt("contain.seen", c.late))
			if res.Closing != c.closing {
				t.Errorf("closed %s (%s)", res.Closing, res.Reason)
			}
			has(t, res, "contain.seen="+c.status)
		})
	}
	t.Run("none is taken twice", func(t *testing.T) {
		w := &world{alerts: []task.Alert{anAlert(t, 1, "high"), anAlert(t, 2, "high")}}
		block := stepAt(plan.Do, "contain.again", func(s *plan.Step) {
			s.Repeat = &plan.Repeat{Until: 1, Every: time.Minute, Max: 3, Late: plan.OnFail}
			s.Steps = []plan.Step{awaitAt("contain.again.seen", plan.OnFail)}
		})
		exprs := append(grave, plan.Expr{Text: `false`, Type: kind.Of(kind.Boolean), Line: 1, Column: 1})
		res := containing(t, w, exprs, ids, block)
		if res.Closing != "failed" || !strings.Contains(res.Reason, "no such alert came within 8h") {
			t.Errorf("%s %s", res.Closing, res.Reason)
		}
	})
}

func TestWaitOpen(t *testing.T) {
	w := &world{}
	var began time.Time
	w.started = func(env *testsuite.TestWorkflowEnvironment) {
		began = env.Now()
		w.opening = began.Add(9 * time.Hour)
	}
	w.fill()
	raw := complete(t, &plan.Plan{
		Settings: []plan.Setting{{Name: "hours", Type: kind.Of(kind.Calendar)}},
		Exprs:    []plan.Expr{{Text: `settings.hours`, Type: kind.Of(kind.Calendar), Line: 1, Column: 1}},
		Phases: []plan.Phase{{Name: plan.Recover, Steps: []plan.Step{
			stepAt(plan.Wait, "recover.open", func(s *plan.Step) { s.Pause = &plan.WaitBody{Open: exprRef(0)} }),
		}}, {Name: plan.Review, Steps: []plan.Step{reportStep()}}},
	}, "p")
	res := launch(t, w, raw, run.Input{Mode: "act", Settings: []byte(`{"hours":"desk"}`), Calendars: []run.Calendar{{Name: "desk"}}})
	if at := res.Tree.Steps[0].Ended.Sub(began).Round(time.Second); res.Closing != "completed" || at != 9*time.Hour {
		t.Errorf("%s (%s) after %s", res.Closing, res.Reason, at)
	}
	w = &world{}
	w.fill()
	res = launch(t, w, raw, run.Input{Mode: "act", Settings: []byte(`{"hours":"another"}`)})
	if res.Closing != "failed" || !strings.Contains(res.Reason, `no calendar "another"`) {
		t.Errorf("%s (%s)", res.Closing, res.Reason)
	}
}

// TestVerbs says verbs on a run that waits, and holds what it answers and does.
func TestVerbs(t *testing.T) {
	verb := func(v, step string) run.Verb {
		return run.Verb{Verb: v, Step: step, Actor: "lena", Reason: "because", To: []string{"night"}}
	}
	ask := func(path string) plan.Step {
		return stepAt(plan.Ask, path, func(s *plan.Step) {
			s.People = &plan.AskBody{Text: *text("?"), From: []plan.Level{{Who: []string{"soc"}}}, Silent: plan.OnFail}
		})
	}
	broken := func(w *world) {
		n := 0
		w.act = func(task.ActRequest) task.ActResult {
			if n++; n == 1 {
				return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: "permission", Message: "no"}}
			}
			return task.ActResult{Outcome: task.Done}
		}
	}
	for _, c := range []struct {
		name    string
		step    plan.Step
		world   func(*world)
		verbs   []run.Verb // said an hour apart
		closing string
		status  string
		answers string
	}{
		{"cancel", ask("contain.x"), nil, []run.Verb{verb(run.Cancel, "")}, "cancelled", "ended", "cancel: done"},
		{"skip a question", ask("contain.x"), nil, []run.Verb{verb(run.SkipStep, "contain.x")}, "completed", "skipped", "skip_step: done"},
		{"skip a wait", pauseAt("contain.x", "30d"), nil, []run.Verb{verb(run.SkipStep, "contain.x")}, "completed", "skipped", "skip_step: done"},
		{"skip another step", pauseAt("contain.x", "2h"), nil, []run.Verb{verb(run.SkipStep, "contain.y")}, "completed", "done", "skip_step: the step is not under way"},
		{"retry what waits", pauseAt("contain.x", "2h"), nil, []run.Verb{verb(run.RetryStep, "contain.x")}, "completed", "done", "retry_step: the step has not failed"},
		{"retry a failed effect", onAsk(effectAt("contain.x")), broken, []run.Verb{verb(run.RetryStep, "contain.x")}, "completed", "done", "retry_step: done"},
		{"skip a failed effect", onAsk(effectAt("contain.x")), broken, []run.Verb{verb(run.SkipStep, "contain.x")}, "completed", "skipped", "skip_step: done"},
		{
			"pause and resume", pauseAt("contain.x", "5h"), nil,
			[]run.Verb{verb(run.Pause, ""), verb(run.Pause, ""), verb(run.Resume, ""), verb(run.Resume, "")},
			"completed", "done",
			"pause: done pause: it was paused already by lena: because resume: done resume: it is not paused",
		},
		{"hand over", ask("contain.x"), nil, []run.Verb{verb(run.HandOver, ""), verb(run.Cancel, "")}, "cancelled", "ended", "hand_over: done cancel: done"},
		{"no verb", pauseAt("contain.x", "2h"), nil, []run.Verb{verb("explode", "")}, "completed", "done", `explode: this build knows no verb "explode"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{tally: func(task.TallyRequest) task.TallyResult { return task.TallyResult{State: "open"} }}
			if c.world != nil {
				c.world(w)
			}
			w.started = func(env *testsuite.TestWorkflowEnvironment) {
				for i, v := range c.verbs {
					v.N = int64(i + 1)
					update(env, time.Duration(i+1)*time.Hour, run.UpdateVerb, fmt.Sprint("verb-", v.N), run.Said{N: v.N}, func() { w.verbs = append(w.verbs, v) })
				}
			}
			res := containing(t, w, nil, nil, c.step)
			if res.Closing != c.closing || !strings.HasPrefix(strings.Join(w.answers, " "), c.answers) {
				t.Errorf("closed %s (%s), answers %q", res.Closing, res.Reason, w.answers)
			}
			if c.closing == "cancelled" && res.Reason != "cancelled by lena: because" {
				t.Errorf("reason %q", res.Reason)
			}
			has(t, res, "contain.x="+c.status)
			for _, d := range w.closed {
				if d != "withdrawn" {
					t.Errorf("closed %v", w.closed)
				}
			}
		})
	}
}

func onAsk(s plan.Step) plan.Step { s.OnError = plan.OnAsk; return s }

// TestPause holds a paused run between two steps until it is resumed; what is
// under way ends.
func TestPause(t *testing.T) {
	w := &world{}
	var began time.Time
	w.started = func(env *testsuite.TestWorkflowEnvironment) {
		began = env.Now()
		for i, v := range []string{run.Pause, run.Resume} {
			update(env, time.Duration(1+4*i)*time.Hour, run.UpdateVerb, v, run.Said{}, func() {
				w.verbs = append(w.verbs, run.Verb{N: int64(i + 1), Verb: v, Actor: "lena"})
			})
		}
	}
	res := containing(t, w, nil, nil, pauseAt("contain.a", "2h"), readAt("contain.b"))
	a, b := res.Tree.Steps[0], res.Tree.Steps[1]
	if a.Ended.Sub(began) != 2*time.Hour || b.Began.Sub(began) != 5*time.Hour {
		t.Errorf("a ended after %s, b began after %s", a.Ended.Sub(began), b.Began.Sub(began))
	}
}

// TestHandOverAsksOthers asks whom a run was handed over to.
func TestHandOverAsksOthers(t *testing.T) {
	w := &world{act: func(task.ActRequest) task.ActResult {
		return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: "permission", Message: "no"}}
	}}
	says := []string{"skip"}
	w.says(&says)
	w.started = func(env *testsuite.TestWorkflowEnvironment) {
		update(env, time.Minute, run.UpdateVerb, "v", run.Said{N: 1}, func() {
			w.verbs = []run.Verb{{N: 1, Verb: run.HandOver, To: []string{"night"}, Actor: "lena"}}
		})
	}
	containing(t, w, nil, nil, pauseAt("contain.a", "1h"), onAsk(effectAt("contain.b")))
	raw, _ := json.Marshal(w.opens[0].Levels)
	if len(w.opens) != 1 || string(raw) != `[{"who":["ir-lead","night"],"within":0}]` {
		t.Errorf("asked %s", raw)
	}
}
