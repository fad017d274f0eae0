package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/failpoint"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// Workflows holds what all workflows of a worker share.
type Workflows struct {
	Programs *Programs
}

// New makes the workflows of a worker.
func New() *Workflows { return &Workflows{Programs: NewPrograms()} }

// Registry is the part of worker.Worker that Register needs.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
}

// Register makes the workflows known under their names.
func (w *Workflows) Register(r Registry) {
	r.RegisterWorkflowWithOptions(w.Playbook, workflow.RegisterOptions{Name: run.PlaybookWorkflow})
	r.RegisterWorkflowWithOptions(Undo, workflow.RegisterOptions{Name: run.UndoWorkflow})
	r.RegisterWorkflowWithOptions(Hold, workflow.RegisterOptions{Name: run.HoldWorkflow})
	r.RegisterWorkflowWithOptions(Firing, workflow.RegisterOptions{Name: run.FiringWorkflow})
	r.RegisterWorkflowWithOptions(Doubt, workflow.RegisterOptions{Name: run.DoubtWorkflow})
}

// interp is one run.
type interp struct {
	*program
	in       run.Input
	started  time.Time
	inputs   map[string]any
	settings map[string]any
	// closing is what expressions see as run.closing; ended is set once the run
	// is over.
	closing, reason, ended string
	phase                  plan.PhaseName
	root                   *node
	// waits are the kinds of the requests that are open, in the order in which
	// they were opened.
	waits []string
	// voted, alerted and said count the Updates; whoever waits compares.
	voted, alerted, said int
	// asked counts the requests per place, for their ids.
	asked map[string]int
	// tried counts the generations of an effect per place.
	tried map[string]int
	// taken is the last alert that each wait took.
	taken map[string]int64
	// served is the instance that an effect at a place went to.
	served map[string]string
	// heldUntil is when the holds that the run began are over.
	heldUntil map[string]time.Time
	// reached counts the targets that the run's own effects reached, lent what
	// called runs may reach, both per action.
	reached, lent map[string]int

	// cancel ends the phases; cancelledBy says who wanted it, where a verb did.
	cancel      workflow.CancelFunc
	cancelledBy string
	// paused says who paused the run, or is empty.
	paused string
	// owners are whom the run asks about failures since it was handed over.
	owners []string
	// controls are the steps under way; obeyed is the last verb that was obeyed,
	// heard the number of Updates after which verbs were looked for, -1 once
	// nobody looks any more.
	controls []*control
	obeyed   int64
	heard    int
	// quick counts the reads under way by local activities.
	quick int
	// locals and localBytes are the results of local activities since the last
	// breath; resting says that one is taken.
	locals, localBytes int
	resting            bool
	// wide counts the reads under way that may bring as much as any, queued those
	// that wait to become such.
	wide, queued int
	// narrow counts those that may bring a little, by instance.
	narrow map[string]int
	// resume is where the run goes on, until the loop there was taken up; way are
	// the steps that lead there.
	resume *run.Standing
	way    []run.Level
}

func newInterp(in run.Input) *interp {
	return &interp{
		in: in, inputs: map[string]any{}, settings: map[string]any{}, closing: closedCompleted, root: &node{},
		asked: map[string]int{}, tried: map[string]int{}, taken: map[string]int64{}, heldUntil: map[string]time.Time{},
		served: map[string]string{}, narrow: map[string]int{}, reached: map[string]int{}, lent: map[string]int{}, cancel: func() {},
	}
}

// Playbook runs one playbook to its end. It fails only where the run could not
// even begin; a run that failed returns a Result that says so.
func (w *Workflows) Playbook(ctx workflow.Context, in run.Input) (run.Result, error) {
	it := newInterp(in)
	it.started = workflow.Now(ctx).UTC()
	if err := it.handlers(ctx); err != nil {
		return run.Result{}, err
	}
	if err := it.load(ctx, w.Programs); err != nil {
		return run.Result{}, temporal.NewNonRetryableApplicationError(err.Error(), "plan", err)
	}
	free, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(free, it.hear)
	f := frame{sc: newScope(), node: it.root}
	f.ctx, it.cancel = workflow.WithCancel(ctx)
	f.linear = true
	if in.Resume != nil {
		failpoint.Here("run.taken_up", in.Run)
		if err := it.restore(f, in.Resume); err != nil {
			return run.Result{}, temporal.NewNonRetryableApplicationError(err.Error(), "resume", err)
		}
	}
	if c := it.phases(f); c != nil {
		if err := it.heardAll(free); err != nil {
			return run.Result{}, err
		}
		r, err := it.save(f, c)
		if err != nil {
			return run.Result{}, temporal.NewNonRetryableApplicationError(err.Error(), "resume", err)
		}
		return run.Result{}, it.anew(ctx, r)
	}
	// A cancelled run ends on record too.
	f.ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := it.heardAll(f.ctx); err != nil {
		return run.Result{}, err
	}
	return it.finish(f)
}

