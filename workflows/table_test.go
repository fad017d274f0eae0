package workflows

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// subject is one kind of step with one way in which it fails. make gives the step
// at a path; spoil makes the world fail it, for the first time or for ever.
type subject struct {
	kind, failure string
	make          func(path string) plan.Step
	spoil         func(w *world, once bool)
	// outcome is what outcome.ID shows of the failure; asks says that a person is
	// asked about it where on_error is ask, with these options.
	outcome string
	asks    bool
	options string
	// mends says that a second try goes well.
	mends bool
}

const (
	usual   = "retry skip by_hand stop"
	notSure = "done not_done by_hand skip stop"
)

// The expressions of the table: one that fails, three elements, one that holds, one
// that does not.
var tableExprs = []plan.Expr{
	{Text: `[true][size(run.id)]`, Type: kind.Of(kind.Boolean), Line: 1, Column: 1},
	{Text: `["a", "b", "c"]`, Type: kind.ListOf(kind.Of(kind.String)), Line: 1, Column: 1},
	{Text: `true`, Type: kind.Of(kind.Boolean), Line: 1, Column: 1},
	{Text: `false`, Type: kind.Of(kind.Boolean), Line: 1, Column: 1},
}

func exprValue(i int) *plan.Value { r := plan.ExprRef(i); return &plan.Value{Expr: &r} }

func exprRef(i int) *plan.ExprRef { r := plan.ExprRef(i); return &r }

// step makes a step of a kind at a path; its id is the last part of the path.
func stepAt(k plan.StepKind, path string, mod func(*plan.Step)) plan.Step {
	phase, _, _ := strings.Cut(path, ".")
	st := plan.Step{Kind: k, Path: path, ID: path[strings.LastIndexByte(path, '.')+1:], Phase: plan.PhaseName(phase), OnError: plan.OnFail}
	if mod != nil {
		mod(&st)
	}
	return st
}

func effectAt(path string) plan.Step {
	return stepAt(plan.Uses, path, func(s *plan.Step) {
		s.Action = isolateStep(nil).Action
	})
}

func readAt(path string) plan.Step {
	return stepAt(plan.Uses, path, func(s *plan.Step) {
		s.Action = &plan.ActionCall{Name: "intel.lookup_hash", Reads: []string{"*"}, With: []plan.NamedValue{{Name: "value", Value: *text("x")}}}
	})
}

// spoilAct lets effects whose path begins so fail; undo says that it is the way
// back that fails.
func spoilAct(path string, r task.ActResult, direction run.Direction) func(*world, bool) {
	return func(w *world, once bool) {
		n := 0
		w.act = func(q task.ActRequest) task.ActResult {
			if q.Key.Direction == direction && strings.HasSuffix(q.Key.Step, path) {
				if n++; n == 1 || !once {
					return r
				}
			}
			return task.ActResult{Outcome: task.Done, Output: []byte(`{"state":"isolated"}`)}
		}
	}
}

func spoilRead(path string) func(*world, bool) {
	return func(w *world, once bool) {
		n := 0
		w.read = func(q task.ReadRequest) task.ReadResult {
			if strings.HasSuffix(q.Step, path) {
				if n++; n == 1 || !once {
					return task.ReadResult{Failure: &task.Failure{Kind: "permission", Message: "no"}}
				}
			}
			return task.ReadResult{Output: []byte(`{"verdict":"bad"}`)}
		}
	}
}

func unspoiled(*world, bool) {}

