package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// node is one step in the tree that people watch. It lives in workflow memory
// and is rebuilt by replay.
type node struct {
	step     run.StepProgress
	children []*node
	// chose is the text by which a switch chose.
	chose string
}

// chose is the text by which the step, if it is a switch, chose.
func (f frame) chose() string { return f.node.chose }

// begin adds a node for a step under its parent; a step that is taken up again
// has one.
func (f frame) begin(st *plan.Step, again bool) *node {
	if again {
		for _, c := range f.node.children {
			if c.step.Path == st.Path && c.step.Iteration == f.iter && c.step.Ended.IsZero() {
				return c
			}
		}
	}
	n := &node{step: run.StepProgress{
		Path: st.Path, Title: st.Title, Kind: string(st.Kind), Phase: string(st.Phase),
		Iteration: f.iter, Status: "running", Began: workflow.Now(f.ctx).UTC(),
	}}
	if st.Action != nil && n.step.Title == "" {
		n.step.Title = st.Action.Name
	}
	f.node.children = append(f.node.children, n)
	return n
}

// end marks a node as ended.
func (n *node) end(at time.Time, status, detail string) {
	n.step.Status, n.step.Detail, n.step.Ended = status, detail, at.UTC()
}

func (n *node) tree() []run.StepProgress {
	out := make([]run.StepProgress, len(n.children))
	for i, c := range n.children {
		out[i] = c.step
		out[i].Steps = c.tree()
	}
	return out
}

// progress answers the query.
func (it *interp) progress() run.Progress {
	return run.Progress{Run: it.in.Run, Closing: it.ended, Phase: string(it.phase), Status: it.status(), Steps: it.root.tree()}
}

// status is the run's state in a word for people.
func (it *interp) status() string {
	switch {
	case it.ended != "":
		return "ended"
	case it.paused != "":
		return "paused"
	case len(it.waits) > 0:
		return "waiting for " + it.waits[0]
	}
	return "running"
}

// mostRounds is how many rounds of a loop that went well a tree shows; of more,
// the numbers stand at the loop.
const mostRounds = 100

// thin leaves of a loop's rounds those that did not go well, and no more of them
// than a tree shows.
func (n *node) thin() {
	if len(n.children) <= 2*mostRounds {
		return
	}
	n.children = slices.DeleteFunc(n.children, func(c *node) bool {
		return !c.step.Ended.IsZero() && task.Outcome(c.step.Status).Happened()
	})
	if more := len(n.children) - mostRounds; more > 0 {
		n.children = slices.DeleteFunc(n.children, func(c *node) bool {
			more--
			return more >= 0 && !c.step.Ended.IsZero()
		})
	}
}
