package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// node is one step in the tree that people watch. It lives in workflow memory
// and is rebuilt by replay.
type node struct {
	step     run.StepProgress
	children []*node
}

// begin adds a node for a step under its parent.
func (f frame) begin(st *plan.Step) *node {
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
