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
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

func key(step, iteration string, generation int) string {
	return run.Key{Tenant: "default", Run: "p/x/1", Step: step, Iteration: iteration, Direction: run.Do, Generation: generation}.String()
}

// effectsOf is the type of a loop over one effect, with the effect beside item.
func effectsOf(id string) plan.Result {
	return plan.Result{ID: id, Type: kind.ListOf(kind.RecordOf(
		kind.Field{Name: "item", Type: kind.Of(kind.String)}, kind.Field{Name: "index", Type: kind.Of(kind.Int)},
		kind.Field{Name: "ok", Type: kind.Of(kind.Boolean)}, kind.Field{Name: plan.EffectField, Type: kind.HandleOf(plan.Effect)},
		kind.Field{Name: "out", Type: kind.RecordOf(kind.Field{Name: "state", Type: kind.Of(kind.String)}), Optional: true},
		kind.Field{Name: "error", Type: expr.ErrorType(), Optional: true}))}
}

// TestUndoOfEffect takes back one effect of a loop by its value, and only it.
func TestUndoOfEffect(t *testing.T) {
	exprs := []plan.Expr{
		{Text: `["a", "b", "c"]`, Type: kind.ListOf(kind.Of(kind.String)), Line: 1, Column: 1},
		{Text: `steps.all[1].effect`, Type: kind.HandleOf(plan.Effect), Line: 1, Column: 1},
		{Text: `steps.all.filter(e, e.ok).map(e, e.effect)`, Type: kind.ListOf(kind.HandleOf(plan.Effect)), Line: 1, Column: 1},
	}
	all := effectAt("contain.all")
	all.Foreach = &plan.Foreach{Var: "h", In: 0, AtOnce: 1, OnItemError: plan.OnContinue}
	call := *all.Action
	call.Named = true
	all.Action = &call
	one := stepAt(plan.Undo, "contain.one", func(s *plan.Step) { s.UndoOf = exprValue(1) })
	rest := stepAt(plan.Undo, "contain.rest", func(s *plan.Step) { s.UndoOf = exprValue(2) })
	n := 0
	w := &world{act: func(q task.ActRequest) task.ActResult {
		if n++; q.Key.Iteration == "2" {
			return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: "permission", Message: "no"}}
		}
		return task.ActResult{Outcome: task.Done, Output: []byte(`{"state":"x"}`)}
	}}
	res := containing(t, w, exprs, []plan.Result{effectsOf("all")}, all, one, rest)
	if res.Closing != "completed" {
		t.Fatal(res.Closing, res.Reason)
	}
	got, _ := json.Marshal(w.stacks)
	if len(w.stacks) != 2 || strings.Join(w.stacks[0].Keys, " ") != key("contain.all", "1", 1) ||
		strings.Join(w.stacks[1].Keys, " ") != key("contain.all", "0", 1)+" "+key("contain.all", "1", 1) {
		t.Errorf("%s", got)
	}
}

// TestUndoOfBlock takes back what is inside a block.
func TestUndoOfBlock(t *testing.T) {
	block := stepAt(plan.Do, "contain.block", func(s *plan.Step) { s.Steps = []plan.Step{effectAt("contain.block.a"), effectAt("contain.block.b")} })
	undo := stepAt(plan.Undo, "contain.undo", func(s *plan.Step) { s.Undoes = []string{"block"} })
	w := &world{}
	containing(t, w, nil, nil, block, undo)
	if got := strings.Join(w.stacks[0].Steps, " "); got != "contain.block contain.block.a contain.block.b" {
		t.Error(got)
	}
}

// TestUndoWith keeps the author's way back, with inputs as they are just after
// the effect, its own result among them.
func TestUndoWith(t *testing.T) {
	st := effectAt("contain.lock")
	st.UndoWith = &plan.ActionCall{Name: "intel.lookup_hash", Effect: true, With: []plan.NamedValue{{Name: "value", Value: *exprValue(0)}}}
	exprs := []plan.Expr{{Text: `steps.lock.state + " by " + run.id`, Type: kind.Of(kind.String), Line: 1, Column: 1}}
	ids := []plan.Result{{ID: "lock", Type: kind.RecordOf(kind.Field{Name: "state", Type: kind.Of(kind.String)})}}
	w := &world{}
	res := containing(t, w, exprs, ids, st)
	if res.Closing != "completed" || len(w.arranged) != 1 || w.arranged[0].Key != key("contain.lock", "", 1) ||
		string(w.arranged[0].Inputs) != `{"value":"isolated by p/x/1"}` || w.arranged[0].Instance != "vt" {
		t.Errorf("%s (%s) %+v", res.Closing, res.Reason, w.arranged)
	}
	w = &world{act: func(task.ActRequest) task.ActResult { return task.ActResult{Outcome: task.Already} }}
	if containing(t, w, exprs, ids, st); len(w.arranged) != 0 {
		t.Errorf("what was so before was arranged to be taken back: %+v", w.arranged)
	}
}

