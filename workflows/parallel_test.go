package workflows

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

func fork(path string, first bool, branches ...plan.Branch) plan.Step {
	return stepAt(plan.Parallel, path, func(s *plan.Step) { s.Fork = &plan.ParallelBody{Branches: branches, First: first} })
}

func branch(name string, steps ...plan.Step) plan.Branch {
	return plan.Branch{Name: name, Steps: steps}
}

func pauseAt(path, d string) plan.Step {
	return stepAt(plan.Wait, path, func(s *plan.Step) {
		s.Pause = &plan.WaitBody{For: &plan.Value{Literal: []byte(`"` + d + `"`), Type: kind.Of(kind.Duration)}}
	})
}

func stopAt(path, class string) plan.Step {
	return stepAt(plan.Stop, path, func(s *plan.Step) { s.Text = text(class) })
}

func failAt(path string) plan.Step {
	return stepAt(plan.Fail, path, func(s *plan.Step) { s.Text = text("enough") })
}

// statuses flattens a tree into path=status, in the order of the paths.
func statuses(list []run.StepProgress) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.Path+"="+s.Status)
		out = append(out, statuses(s.Steps)...)
	}
	slices.Sort(out)
	return out
}

func has(t *testing.T, res run.Result, want ...string) {
	t.Helper()
	got := statuses(res.Tree.Steps)
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("no %s in %v", w, got)
		}
	}
}

func TestParallel(t *testing.T) {
	for _, c := range []struct {
		name    string
		step    plan.Step
		closing string
		reason  string
		took    time.Duration
		want    []string
	}{
		{
			"waits for all", fork("contain.f", false, branch("a", pauseAt("contain.f.a.x", "1h")), branch("b", pauseAt("contain.f.b.y", "3h"))),
			"completed", "", 3 * time.Hour,
			[]string{"contain.f=done", "contain.f.a=done", "contain.f.b=done"},
		},
		// A failure takes nothing from the others.
		{
			"a branch fails", fork("contain.f", false, branch("a", failAt("contain.f.a.x")), branch("b", pauseAt("contain.f.b.y", "3h"), readAt("contain.f.b.z"))),
			"failed", "step contain.f.a.x: fail: enough", 3 * time.Hour,
			[]string{"contain.f=failed", "contain.f.b.z=done"},
		},
		{
			"two fail: the first written is told", fork("contain.f", false, branch("a", pauseAt("contain.f.a.w", "1h"), failAt("contain.f.a.x")), branch("b", failAt("contain.f.b.y"))),
			"failed", "step contain.f.a.x: fail: enough", time.Hour, nil,
		},
		// A stop ends the others at once.
		{
			"a branch stops", fork("contain.f", false, branch("a", pauseAt("contain.f.a.w", "1h"), stopAt("contain.f.a.x", "benign")), branch("b", pauseAt("contain.f.b.y", "30d"), readAt("contain.f.b.z"))),
			"benign", "stopped by contain.f.a.x", time.Hour,
			[]string{"contain.f.b.y=ended", "contain.f.b=ended"},
		},
		{
			"a stop counts more than a failure", fork("contain.f", false, branch("a", failAt("contain.f.a.x")), branch("b", stopAt("contain.f.b.y", "duplicate"))),
			"duplicate", "stopped by contain.f.b.y", 0, nil,
		},
		{
			"first wins", fork("contain.f", true, branch("a", pauseAt("contain.f.a.x", "3h")), branch("b", pauseAt("contain.f.b.y", "1h")), branch("c", failAt("contain.f.c.z"))),
			"completed", "", time.Hour,
			[]string{"contain.f.a.x=ended", "contain.f=done"},
		},
		{
			"first, and all fail", fork("contain.f", true, branch("a", failAt("contain.f.a.x")), branch("b", failAt("contain.f.b.y"))),
			"failed", "step contain.f.a.x: fail: enough", 0, nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var began, ended time.Time
			w := &world{started: func(env *testsuite.TestWorkflowEnvironment) {
				began = env.Now()
				ended = began
			}}
			res := playPlan(t, w, "act", &plan.Plan{
				Phases: []plan.Phase{{Name: plan.Contain, Steps: []plan.Step{c.step}}, {Name: plan.Review, Steps: []plan.Step{reportStep()}}},
			})
			for _, s := range res.Tree.Steps {
				if s.Path == "contain.f" {
					ended = s.Ended
				}
			}
			if took := ended.Sub(began).Round(time.Second); res.Closing != c.closing || res.Reason != c.reason || took != c.took {
				t.Errorf("closed %s (%s) after %s", res.Closing, res.Reason, took)
			}
			has(t, res, c.want...)
		})
	}
}

// TestParallelEffects lets a stop in one branch wait for the effect of another:
// what became of a call that left is known.
func TestParallelEffects(t *testing.T) {
	w := &world{}
	w.act = func(q task.ActRequest) task.ActResult {
		return task.ActResult{Outcome: task.Done}
	}
	res := playPlan(t, w, "act", &plan.Plan{Phases: []plan.Phase{
		{Name: plan.Contain, Steps: []plan.Step{fork("contain.f", false,
			branch("a", effectAt("contain.f.a.one"), effectAt("contain.f.a.two")), branch("b", effectAt("contain.f.b.three")))}},
		{Name: plan.Review, Steps: []plan.Step{reportStep()}},
	}})
	slices.Sort(w.acts)
	if res.Closing != "completed" || strings.Join(w.acts, " ") != "contain.f.a.one:do:1 contain.f.a.two:do:1 contain.f.b.three:do:1" {
		t.Errorf("%s %v", res.Closing, w.acts)
	}
}