// subjects are all kinds with the ways in which they fail.
func subjects() []subject {
	failed := task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: "permission", Message: "no"}}
	refused := task.ActResult{Outcome: task.Refused, Detail: "a guard"}
	unknown := task.ActResult{Outcome: task.Unknown, Detail: "the answer was lost"}
	block := func(k plan.StepKind, inner func(string) plan.Step, mod func(*plan.Step, plan.Step)) func(string) plan.Step {
		return func(path string) plan.Step {
			return stepAt(k, path, func(s *plan.Step) { mod(s, inner(path+".in")) })
		}
	}
	do := func(s *plan.Step, in plan.Step) { s.Steps = []plan.Step{in} }
	fork := func(s *plan.Step, in plan.Step) {
		other := readAt(strings.Replace(in.Path, ".in", ".other.look", 1))
		other.ID = "look"
		s.Fork = &plan.ParallelBody{Branches: []plan.Branch{{Name: "one", Steps: []plan.Step{in}}, {Name: "other", Steps: []plan.Step{other}}}}
	}
	choose := func(s *plan.Step, in plan.Step) {
		s.Choose = &plan.SwitchBody{On: 2, Cases: []plan.Case{{Keys: []string{"true"}, Steps: []plan.Step{in}}}}
	}
	each := func(mod func(*plan.Step)) func(string) plan.Step {
		return func(path string) plan.Step {
			s := effectAt(path)
			s.Foreach = &plan.Foreach{Var: "h", In: 1, AtOnce: 2, OnItemError: plan.OnFail}
			mod(&s)
			return s
		}
	}
	list := []subject{
		{"read", "permission", readAt, spoilRead(".subject"), "failed", true, usual, true},
		{"effect", "failed", effectAt, spoilAct(".subject", failed, run.Do), "failed", true, usual, true},
		{"effect", "refused", effectAt, spoilAct(".subject", refused, run.Do), "refused", true, usual, true},
		{"effect", "unknown", effectAt, spoilAct(".subject", unknown, run.Do), "unknown", true, notSure, true},
		{"foreach of effects", "one fails", each(func(*plan.Step) {}), spoilAct(".subject", failed, run.Do), "failed", true, usual, true},
		{"foreach of blocks", "one fails", func(path string) plan.Step {
			s := block(plan.Do, readAt, do)(path)
			s.Foreach = &plan.Foreach{Var: "h", In: 1, AtOnce: 1, OnItemError: plan.OnFail}
			return s
		}, spoilRead(".in"), "failed", true, usual, true},
		{"repeat", "a round fails", func(path string) plan.Step {
			s := block(plan.Do, readAt, do)(path)
			s.Repeat = &plan.Repeat{Until: 2, Every: time.Minute, Max: 3, Late: plan.OnFail}
			return s
		}, spoilRead(".in"), "failed", true, usual, true},
		{"do", "a step in it fails", block(plan.Do, readAt, do), spoilRead(".in"), "failed", true, usual, true},
		{"do", "an effect in it fails", block(plan.Do, effectAt, do), spoilAct(".in", failed, run.Do), "failed", true, usual, true},
		{"parallel", "a branch fails", block(plan.Parallel, readAt, fork), spoilRead(".in"), "failed", true, usual, true},
		{"switch", "a step in it fails", block(plan.Switch, readAt, choose), spoilRead(".in"), "failed", true, usual, true},
		{"call", "the callee fails", callAt, spoilRead("triage.look"), "failed", true, usual, true},
		{"ask", "nobody answers", func(path string) plan.Step {
			return stepAt(plan.Ask, path, func(s *plan.Step) {
				s.People = &plan.AskBody{Text: *text("What?"), From: []plan.Level{{Who: []string{"soc"}, Within: time.Hour}}, Silent: plan.OnFail}
			})
		}, func(w *world, once bool) { w.tally = silence(w, once) }, "failed", true, usual, true},
		{"approve", "it is denied", func(path string) plan.Step {
			s := effectAt(path)
			s.Approve = &plan.Approve{Ask: *text("Go?"), From: []plan.Level{{Who: []string{"soc"}}}, Quorum: 1, Denied: plan.OnFail, Silent: plan.OnStop}
			return s
		}, func(w *world, _ bool) {
			w.tally = func(task.TallyRequest) task.TallyResult {
				return task.TallyResult{State: "denied", By: []string{"lena"}}
			}
		}, "denied", false, "", false},
		{"undo", "it is still there", func(path string) plan.Step {
			return stepAt(plan.Undo, path, func(s *plan.Step) { s.Undoes = []string{"target"} })
		}, spoilAct(".target", failed, run.Undo), "failed", true, usual, true},
		{"undo", "it is not known whether", func(path string) plan.Step {
			return stepAt(plan.Undo, path, func(s *plan.Step) { s.Undoes = []string{"target"} })
		}, spoilAct(".target", unknown, run.Undo), "failed", true, notSure, true},
		{"fail", "always", func(path string) plan.Step {
			return stepAt(plan.Fail, path, func(s *plan.Step) { s.Text = text("enough") })
		}, unspoiled, "failed", true, usual, false},
	}
	list = append(list, lateSubjects(block)...)
	list = append(list, heldSubjects(failed, unknown)...)
	// What fails by an expression fails again.
	for k, mod := range map[plan.StepKind]func(*plan.Step){
		plan.Set:    func(s *plan.Step) { s.Assign = []plan.NamedValue{{Name: "x", Value: *exprValue(0)}} },
		plan.Wait:   func(s *plan.Step) { s.Pause = &plan.WaitBody{For: exprValue(0)} },
		plan.Switch: func(s *plan.Step) { s.Choose = &plan.SwitchBody{On: 0} },
		plan.Note:   func(s *plan.Step) { s.Text, s.Note = exprValue(0), "n" },
		plan.Report: func(s *plan.Step) { s.Text = exprValue(0) },
		plan.Undo:   func(s *plan.Step) { s.UndoOf = exprValue(0) },
		plan.Do:     func(s *plan.Step) { s.If = exprRef(0) },
	} {
		list = append(list, subject{string(k), "an expression", func(path string) plan.Step { return stepAt(k, path, mod) }, unspoiled, "failed", true, usual, false})
	}
	slices.SortFunc(list, func(a, b subject) int { return strings.Compare(a.kind+a.failure, b.kind+b.failure) })
	return list
}