// TestOpen reads run.open when an expression asks for it.
func TestOpen(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := &world{force: []task.InForce{
		{Key: key("contain.x", "", 1), Action: "edr.isolate_host", Instance: "falcon", Step: "contain.x", Targets: []string{"ws-1"}, Since: since},
		{Key: key("contain.y", "", 1), Action: "firewall.block_ip", Step: "contain.y", Targets: []string{"192.0.2.1", "192.0.2.2"}, Since: since},
	}}
	note := stepAt(plan.Note, "contain.note", func(s *plan.Step) {
		s.Note, s.Text = "still_open", &plan.Value{Template: []plan.Part{{Text: "open: "}, {Expr: exprRef(0)}}, Type: kind.Of(kind.String)}
	})
	exprs := []plan.Expr{{Text: `run.open.map(h, h.what).join("; ")`, Type: kind.Of(kind.String), Line: 1, Column: 1, Uses: []string{"run.open"}}}
	res := containing(t, w, exprs, nil, note)
	if res.Closing != "completed" || w.texts["still_open"] != "open: edr.isolate_host ws-1; firewall.block_ip 192.0.2.1, 192.0.2.2" {
		t.Errorf("%s (%s) %q", res.Closing, res.Reason, w.texts)
	}
}

// TestPreview makes the reads inside an approved block before it asks, so that
// the person sees and seals what the effects will act on. What changed since is
// asked about alone.
func TestPreview(t *testing.T) {
	effect := effectAt("contain.b.act")
	with := *effect.Action
	with.With = []plan.NamedValue{{Name: "host", Value: *exprValue(0)}}
	effect.Action = &with
	block := stepAt(plan.Do, "contain.b", func(s *plan.Step) {
		s.Steps = []plan.Step{readAt("contain.b.look"), effect}
		s.Approve = &plan.Approve{Ask: *text("Go?"), From: []plan.Level{{Who: []string{"soc"}}}, Quorum: 1, Denied: plan.OnStop, Silent: plan.OnStop}
	})
	exprs := []plan.Expr{{Text: `steps.look.verdict`, Type: kind.Of(kind.Hostname), Line: 1, Column: 1}}
	ids := []plan.Result{{ID: "look", Type: kind.RecordOf(kind.Field{Name: "verdict", Type: kind.Of(kind.Hostname)})}}
	for _, c := range []struct {
		answers []string
		asked   int
	}{{[]string{"ws-1", "ws-1"}, 1}, {[]string{"ws-1", "ws-2"}, 2}} {
		n := 0
		w := &world{read: func(task.ReadRequest) task.ReadResult {
			n++
			return task.ReadResult{Output: []byte(fmt.Sprintf(`{"verdict":%q}`, c.answers[min(n, len(c.answers))-1]))}
		}}
		res := containing(t, w, exprs, ids, block)
		if res.Closing != "completed" || len(w.opens) != c.asked || n != 2 {
			t.Fatalf("%v: closed %s (%s), asked %d, read %d", c.answers, res.Closing, res.Reason, len(w.opens), n)
		}
		for i, o := range w.opens {
			if !strings.Contains(string(o.Show), c.answers[i]) {
				t.Errorf("question %d shows %s", i, o.Show)
			}
		}
	}
}

// TestTimeoutLeavesPeopleOut counts the time of a step without its questions.
func TestTimeoutLeavesPeopleOut(t *testing.T) {
	ask := stepAt(plan.Ask, "contain.b.ask", func(s *plan.Step) {
		s.People = &plan.AskBody{Text: *text("?"), From: []plan.Level{{Who: []string{"soc"}}}, Silent: plan.OnFail}
	})
	block := func(rest string) plan.Step {
		return stepAt(plan.Do, "contain.b", func(s *plan.Step) {
			s.Timeout = time.Hour
			s.Steps = []plan.Step{pauseAt("contain.b.x", "30m"), ask, pauseAt("contain.b.y", rest)}
		})
	}
	for rest, closing := range map[string]string{"20m": "completed", "40m": "failed"} {
		answered := false
		w := &world{tally: func(task.TallyRequest) task.TallyResult {
			if answered {
				return task.TallyResult{State: "approved", By: []string{"lena"}}
			}
			return task.TallyResult{State: "open"}
		}}
		w.started = func(env *testsuite.TestWorkflowEnvironment) {
			update(env, 30*time.Hour, run.UpdateVoted, "v", run.Voted{}, func() { answered = true })
		}
		if res := containing(t, w, nil, nil, block(rest)); res.Closing != closing {
			t.Errorf("%s more: %s (%s)", rest, res.Closing, res.Reason)
		}
	}
}

