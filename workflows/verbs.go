package workflows

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// control is what verbs reach of a step that is under way.
type control struct {
	place  string
	around *control
	cancel workflow.CancelFunc
	// acting counts the effects under way in the step: while there is one, the
	// step is not skipped, for nobody would know what became of it.
	acting int
	// options are what the question about the step's failure offers, while it is
	// open; order is the verb that answered it.
	options []string
	order   *run.Verb
	// skipped says who ended the step, once somebody did.
	skipped string
}

// controlled puts a step under control.
func (it *interp) controlled(f frame, st *plan.Step) (frame, *control) {
	c := &control{place: place(st, f), around: f.ctl}
	f.ctx, c.cancel = workflow.WithCancel(f.ctx)
	f.ctl = c
	it.controls = append(it.controls, c)
	return f, c
}

// uncontrolled ends that. The step's context is left as it is: to cancel it would
// cancel timers that earlier builds let run out, and their histories with them.
func (it *interp) uncontrolled(c *control) {
	it.controls = slices.DeleteFunc(it.controls, func(o *control) bool { return o == c })
}

// acts counts an effect as under way in the step and in all around it.
func (c *control) acts(n int) {
	for ; c != nil; c = c.around {
		c.acting += n
	}
}

// gate is passed before a step or round begins: it holds a paused run and turns
// back a cancelled one.
func (it *interp) gate(f frame) error {
	if f.ctx.Err() != nil {
		return temporal.NewCanceledError()
	}
	if it.paused == "" {
		return nil
	}
	return workflow.Await(f.ctx, func() bool { return it.paused == "" })
}

// hear obeys verbs for as long as the run goes, its review included. It reads
// the stored verbs; an Update only says when to look.
func (it *interp) hear(ctx workflow.Context) {
	defer func() { it.heard = -1 }()
	for {
		if workflow.Await(ctx, func() bool { return it.said != it.heard }) != nil {
			return
		}
		for now := it.said; ; {
			var res task.VerbsResult
			if execute(ctx, task.VerbsActivity, task.VerbsRequest{Tenant: it.in.Tenant, Run: it.in.Run, After: it.obeyed}, &res) != nil || len(res.Verbs) == 0 {
				it.heard = now
				break
			}
			for _, v := range res.Verbs {
				it.obeyed = v.N
				req := task.AnswerRequest{
					Place: task.Place{Tenant: it.in.Tenant, Run: it.in.Run, Playbook: it.in.Playbook, Digest: it.in.Digest, Step: v.Step},
					N:     v.N, Verb: v.Verb, Actor: v.Actor, Answer: it.obey(v),
				}
				if execute(ctx, task.AnswerActivity, req, nil) != nil {
					return
				}
			}
		}
	}
}

// heardAll waits until every verb that the run was told of has its answer.
func (it *interp) heardAll(ctx workflow.Context) error {
	return workflow.Await(ctx, func() bool { return it.heard == it.said || it.heard < 0 })
}

// done is the answer to a verb that was obeyed.
const done = "done"

// obey does what a verb says, and answers done or why not.
func (it *interp) obey(v run.Verb) string {
	who := v.Actor
	if v.Reason != "" {
		who += ": " + v.Reason
	}
	switch v.Verb {
	case run.Pause:
		if it.paused != "" {
			return "it was paused already by " + it.paused
		}
		it.paused = who
	case run.Resume:
		if it.paused == "" {
			return "it is not paused"
		}
		it.paused = ""
	case run.Cancel:
		if it.phase == plan.Review {
			return "its phases are over; the review always runs"
		}
		it.cancelledBy = who
		it.cancel()
	case run.RetryStep, run.SkipStep:
		return it.order(v, who)
	case run.HandOver:
		it.owners = v.To
	default:
		return fmt.Sprintf("this build knows no verb %q", v.Verb)
	}
	return done
}

// order brings a verb to the step that it names.
func (it *interp) order(v run.Verb, who string) string {
	i := slices.IndexFunc(it.controls, func(c *control) bool { return c.place == v.Step+"#"+v.Iteration })
	if i < 0 {
		return "the step is not under way"
	}
	c := it.controls[i]
	want := "retry"
	if v.Verb == run.SkipStep {
		want = "skip"
	}
	switch {
	case slices.Contains(c.options, want):
		c.order = &v
	case len(c.options) > 0:
		return "the step takes only " + strings.Join(c.options, ", ")
	case v.Verb == run.RetryStep:
		return "the step has not failed"
	case c.acting > 0:
		return "an effect of the step is under way; say it again when that has an outcome"
	default:
		c.skipped = "skipped by " + who
		c.cancel()
	}
	return done
}

// offers says what the open question about the step's failure takes.
func (c *control) offers(options []string) {
	if c != nil {
		c.options = options
	}
}

// ordered reports whether a verb has answered the question about the step.
func (c *control) ordered() bool { return c != nil && c.order != nil }

// obeyed takes the verb as the answer.
func (c *control) obeyed() troubleChoice {
	v := c.order
	c.order = nil
	choice := "retry"
	if v.Verb == run.SkipStep {
		choice = "skip"
	}
	return troubleChoice{choice: choice, actor: v.Actor, reason: v.Reason}
}
