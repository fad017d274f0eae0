package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/internal/failpoint"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// Bounds of one execution. The server suggests to continue as new from 4,096
// events on and refuses at 51,200; a workflow's input has at most 2 MiB.
const (
	mostEvents = 6000
	mostState  = 1 << 20
)

// continued unwinds to the root: the run goes on in a new execution, between two
// rounds of a loop. On its way up it collects the steps that are under way.
type continued struct {
	loop  run.Loop
	stack []run.Level
	sc    *scope
}

func (c *continued) Error() string { return "the run continues as new" }

// within adds the step that it passes on its way up.
func within(err error, path, chose string) {
	var c *continued
	if errors.As(err, &c) {
		c.stack = append([]run.Level{{Path: path, Case: chose}}, c.stack...)
	}
}

// full reports whether the history is long enough for a new execution, and the
// place one at which a new one can begin.
func (f frame) full() bool {
	if !f.linear || f.sealed != nil {
		return false
	}
	info := workflow.GetInfo(f.ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > mostEvents
}

// resuming finds the step at which a resumed run goes on in a list of steps, and
// leaves the way below it to the step itself.
func (it *interp) resuming(steps []plan.Step) (from int, ok bool) {
	if len(it.way) == 0 {
		return 0, false
	}
	i := slices.IndexFunc(steps, func(s plan.Step) bool { return s.Path == it.way[0].Path })
	return max(0, i), i >= 0
}

// takeUp pops the level of a step that is taken up again; nil where the step
// begins now.
func (it *interp) takeUp(st *plan.Step) *run.Level {
	if len(it.way) == 0 || it.way[0].Path != st.Path {
		return nil
	}
	l := it.way[0]
	it.way = it.way[1:]
	return &l
}

// takeUpLoop gives a loop that is taken up again how far it was; nil where it
// begins now.
func (it *interp) takeUpLoop(again *run.Level) *run.Loop {
	if again == nil || it.resume == nil || len(it.way) > 0 {
		return nil
	}
	l := it.resume.Loop
	it.resume = nil
	return &l
}

// restore sets the interpreter to where the execution before stopped.
func (it *interp) restore(f frame, r *run.Standing) error {
	it.resume, it.way, it.started = r, slices.Clone(r.Stack), r.Started
	it.closing, it.reason, it.phase = r.Closing, r.Reason, plan.PhaseName(r.Phase)
	it.obeyed, it.paused, it.owners = r.Obeyed, r.Paused, r.Owners
	it.said = 1 // verbs may have been said meanwhile
	if err := it.decodeInputs(); err != nil {
		return err
	}
	for _, m := range []struct {
		raw  json.RawMessage
		into map[string]any
	}{{r.Inputs, it.inputs}, {r.Steps, f.sc.steps}, {r.Outcome, f.sc.outcome}, {r.Errors, f.sc.errors}} {
		values, err := thawAll(m.raw)
		if err != nil {
			return fmt.Errorf("take up %s: %w", it.in.Run, err)
		}
		fill(m.into, values)
	}
	fill(it.asked, r.Asked)
	fill(it.tried, r.Tried)
	fill(it.taken, r.Taken)
	fill(it.served, r.Served)
	fill(it.heldUntil, r.HeldUntil)
	fill(it.reached, r.Reached)
	fill(it.lent, r.Lent)
	it.root.children = planted(r.Tree)
	return nil
}

// save writes where the run stands. ok is false where that is too much to travel:
// then the run goes on as it is.
func (it *interp) save(f frame, c *continued) (*run.Standing, error) {
	r := &run.Standing{
		Started: it.started, Phase: string(it.phase), Closing: it.closing, Reason: it.reason, Stack: c.stack, Loop: c.loop,
		Asked: it.asked, Tried: it.tried, Taken: it.taken, Served: it.served, HeldUntil: it.heldUntil, Reached: it.reached, Lent: it.lent,
		Obeyed: it.obeyed, Paused: it.paused, Owners: it.owners, Tree: it.root.tree(),
	}
	for _, m := range []struct {
		from map[string]any
		into *json.RawMessage
	}{{it.filled(), &r.Inputs}, {c.sc.steps, &r.Steps}, {c.sc.outcome, &r.Outcome}, {c.sc.errors, &r.Errors}} {
		raw, err := freezeAll(m.from)
		if err != nil {
			return nil, fmt.Errorf("save %s: %w", it.in.Run, err)
		}
		*m.into = raw
	}
	return r, nil
}

// filled are the inputs that nobody gave: their defaults may have read the time.
func (it *interp) filled() map[string]any {
	var given map[string]json.RawMessage
	_ = json.Unmarshal(it.in.Inputs, &given)
	out := map[string]any{}
	for _, in := range it.plan.Inputs {
		if _, ok := given[in.Name]; !ok && it.inputs[in.Name] != nil {
			out[in.Name] = it.inputs[in.Name]
		}
	}
	return out
}

// goOn makes the error with which a loop lets the run continue as new; nil where
// what the run knows is too much to travel: then it goes on as it is.
func (it *interp) goOn(f frame, st *plan.Step, loop run.Loop) error {
	c := &continued{loop: loop, stack: []run.Level{{Path: st.Path}}, sc: f.sc}
	r, err := it.save(f, c)
	if err != nil {
		return nil
	}
	raw, err := json.Marshal(r)
	if err != nil || len(raw) > mostState {
		return nil
	}
	return c
}

// anew makes the error with which the execution ends and the next begins.
func (it *interp) anew(ctx workflow.Context, r *run.Standing) error {
	in := it.in
	in.Resume = r
	failpoint.Here("run.goes_on", in.Run)
	return workflow.NewContinueAsNewError(ctx, run.PlaybookWorkflow, in)
}

// planted makes nodes of a stored tree.
func planted(list []run.StepProgress) []*node {
	out := make([]*node, len(list))
	for i, s := range list {
		out[i] = &node{step: s, children: planted(s.Steps)}
		out[i].step.Steps = nil
	}
	return out
}

// sortedNames lists the names of a map in their order.
func sortedNames(m map[string]any) []string { return workflow.DeterministicKeys(m) }

// fill copies what a run had into what it has, in the order of the keys.
func fill[V any](into, from map[string]V) {
	for _, k := range workflow.DeterministicKeys(from) {
		into[k] = from[k]
	}
}
