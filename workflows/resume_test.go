package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// relay runs a plan from execution to execution until it ends. length is what
// each execution is told of its history's length.
func relay(t *testing.T, w *world, raw []byte, in run.Input, length int) (res run.Result, executions int) {
	t.Helper()
	in.ABI, in.Tenant, in.Run, in.Playbook, in.Digest, in.Plan = run.ABI, "default", "p/x/1", "p", plan.DigestOf(raw), raw
	in.Incident, in.Trigger, in.Mode = "INC-1", run.Trigger{Kind: "manual", Actor: "ann"}, "act"
	in.Bindings = []run.Binding{{Action: "edr.isolate_host", Instance: "falcon"}, {Action: "intel.lookup_hash", Instance: "vt"}}
	var at time.Time
	for {
		executions++
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(quiet{})
		env := suite.NewTestWorkflowEnvironment()
		if !at.IsZero() {
			env.SetStartTime(at)
		}
		env.SetTestTimeout(time.Minute)
		env.SetCurrentHistoryLength(length)
		New().Register(env)
		w.register(env)
		env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil).Maybe()
		env.ExecuteWorkflow(run.PlaybookWorkflow, in)
		at = env.Now()
		err := env.GetWorkflowError()
		var anew *workflow.ContinueAsNewError
		if errors.As(err, &anew) {
			in = run.Input{}
			if err := converter.GetDefaultDataConverter().FromPayloads(anew.Input, &in); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := env.GetWorkflowResult(&res); err != nil {
			t.Fatal(err)
		}
		return res, executions
	}
}

// longPlan has a loop inside a block inside a switch, behind results that it
// reads, and steps behind it that read its rounds.
func longPlan(t *testing.T, read bool) []byte {
	in := kind.ListOf(kind.Of(kind.String))
	item := kind.RecordOf(kind.Field{Name: "item", Type: kind.Of(kind.String)}, kind.Field{Name: "index", Type: kind.Of(kind.Int)},
		kind.Field{Name: "ok", Type: kind.Of(kind.Boolean)}, kind.Field{Name: "out", Type: kind.RecordOf(kind.Field{Name: "verdict", Type: kind.Of(kind.String)}), Optional: true})
	exprs := []plan.Expr{
		{Text: `inputs.all`, Type: in, Line: 1, Column: 1, Uses: []string{"inputs.all"}},
		{Text: `steps.first.verdict + "/" + h`, Type: kind.Of(kind.String), Line: 1, Column: 1, Uses: []string{"steps.first"}},
		{Text: `outcome.each`, Type: kind.Of(kind.String), Line: 1, Column: 1, Uses: []string{"outcome.each"}},
		{Text: `true`, Type: kind.Of(kind.Boolean), Line: 1, Column: 1},
		{Text: `string(run.started)`, Type: kind.Of(kind.String), Line: 1, Column: 1, Uses: []string{"run.started"}},
	}
	if read {
		exprs[2] = plan.Expr{Text: `outcome.each + " " + string(steps.each.filter(e, !e.ok).size()) + " " + steps.each[1].out.verdict`, Type: kind.Of(kind.String), Line: 1, Column: 1, Uses: []string{"outcome.each", "steps.each"}}
	}
	each := readAt("contain.sw.block.each")
	call := *each.Action
	call.With = []plan.NamedValue{{Name: "value", Value: *exprValue(1)}}
	each.Action = &call
	each.Foreach = &plan.Foreach{Var: "h", In: 0, AtOnce: 4, OnItemError: plan.OnContinue, Chunk: 200}
	note := func(path, id string, e int) plan.Step {
		return stepAt(plan.Note, path, func(s *plan.Step) { s.Note, s.Text = id, exprValue(e) })
	}
	block := stepAt(plan.Do, "contain.sw.block", func(s *plan.Step) {
		s.If, s.Steps = exprRef(3), []plan.Step{each, note("contain.sw.block.n", "loop", 2)}
	})
	sw := stepAt(plan.Switch, "contain.sw", func(s *plan.Step) {
		s.Choose = &plan.SwitchBody{On: 3, Cases: []plan.Case{{Keys: []string{"true"}, Steps: []plan.Step{block}}}}
	})
	return complete(t, &plan.Plan{
		Inputs: []plan.Input{{Name: "all", Type: in}}, Exprs: exprs,
		Results: []plan.Result{{ID: "first", Type: item.Fields[3].Type}, {ID: "each", Type: kind.ListOf(item)}, {ID: "block"}, {ID: "sw"}},
		Phases: []plan.Phase{
			{Name: plan.Triage, Steps: []plan.Step{readAt("triage.first"), note("triage.n", "began", 4)}},
			{Name: plan.Contain, Steps: []plan.Step{sw, note("contain.n", "behind", 4)}},
			{Name: plan.Review, Steps: []plan.Step{reportStep()}},
		},
	}, "p")
}