// silence lets the first question, or all of them, go unanswered.
func silence(w *world, once bool) func(task.TallyRequest) task.TallyResult {
	quiet := ""
	return func(q task.TallyRequest) task.TallyResult {
		if quiet == "" || !once {
			quiet = q.ID
		}
		if q.ID == quiet {
			return task.TallyResult{State: "expired"}
		}
		return task.TallyResult{State: "approved", By: []string{"lena"}}
	}
}

// called is the plan of the callee of the table.
func calledPlan(t *testing.T) []byte {
	t.Helper()
	return complete(t, &plan.Plan{Phases: []plan.Phase{
		{Name: plan.Triage, Steps: []plan.Step{readAt("triage.look")}},
		{Name: plan.Review, Steps: []plan.Step{reportStep()}},
	}}, "q")
}

func callAt(path string) plan.Step {
	return stepAt(plan.Call, path, func(s *plan.Step) { s.Child = &plan.CallBody{Playbook: "q"} })
}

// reactions are the values of on_error with what a person then says.
var reactions = []struct {
	onError plan.OnError
	says    []string
}{
	{plan.OnFail, nil},
	{plan.OnContinue, nil},
	{plan.OnAsk, []string{"skip"}},
	{plan.OnAsk, []string{"by_hand"}},
	{plan.OnAsk, []string{"stop"}},
	{plan.OnAsk, []string{"retry", "skip"}},
}

// TestTable runs every kind × failure × on_error × phase, and holds what came of
// it against rules that are written here anew: which step has which outcome,
// whether the steps behind it ran, who was asked what, how the run closed.
func TestTable(t *testing.T) {
	cases, asked := 0, 0
	kinds := map[string]bool{}
	for _, s := range subjects() {
		kinds[s.kind] = true
		for _, r := range reactions {
			for _, phase := range plan.PhaseOrder() {
				cases++
				name := fmt.Sprintf("%s/%s/%s %s/%s", s.kind, s.failure, r.onError, strings.Join(r.says, " "), phase)
				t.Run(name, func(t *testing.T) { asked += tableCase(t, s, phase, r.onError, slices.Clone(r.says)) })
			}
		}
	}
	t.Logf("%d kinds with %d ways to fail, %d reactions, %d phases: %d runs, people asked %d times",
		len(kinds), len(subjects()), len(reactions), len(plan.PhaseOrder()), cases, asked)
}

// tablePlan puts the subject into a phase, with an effect before it and a step
// behind it, and a step into each other phase.
func tablePlan(t *testing.T, st plan.Step, phase plan.PhaseName) *plan.Plan {
	p := &plan.Plan{Exprs: tableExprs}
	for _, name := range plan.PhaseOrder() {
		after := stepAt(plan.Set, string(name)+".after_"+string(name), func(s *plan.Step) { s.Assign = []plan.NamedValue{{Name: "x", Value: *text("y")}} })
		steps := []plan.Step{after}
		if name == phase {
			steps = []plan.Step{effectAt(string(name) + ".target"), st, after}
		}
		if name == plan.Review {
			steps = append(steps, reportStep())
		}
		p.Phases = append(p.Phases, plan.Phase{Name: name, Steps: steps})
	}
	for _, id := range []string{"subject", "target", "in", "look"} {
		p.Results = append(p.Results, plan.Result{ID: id})
	}
	if st.Kind == plan.Call {
		raw := calledPlan(t)
		p.Children = []plan.Child{{Playbook: "q", Digest: plan.DigestOf(raw), Plan: raw}}
	}
	return p
}