// handlers must be set before the run first waits: an Update that finds no
// handler is rejected.
func (it *interp) handlers(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, run.QueryProgress, func() (run.Progress, error) { return it.progress(), nil }); err != nil {
		return fmt.Errorf("set the progress query: %w", err)
	}
	if err := workflow.SetUpdateHandler(ctx, run.UpdateVoted, func(workflow.Context, run.Voted) error {
		it.voted++
		return nil
	}); err != nil {
		return fmt.Errorf("set the handler of votes: %w", err)
	}
	if err := workflow.SetUpdateHandler(ctx, run.UpdateAlerted, func(workflow.Context, run.Alerted) error {
		it.alerted++
		return nil
	}); err != nil {
		return fmt.Errorf("set the handler of alerts: %w", err)
	}
	return workflow.SetUpdateHandler(ctx, run.UpdateVerb, func(workflow.Context, run.Said) error {
		it.said++
		return nil
	})
}

func (it *interp) load(ctx workflow.Context, programs *Programs) error {
	if it.in.ABI != run.ABI {
		return fmt.Errorf("the run was started for interpreter %d; this build knows %d", it.in.ABI, run.ABI)
	}
	raw := []byte(it.in.Plan)
	if len(raw) == 0 {
		var res task.LoadResult
		if err := execute(ctx, task.LoadActivity, task.LoadRequest{Digest: it.in.Digest}, &res); err != nil {
			return err
		}
		raw = res.Plan
	}
	pr, err := programs.get(it.in.Digest, raw)
	if err != nil {
		return err
	}
	it.program = pr
	return nil
}

// phases runs all phases but review in order until one ends the run, and then
// review. It returns how the run goes on where it continues as new.
func (it *interp) phases(f frame) *continued {
	first := it.phase
	var err error
	if it.resume == nil {
		err = it.prepare(f)
	} else {
		err = it.prepareSettings(f)
	}
	if first != plan.Review {
		for _, name := range plan.PhaseOrder() {
			if err != nil || name == plan.Review {
				break
			}
			if first != "" && name != first {
				continue // it was over before the run continued as new
			}
			first, it.phase = "", name
			err = it.steps(f, it.phaseSteps(name))
		}
		var c *continued
		if errors.As(err, &c) {
			return c
		}
		it.close(err)
	}
	it.phase = plan.Review
	// A cancelled run is reviewed too, so review has a context of its own.
	f.ctx, _ = workflow.NewDisconnectedContext(f.ctx)
	steps := it.phaseSteps(plan.Review)
	from, _ := it.resuming(steps)
	for i := from; i < len(steps); i++ {
		err := it.steps(f, steps[i:i+1])
		var c *continued
		if errors.As(err, &c) {
			return c
		}
		if err != nil && it.reason == "" {
			// One failed step of a review does not keep the others from running.
			it.reason = "review: " + err.Error()
		}
	}
	return nil
}

func (it *interp) phaseSteps(name plan.PhaseName) []plan.Step {
	for _, p := range it.plan.Phases {
		if p.Name == name {
			return p.Steps
		}
	}
	return nil
}

// close decides how the run ends from what ended its phases.
func (it *interp) close(err error) {
	var en *ending
	switch {
	case err == nil:
	case errors.As(err, &en):
		it.closing, it.reason = en.closing, en.reason
	case temporal.IsCanceledError(err):
		it.closing, it.reason = closedCancelled, "cancelled"
		if it.cancelledBy != "" {
			it.reason = "cancelled by " + it.cancelledBy
		}
	default:
		it.closing, it.reason = closedFailed, err.Error()
	}
}

// unfinished reports whether the run did not do what it was for.
func (it *interp) unfinished() bool {
	return it.closing == closedFailed || it.closing == closedDenied || it.closing == closedCancelled
}

// finish makes the result and records it.
func (it *interp) finish(f frame) (run.Result, error) {
	it.ended, it.phase = it.closing, ""
	res := run.Result{Closing: it.closing, Reason: it.reason, Used: it.used(), Tree: it.progress()}
	if !it.unfinished() && len(it.plan.Outputs) > 0 {
		out := map[string]any{}
		for _, o := range it.plan.Outputs {
			if v, err := it.value(f, o.Value); err == nil && v != nil {
				out[o.Name] = v
			}
		}
		raw, err := kind.Canonical(out)
		if err == nil {
			res.Outputs = raw
		}
	}
	err := execute(f.ctx, task.EndActivity, task.EndRequest{Place: it.place(f, nil), Result: res}, nil)
	return res, err
}

func (it *interp) place(f frame, st *plan.Step) task.Place {
	p := task.Place{Tenant: it.in.Tenant, Run: it.in.Run, Playbook: it.in.Playbook, Digest: it.in.Digest, Iteration: f.iter, Phase: string(it.phase)}
	if st != nil {
		p.Step, p.Phase = st.Path, string(st.Phase)
	}
	return p
}
