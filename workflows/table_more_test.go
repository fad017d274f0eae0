package workflows

import (
	"testing"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// heldSubjects are effects with a hold: it was started before the call, whatever
// became of that.
func heldSubjects(failed, unknown task.ActResult) []subject {
	held := func(path string) plan.Step {
		s := effectAt(path)
		s.Hold = &plan.Hold{For: time.Hour, Then: plan.HoldAsk}
		return s
	}
	return []subject{
		{"hold", "its effect fails", held, spoilAct(".subject", failed, run.Do), "failed", true, usual, true},
		{"hold", "its effect is unknown", held, spoilAct(".subject", unknown, run.Do), "unknown", true, notSure, true},
	}
}

// lateSubjects are steps whose time runs out.
func lateSubjects(block func(plan.StepKind, func(string) plan.Step, func(*plan.Step, plan.Step)) func(string) plan.Step) []subject {
	inside := func(s *plan.Step, in plan.Step) { s.Steps = []plan.Step{in} }
	month := func(path string) plan.Step {
		return stepAt(plan.Wait, path, func(s *plan.Step) {
			s.Pause = &plan.WaitBody{For: &plan.Value{Literal: []byte(`"30d"`), Type: kind.Of(kind.Duration)}}
		})
	}
	return []subject{
		{"wait", "no alert comes", func(path string) plan.Step {
			return stepAt(plan.Wait, path, func(s *plan.Step) {
				s.Pause = &plan.WaitBody{ForAlert: &plan.ForAlert{Within: time.Hour, Late: plan.OnFail}}
			})
		}, unspoiled, "failed", true, usual, false},
		{"repeat", "it is late", func(path string) plan.Step {
			s := block(plan.Do, readAt, inside)(path)
			s.Repeat = &plan.Repeat{Until: 3, Every: time.Minute, Max: 2, Late: plan.OnFail}
			return s
		}, unspoiled, "failed", true, usual, false},
		{"timeout", "the time of a block is over", func(path string) plan.Step {
			s := block(plan.Do, month, inside)(path)
			s.Timeout = time.Hour
			return s
		}, unspoiled, "failed", true, usual, false},
		{"approve", "nobody answers", func(path string) plan.Step {
			s := effectAt(path)
			s.Approve = &plan.Approve{Ask: *text("Go?"), From: []plan.Level{{Who: []string{"soc"}, Within: time.Hour}}, Quorum: 1, Denied: plan.OnStop, Silent: plan.OnFail}
			return s
		}, func(w *world, once bool) { w.tally = silence(w, once) }, "denied", false, "", false},
		{"parallel", "no branch is the first", func(path string) plan.Step {
			return stepAt(plan.Parallel, path, func(s *plan.Step) {
				s.Fork = &plan.ParallelBody{First: true, Branches: []plan.Branch{
					{Name: "a", Steps: []plan.Step{readAt(path + ".a.in")}}, {Name: "b", Steps: []plan.Step{readAt(path + ".b.look")}},
				}}
			})
		}, func(w *world, once bool) {
			n := 0
			w.read = func(task.ReadRequest) task.ReadResult {
				if n++; n <= 2 || !once {
					return task.ReadResult{Failure: &task.Failure{Kind: "permission", Message: "no"}}
				}
				return task.ReadResult{Output: []byte(`{"verdict":"bad"}`)}
			}
		}, "failed", true, usual, true},
	}
}

// TestTableIsWhole holds that every kind and every modifier with a failure of its
// own is in the table. A stop does not fail; TestStop runs it in every phase.
func TestTableIsWhole(t *testing.T) {
	has := map[string]bool{}
	for _, s := range subjects() {
		st := s.make("triage.subject")
		has[string(st.Kind)] = true
		for modifier, there := range map[string]bool{
			"if": st.If != nil, "foreach": st.Foreach != nil, "repeat": st.Repeat != nil, "approve": st.Approve != nil,
			"timeout": st.Timeout > 0, "hold": st.Hold != nil, "for_alert": st.Pause != nil && st.Pause.ForAlert != nil,
			"first": st.Fork != nil && st.Fork.First,
		} {
			has[modifier] = has[modifier] || there
		}
	}
	for _, k := range []string{
		"uses", "do", "switch", "set", "wait", "ask", "undo", "fail", "report", "call", "parallel", "note",
		"if", "foreach", "repeat", "approve", "timeout", "hold", "for_alert", "first",
	} {
		if !has[k] {
			t.Errorf("the table has no %s", k)
		}
	}
}
