package workflows

import (
	"encoding/json"
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// shortLoop is up to how many elements a loop keeps the records of its rounds
// though no expression reads them.
const shortLoop = 1000

// rounds are the rounds of a foreach so far.
type rounds struct {
	// list has their records, in the order of the input; nil where nobody reads
	// them.
	list   []any
	total  int
	counts map[string]int
	ok     int
}

// needs reports whether a loop keeps the records of its rounds.
func (it *interp) needs(st *plan.Step, n int) bool { return n <= shortLoop || it.recordsRead(st) }

// recordsRead reports whether an expression reads the records of a loop's rounds.
func (it *interp) recordsRead(st *plan.Step) bool {
	return slices.ContainsFunc(it.plan.Exprs, func(e plan.Expr) bool { return slices.Contains(e.Uses, "steps."+st.ID) })
}

// heavyRecords is up to how many bytes a short loop carries its records into the
// next execution though no expression reads them.
const heavyRecords = mostState / 2

// lighten leaves the records behind that are too much to travel and that nobody
// reads: a loop over large results must go on in another execution all the more.
func (it *interp) lighten(f frame, st *plan.Step, r *rounds, l *run.Loop) {
	if len(l.Rounds) <= heavyRecords || it.recordsRead(st) || workflow.GetVersion(f.ctx, "lighten", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	r.list, l.Rounds = nil, nil
}

// stable reports whether an expression gives the same list whenever it is
// evaluated: only then may its loop go on in another execution.
func (it *interp) stable(ref plan.ExprRef) bool {
	uses := it.plan.Exprs[ref].Uses
	return !slices.Contains(uses, "now") && !slices.Contains(uses, "run.open")
}

// takeUpRounds makes the rounds of a loop over n elements, with those that there
// are already, and tells which element comes next. A loop that left its records
// behind keeps none of the others either.
func takeUpRounds(loop *run.Loop, n int, keep bool) (*rounds, int, error) {
	r := &rounds{total: n, counts: map[string]int{}}
	if keep {
		r.list = make([]any, n)
	}
	if loop == nil {
		return r, 0, nil
	}
	r.ok = loop.OK
	for _, o := range outcomes {
		r.counts[string(o)] = loop.Counts[string(o)]
	}
	if !keep || len(loop.Rounds) == 0 {
		r.list = nil
		return r, loop.Next, nil
	}
	var f frozen
	if err := json.Unmarshal(loop.Rounds, &f); err != nil {
		return nil, 0, failed("internal", "the rounds before cannot be read: %v", err)
	}
	v, err := thaw(f)
	if err != nil {
		return nil, 0, failed("internal", "the rounds before cannot be read: %v", err)
	}
	before, _ := v.([]any)
	copy(r.list, before)
	return r, loop.Next, nil
}

// outcomes are those that are counted.
var outcomes = []task.Outcome{task.Done, task.Already, task.Partial, task.Simulated, task.Skipped, task.Denied, task.Refused, task.Failed, task.Unknown}

func (r *rounds) add(i int, one round) {
	if r.list != nil {
		r.list[i] = one.rec
	}
	r.counts[string(one.outcome)]++
	if one.rec["ok"] == true {
		r.ok++
	}
}

// loop writes how far the rounds are.
func (r *rounds) loop(next int) (run.Loop, error) {
	l := run.Loop{Next: next, Counts: r.counts, OK: r.ok}
	if r.list == nil {
		return l, nil
	}
	f, err := freeze(r.list[:next])
	if err != nil {
		return l, failed("internal", "the rounds cannot be kept: %v", err)
	}
	if l.Rounds, err = json.Marshal(f); err != nil {
		return l, failed("internal", "the rounds cannot be kept: %v", err)
	}
	return l, nil
}

// summary is the outcome of a loop: done where all rounds were, failed where
// none was, partial between; skipped over nothing.
func (r *rounds) summary() result {
	res := result{detail: fmt.Sprintf("%d of %d", r.ok, r.total)}
	if r.list != nil {
		res.out = r.list
	}
	switch {
	case r.total == 0:
		res.outcome = task.Skipped
	case r.counts[string(task.Simulated)] == r.total:
		res.outcome = task.Simulated
	case r.ok == r.total:
		res.outcome = task.Done
	case r.ok == 0:
		res.outcome = task.Failed
	default:
		res.outcome = task.Partial
	}
	return res
}