func elements(n int) []byte {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("e%05d", i)
	}
	raw, _ := json.Marshal(map[string]any{"all": list})
	return raw
}

// TestContinues runs a long loop in one execution and in many: every element is
// read once, and everything that people and expressions see is the same.
func TestContinues(t *testing.T) {
	for _, read := range []bool{false, true} {
		var seen []string
		for _, length := range []int{0, mostEvents + 1} {
			times := map[string]int{}
			w := &world{read: func(q task.ReadRequest) task.ReadResult {
				times[string(q.Inputs)]++
				if strings.Contains(string(q.Inputs), "7\"") {
					return task.ReadResult{Failure: &task.Failure{Kind: "not_found", Message: "no"}}
				}
				return task.ReadResult{Output: []byte(`{"verdict":"bad"}`)}
			}}
			w.fill()
			res, executions := relay(t, w, longPlan(t, read), run.Input{Inputs: elements(60)}, length)
			if (length > 0) != (executions > 5) {
				t.Errorf("%d executions", executions)
			}
			if len(times) != 61 {
				t.Errorf("%d of 61 elements were read", len(times))
			}
			for in, n := range times {
				if n != 1 {
					t.Errorf("%s was read %d times", in, n)
				}
			}
			if w.texts["began"] != w.texts["behind"] {
				t.Errorf("run.started changed: %v", w.texts)
			}
			delete(w.texts, "began")
			delete(w.texts, "behind")
			tree, _ := json.Marshal(statuses(res.Tree.Steps))
			seen = append(seen, fmt.Sprint(res.Closing, w.texts, w.notes, string(tree)))
		}
		if seen[0] != seen[1] {
			t.Errorf("in one execution\n%s\nin many\n%s", seen[0], seen[1])
		}
	}
}

// TestContinuesRounds lets a loop of rounds go on in new executions: the time
// that it has is that of its beginning.
func TestContinuesRounds(t *testing.T) {
	block := stepAt(plan.Do, "contain.clean", func(s *plan.Step) {
		s.Steps = []plan.Step{readAt("contain.clean.look")}
		s.Repeat = &plan.Repeat{Until: 0, Every: time.Hour, Within: 10 * time.Hour, Late: plan.OnFail}
	})
	raw := complete(t, &plan.Plan{
		Exprs:  []plan.Expr{{Text: `false`, Type: kind.Of(kind.Boolean), Line: 1, Column: 1}},
		Phases: []plan.Phase{{Name: plan.Contain, Steps: []plan.Step{block}}, {Name: plan.Review, Steps: []plan.Step{reportStep()}}},
	}, "p")
	for _, length := range []int{0, mostEvents + 1} {
		w := &world{}
		w.fill()
		res, executions := relay(t, w, raw, run.Input{Inputs: []byte("{}")}, length)
		if res.Closing != "failed" || !strings.Contains(res.Reason, "after 11 rounds") || (length > 0) != (executions == 11) {
			t.Errorf("closed %s (%s) in %d executions", res.Closing, res.Reason, executions)
		}
	}
}

// TestLongLoop runs a loop over many elements, in as many executions as it takes.
func TestLongLoop(t *testing.T) {
	n := 2000
	if os.Getenv("QUELL_SOAK") != "" {
		n = 50_000
	}
	count := 0
	w := &world{read: func(task.ReadRequest) task.ReadResult {
		count++
		return task.ReadResult{Output: []byte(`{"verdict":"bad"}`)}
	}}
	w.fill()
	began := time.Now()
	res, executions := relay(t, w, longPlan(t, false), run.Input{Inputs: elements(n)}, 0)
	raw, _ := json.Marshal(res)
	if res.Closing != "completed" || count != n+1 || w.texts["loop"] != "done" || len(raw) > 64<<10 {
		t.Errorf("%s (%s), %d reads, a result of %d bytes", res.Closing, res.Reason, count, len(raw))
	}
	t.Logf("%d elements in %d executions, %s, a result of %d bytes", n, executions, time.Since(began).Round(time.Millisecond), len(raw))
}

// TestFrozen holds that values travel as they are.
func TestFrozen(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	in := map[string]any{
		"text": "", "yes": true, "no": false, "int": int64(9007199254740993), "num": 1.5, "time": at, "span": 90 * time.Second,
		"handle": kind.Handle{Name: "device", Instance: "falcon", ID: "1", Label: "ws-1"}, "list": []any{int64(0), "a", []any{}}, "empty": map[string]any{}, "nil": nil,
	}
	raw, err := freezeAll(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := thawAll(raw)
	if err != nil || fmt.Sprintf("%#v", out) != fmt.Sprintf("%#v", in) {
		t.Errorf("%v\n%#v\n%#v", err, out, in)
	}
	if _, err := freeze(map[string]any{"x": struct{}{}}); err == nil {
		t.Error("a struct travelled")
	}
}
