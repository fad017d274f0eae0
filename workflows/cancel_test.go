package workflows

import (
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// TestStop runs stop in every phase: its class closes the run, nothing behind it
// runs, and the review does.
func TestStop(t *testing.T) {
	for _, class := range []string{"true_positive", "benign", "false_positive", "duplicate"} {
		for _, phase := range plan.PhaseOrder() {
			t.Run(class+"/"+string(phase), func(t *testing.T) {
				st := stepAt(plan.Stop, string(phase)+".subject", func(s *plan.Step) { s.Text = text(class) })
				w := &world{}
				res := playPlan(t, w, "act", tablePlan(t, st, phase))
				got := seen(res, st.Path, phase)
				want := tableRow{status: "ended", report: true, closing: class}
				if phase == plan.Review {
					want.behind, want.later, want.closing, want.reviewFailed = true, true, "completed", true
				}
				if got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			})
		}
	}
}

// TestCancelEverywhere cancels a run in every kind that waits, in every phase:
// the run ends as cancelled with its review on record, every request is
// withdrawn, every called run has its end, and nothing is asked or done after
// that. A review is not cancelled: it always runs.
func TestCancelEverywhere(t *testing.T) {
	n := 0
	for _, k := range waiting() {
		for _, phase := range plan.PhaseOrder() {
			n++
			t.Run(k.name+"/"+string(phase), func(t *testing.T) { cancelCase(t, k.make(string(phase)+".subject"), phase) })
		}
	}
	t.Logf("%d cancelled runs", n)
}

type waits struct {
	name string
	make func(path string) plan.Step
}

// waiting are steps that would take for ever.
func waiting() []waits {
	ask := func(path string) plan.Step {
		return stepAt(plan.Ask, path, func(s *plan.Step) {
			s.People = &plan.AskBody{Text: *text("?"), From: []plan.Level{{Who: []string{"soc"}}}, Silent: plan.OnFail}
		})
	}
	pause := func(path string) plan.Step {
		return stepAt(plan.Wait, path, func(s *plan.Step) {
			s.Pause = &plan.WaitBody{For: &plan.Value{Literal: []byte(`"30d"`), Type: kind.Of(kind.Duration)}}
		})
	}
	return []waits{
		{"ask", ask},
		{"wait", pause},
		{"approve", func(path string) plan.Step {
			s := effectAt(path)
			s.Approve = &plan.Approve{Ask: *text("?"), From: []plan.Level{{Who: []string{"soc"}}}, Quorum: 1, Denied: plan.OnStop, Silent: plan.OnStop}
			return s
		}},
		{"wait for an alert", func(path string) plan.Step {
			return stepAt(plan.Wait, path, func(s *plan.Step) {
				s.Pause = &plan.WaitBody{ForAlert: &plan.ForAlert{Within: 720 * time.Hour, Late: plan.OnFail}}
			})
		}},
		{"parallel", func(path string) plan.Step {
			return stepAt(plan.Parallel, path, func(s *plan.Step) {
				s.Fork = &plan.ParallelBody{Branches: []plan.Branch{
					{Name: "a", Steps: []plan.Step{ask(path + ".a.in")}},
					{Name: "b", Steps: []plan.Step{pause(path + ".b.look")}},
					{Name: "c", Steps: []plan.Step{ask(path + ".c.third")}},
				}}
			})
		}},
		{"foreach", func(path string) plan.Step {
			s := ask(path)
			s.Foreach = &plan.Foreach{Var: "h", In: 1, AtOnce: 3, OnItemError: plan.OnContinue}
			return s
		}},
		{"repeat", func(path string) plan.Step {
			return stepAt(plan.Do, path, func(s *plan.Step) {
				s.Steps = []plan.Step{pause(path + ".in")}
				s.Repeat = &plan.Repeat{Until: 2, Every: time.Hour, Max: 3, Late: plan.OnFail}
			})
		}},
		{"do with a time-out", func(path string) plan.Step {
			return stepAt(plan.Do, path, func(s *plan.Step) { s.Steps, s.Timeout = []plan.Step{ask(path + ".in")}, time.Hour })
		}},
	}
}

func cancelCase(t *testing.T, st plan.Step, phase plan.PhaseName) {
	over := false
	w := &world{}
	w.tally = func(q task.TallyRequest) task.TallyResult {
		if phase == plan.Review && over { // somebody answers in the end
			return task.TallyResult{State: "approved", By: []string{"lena"}}
		}
		return task.TallyResult{State: "open", Next: q.Now.Add(24 * time.Hour)}
	}
	w.started = func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() { over = true; env.CancelWorkflow() }, time.Minute)
	}
	if phase == plan.Review && st.Pause != nil && st.Pause.ForAlert != nil {
		st.Pause.ForAlert.Late = plan.OnContinue
	}
	res := playPlan(t, w, "act", tablePlan(t, st, phase))
	if len(w.opens) != len(w.closed) {
		t.Errorf("%d requests opened, %d closed", len(w.opens), len(w.closed))
	}
	if phase == plan.Review {
		if res.Closing != "completed" {
			t.Errorf("a review was cancelled: %s", res.Closing)
		}
		return
	}
	got := seen(res, st.Path, phase)
	if want := (tableRow{status: "ended", report: true, closing: "cancelled"}); got != want {
		t.Errorf("got %+v, want %+v (%s)", got, want, res.Reason)
	}
	for _, c := range w.closed {
		if c != "withdrawn" {
			t.Errorf("closed %v", w.closed)
		}
	}
}
