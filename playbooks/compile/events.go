package compile

import (
	"time"

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/plan"
)

const (
	// maxEvents is the most events that one history may have.
	maxEvents = 10_000
	// chunk is after how many elements of a long list a run may continue as new.
	chunk = 100
	// assumed is how long a list is taken to be whose bound is not known.
	assumed = 1000
)

// What steps cost in events of a history, as the interpreter writes them: an
// activity has three, the workflow task behind it three more; an effect has its
// admission, its hold and its call; a question is opened, looked at and closed.
const (
	readEvents   = 6
	effectEvents = 24
	peopleEvents = 30
	waitEvents   = 5
	childEvents  = 12
)

// events estimates how many events the history of a run has at most between two
// places where it can continue as new, sets those places on long loops, and
// refuses a playbook whose runs would not fit.
func (u *unit) events() {
	total := 0
	for _, ph := range u.tree.Phases {
		total += u.eventsOf(ph.Steps, true)
	}
	if total <= maxEvents {
		return
	}
	worst, most := (*ast.Step)(nil), 0
	for _, ph := range u.tree.Phases {
		for _, st := range ph.Steps {
			if n := u.eventsOf([]*ast.Step{st}, true); n > most {
				worst, most = st, n
			}
		}
	}
	if worst != nil {
		u.report("too-many-events", head(u.file, worst.Span), "bound its lists with max or .take(n), or move the inner loop into a playbook of its own and call it",
			"a run may write about %d events; a history has at most %d, and this step alone has %d", total, maxEvents, most)
	}
}

// eventsOf adds up steps. top says that no loop and no parallel is around them.
func (u *unit) eventsOf(list []*ast.Step, top bool) int {
	sum := 0
	for _, st := range list {
		sum = capped(sum + u.eventsOfStep(st, top))
	}
	return sum
}

func (u *unit) eventsOfStep(st *ast.Step, top bool) int {
	in := u.infos[st]
	if in.drafted == nil {
		return 0
	}
	d := in.drafted
	loop := d.Foreach != nil || d.Repeat != nil
	n := u.eventsOfBody(st, in, top && !loop && d.Fork == nil)
	switch {
	case d.Foreach != nil:
		rounds := d.Foreach.Max
		if rounds == 0 {
			rounds = assumed
		}
		if top && rounds > chunk {
			d.Foreach.Chunk = chunk
			rounds = chunk
		}
		n = capped(n * rounds)
	case d.Repeat != nil:
		n += waitEvents
		if !top { // at the top each round may begin a new history
			n = capped(n * roundsOf(d.Repeat))
		}
	}
	if d.Approve != nil {
		n += peopleEvents
	}
	return capped(n)
}

func (u *unit) eventsOfBody(st *ast.Step, in *info, top bool) int {
	n := 0
	for _, inside := range st.Inside() {
		n = capped(n + u.eventsOf(inside, top))
	}
	switch plan.StepKind(st.Kind.String()) {
	case plan.Uses:
		if in.action != nil && in.action.Effect() {
			return effectEvents
		}
		return readEvents
	case plan.Ask:
		return peopleEvents
	case plan.Call:
		return childEvents
	case plan.Wait:
		return waitEvents
	case plan.Undo, plan.Report, plan.Note:
		return readEvents
	default: // other kinds of step
	}
	return n
}

// roundsOf is how many rounds a repeat has at most.
func roundsOf(r *plan.Repeat) int {
	n := r.Max
	if r.Within > 0 && r.Every > 0 {
		if m := int(r.Within/max(r.Every, time.Second)) + 1; n == 0 || m < n {
			n = m
		}
	}
	return max(n, 1)
}

// capped keeps a sum from overflowing.
func capped(n int) int { return min(n, 1<<30) }