// TestAnswers reads what people answer: defaults, choices, tasks.
func TestAnswers(t *testing.T) {
	exprs := []plan.Expr{
		{Text: `["a", "b"]`, Type: kind.ListOf(kind.Of(kind.String)), Line: 1, Column: 1},
		{Text: `outcome.q + " " + (has(steps.q) ? string(steps.q.flag) + " " + steps.q.pick.join(",") : "-")`, Type: kind.Of(kind.String), Line: 1, Column: 1},
		{Text: `string(steps.t.done) + " " + steps.t.?why.orValue("")`, Type: kind.Of(kind.String), Line: 1, Column: 1},
	}
	ids := []plan.Result{
		{ID: "q", Type: kind.RecordOf(kind.Field{Name: "flag", Type: kind.Of(kind.Boolean)}, kind.Field{Name: "pick", Type: kind.ListOf(kind.Of(kind.String))})},
		{ID: "t", Type: kind.RecordOf(kind.Field{Name: "done", Type: kind.Of(kind.Boolean)}, kind.Field{Name: "why", Type: kind.Of(kind.String), Optional: true})},
	}
	question := func(silent plan.OnError) plan.Step {
		return stepAt(plan.Ask, "contain.q", func(s *plan.Step) {
			s.People = &plan.AskBody{Text: *text("?"), From: []plan.Level{{Who: []string{"soc"}}}, Silent: silent, Fields: []plan.AskField{
				{Name: "flag", Type: kind.Of(kind.Boolean), Default: &plan.Value{Literal: []byte(`false`), Type: kind.Of(kind.Boolean)}},
				{Name: "pick", Type: kind.ListOf(kind.Of(kind.String)), Max: 1, Among: exprRef(0)},
			}}
		})
	}
	job := stepAt(plan.Ask, "contain.t", func(s *plan.Step) {
		s.People = &plan.AskBody{Text: *text("Do it"), From: []plan.Level{{Who: []string{"soc"}}}, Silent: plan.OnFail}
	})
	tell := func(i int) plan.Step {
		return stepAt(plan.Note, "contain.n", func(s *plan.Step) { s.Note, s.Text = "n", exprValue(i) })
	}
	yes := func(answer string) task.TallyResult {
		return task.TallyResult{State: "approved", By: []string{"lena"}, Answer: []byte(answer)}
	}
	for _, c := range []struct {
		name    string
		step    plan.Step
		tally   task.TallyResult
		closing string
		note    string
	}{
		{"a default", question(plan.OnFail), yes(`{"pick":["a"]}`), "completed", "done false a"},
		{"given", question(plan.OnFail), yes(`{"flag":true,"pick":[]}`), "completed", "done true "},
		{"not among the choices", question(plan.OnFail), yes(`{"pick":["z"]}`), "failed", ""},
		{"too many", question(plan.OnFail), yes(`{"pick":["a","b"]}`), "failed", ""},
		{"another type", question(plan.OnFail), yes(`{"pick":"a"}`), "failed", ""},
		{"missing", question(plan.OnFail), yes(`{}`), "failed", ""},
		{"refused", question(plan.OnFail), task.TallyResult{State: "denied", By: []string{"lena"}}, "completed", "denied -"},
		{"silent, continue", question(plan.OnContinue), task.TallyResult{State: "expired"}, "completed", "skipped -"},
		{"silent, skip", question(plan.OnSkip), task.TallyResult{State: "expired"}, "completed", "skipped -"},
		{"silent, fail", question(plan.OnFail), task.TallyResult{State: "expired"}, "failed", ""},
		{"silent, stop", question(plan.OnStop), task.TallyResult{State: "expired"}, "denied", ""},
		{"a task", job, yes(``), "completed", "true "},
		{"a task not done", job, yes(`{"done":false,"why":"no key"}`), "completed", "false no key"},
		{"a task denied", job, task.TallyResult{State: "denied", By: []string{"lena"}, Reason: "no key"}, "completed", "false no key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			which := 1
			if c.step.Path == job.Path {
				which = 2
			}
			w := &world{tally: func(task.TallyRequest) task.TallyResult { return c.tally }}
			res := containing(t, w, exprs, ids, c.step, tell(which))
			if res.Closing != c.closing || w.texts["n"] != c.note {
				t.Errorf("%s (%s), note %q", res.Closing, res.Reason, w.texts["n"])
			}
		})
	}
}

// TestSubject asks the affected person first, and says that the answer is not to
// be trusted.
func TestSubject(t *testing.T) {
	h, _ := kind.Canonical(kind.Handle{Name: "user", Instance: "entra", ID: "u1", Label: "ann"})
	st := stepAt(plan.Ask, "contain.q", func(s *plan.Step) {
		s.People = &plan.AskBody{
			Text: *text("Was it you?"), From: []plan.Level{{Who: []string{"soc"}, Within: time.Hour}}, Silent: plan.OnFail,
			Subject: &plan.Value{Literal: h, Type: kind.HandleOf("user")}, Via: "slack", Within: 10 * time.Minute,
		}
	})
	w := &world{tally: func(task.TallyRequest) task.TallyResult {
		return task.TallyResult{State: "approved", By: []string{"subject:entra:u1"}, Untrusted: true}
	}}
	res := containing(t, w, nil, nil, st)
	o := w.opens[0]
	if o.Subject != "subject:entra:u1" || o.Via != "slack" || len(o.Levels) != 2 || o.Levels[0].Who[0] != o.Subject || o.Levels[0].Within != 10*time.Minute {
		t.Errorf("%+v", o)
	}
	if d := res.Tree.Steps[0].Detail; !strings.Contains(d, "untrusted") {
		t.Error(d)
	}
}