func tableCase(t *testing.T, s subject, phase plan.PhaseName, onError plan.OnError, says []string) int {
	path := string(phase) + ".subject"
	st := s.make(path)
	st.OnError = onError
	if s.kind == "foreach of blocks" || s.kind == "do" || s.kind == "parallel" || s.kind == "repeat" || s.kind == "switch" || s.kind == "timeout" {
		// The steps inside fail; the block decides.
		for _, in := range st.Inside() {
			for i := range in {
				in[i].OnError = plan.OnFail
			}
		}
	}
	w := &world{stack: []task.StackItem{{
		Key:    run.Key{Tenant: "default", Run: "p/x/1", Step: string(phase) + ".target", Direction: run.Do, Generation: 1}.String(),
		Action: "edr.isolate_host", Reversal: "exact",
	}}}
	s.spoil(w, len(says) > 0 && says[0] == "retry")
	w.says(&says)
	p := tablePlan(t, st, phase)
	if st.Kind == plan.Call {
		for _, steps := range p.Phases {
			for i := range steps.Steps {
				if steps.Steps[i].Child != nil {
					steps.Steps[i].Child.Digest = p.Children[0].Digest
				}
			}
		}
	}
	w.fill()
	res := playPlan(t, w, "act", p)

	want := expect(s, phase, onError, w.said)
	got := seen(res, path, phase)
	if got != want {
		t.Errorf("got  %+v\nwant %+v\nreason %q, asked %v", got, want, res.Reason, w.failures())
	}
	if closed, open := len(w.closed), len(w.opens); closed != open {
		t.Errorf("%d requests were opened, %d closed", open, closed)
	}
	for _, o := range w.failures() {
		for opt := range strings.FieldsSeq(s.options) {
			if !strings.Contains(string(o.Fields), `"`+opt+`"`) {
				t.Errorf("%s was not offered: %s", opt, o.Fields)
			}
		}
		if strings.Count(string(o.Fields), ",") > 20 || s.options == notSure && strings.Contains(string(o.Fields), `"retry"`) {
			t.Errorf("offered %s", o.Fields)
		}
	}
	return len(w.failures())
}

// says answers questions about failures with the words of a list, in order, and
// with stop when they are used up.
func (w *world) says(words *[]string) {
	others := w.tally
	w.tally = func(q task.TallyRequest) task.TallyResult {
		i := slices.IndexFunc(w.opens, func(o task.OpenRequest) bool { return o.ID == q.ID })
		if w.opens[i].Kind != "failure" {
			if others != nil {
				return others(q)
			}
			return task.TallyResult{State: "approved", By: []string{"lena"}}
		}
		word := "stop"
		if len(*words) > 0 {
			word, *words = (*words)[0], (*words)[1:]
		}
		if word == "retry" && !strings.Contains(string(w.opens[i].Fields), `"retry"`) {
			word = "not_done" // what a retry is while the outcome is unknown
		}
		w.said = append(w.said, word)
		raw, _ := json.Marshal(map[string]string{"choice": word})
		return task.TallyResult{State: "approved", By: []string{"lena"}, Answer: raw}
	}
}

// failures are the requests about steps that went wrong.
func (w *world) failures() []task.OpenRequest {
	var out []task.OpenRequest
	for _, o := range w.opens {
		if o.Kind == "failure" {
			out = append(out, o)
		}
	}
	return out
}

// row is what the table compares of a run.
type tableRow struct {
	status        string // of the subject, in the tree
	behind, later bool   // whether the step behind it ran, and a step of a later phase
	report        bool
	closing       string
	reviewFailed  bool
}

func seen(res run.Result, path string, phase plan.PhaseName) tableRow {
	r := tableRow{closing: res.Closing, reviewFailed: strings.HasPrefix(res.Reason, "review: ")}
	for _, s := range res.Tree.Steps {
		switch {
		case s.Path == path:
			r.status = s.Status
		case s.Path == string(phase)+".after_"+string(phase):
			r.behind = true
		case strings.Contains(s.Path, ".after_recover"):
			r.later = true
		case s.Path == "review.pir":
			r.report = s.Status == "done"
		}
	}
	if phase == plan.Recover {
		r.later = r.behind
	}
	return r
}

// expect says what the language promises.
func expect(s subject, phase plan.PhaseName, onError plan.OnError, said []string) tableRow {
	r := tableRow{status: s.outcome, behind: true, later: true, report: true, closing: "completed"}
	last := ""
	if onError == plan.OnAsk && s.asks {
		if len(said) == 0 {
			return tableRow{status: "nobody was asked"}
		}
		last = said[len(said)-1]
	}
	ends := onError == plan.OnFail || (onError == plan.OnAsk && !s.asks)
	switch last {
	case "retry", "not_done":
		r.status = "done"
		if !s.mends {
			return tableRow{status: "it was not asked again"}
		}
	case "skip":
		r.status = "skipped"
	case "by_hand":
		r.status = "done"
	case "stop":
		ends, r.status = true, "ended"
	}
	if ends {
		r.behind = phase == plan.Review // one failed step of a review keeps no other from running
		r.later = phase == plan.Review
		r.closing, r.reviewFailed = "failed", phase == plan.Review
		if phase == plan.Review {
			r.closing = "completed"
		}
	}
	return r
}
