package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/quell-soar/quell/internal/failpoint"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/workflows/run"
)

// Queue is the part of runs.Runs that the dispatcher reads.
type Queue interface {
	Unstarted(ctx context.Context, limit int, but ...string) ([]runs.Record, error)
	InputFor(ctx context.Context, id string) (run.Input, error)
	MarkStarted(ctx context.Context, id string) error
}

// Votes lists the requests whose votes the waiting workflow may not have seen.
// Delivered may be called again.
type Votes interface {
	Undelivered(ctx context.Context) ([]Delivery, error)
	Delivered(ctx context.Context, vote string) error
}

// Delivery is one stored vote to tell a workflow of.
type Delivery struct{ Vote, Request string }

// Options tune a dispatcher. Zero fields take their defaults.
type Options struct {
	// Active is how many runs may work at once before more are started; 0 is any
	// number. Pulse tells how many do; without it they are not counted.
	Active int
	Pulse  *Pulse
	// Took is how long the engine lately took for an answer; while it is more than
	// Slow, default 250 ms, fewer than Active work at once. nil is never slow.
	Took func() time.Duration
	Slow time.Duration
	// Space says why no run may be started now, or nil; without it any may. Runs
	// that are started already are woken and told all the same.
	Space func() error
	// Doubts lists the effects whose run is gone and of which people must be asked;
	// nil lists none. It is looked at every DoubtScan, default 30 s.
	Doubts    func(ctx context.Context) ([]run.DoubtInput, error)
	DoubtScan time.Duration
	// Seen is told of every start, after it was marked or failed. It returns at
	// once; nil is told nothing.
	Seen func(Start)
	// Messages are what runs are told of beside votes.
	Messages []Messages
	// Scan is how often the store is looked at without a nudge; default 500 ms.
	Scan time.Duration
	// Parallel is how many starts are under way at once; default 8.
	Parallel int
	Log      zerolog.Logger
}

// Start is one run that was given to the engine.
type Start struct {
	Run   run.Input
	Began time.Time
	// Known says that the engine had it already, from before a crash.
	Known bool
	Err   error
}

// Dispatcher starts and wakes runs, and speaks to Temporal for the API.
type Dispatcher struct {
	temporal client.Client
	queue    Queue
	votes    Votes
	opts     Options
	// toStart and toTell wake the two loops.
	toStart, toTell chan struct{}
	errands         *errands
	// asked are the effects about which people were asked since the start.
	asked map[string]bool
	// shunned are the instances whose runs were not started at the last scan.
	shunned []string
	// pace is of the loop that starts runs, and bound what it said last.
	pace  pace
	bound atomic.Int64
	// full says that more might have been started than were.
	full atomic.Bool
}

// New makes a dispatcher. Run must be called for it to do anything.
func New(c client.Client, q Queue, v Votes, o Options) *Dispatcher {
	if o.Scan <= 0 {
		o.Scan = 500 * time.Millisecond
	}
	if o.Slow <= 0 {
		o.Slow = slow
	}
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.DoubtScan <= 0 {
		o.DoubtScan = 30 * time.Second
	}
	d := &Dispatcher{temporal: c, queue: q, votes: v, opts: o, toStart: make(chan struct{}, 1), toTell: make(chan struct{}, 1), asked: map[string]bool{}}
	d.bound.Store(int64(o.Active))
	d.errands = newErrands(func() { poke(d.toTell) })
	if o.Pulse != nil {
		o.Pulse.hears(func() {
			if d.full.Load() {
				poke(d.toStart)
			}
		})
	}
	return d
}

// Nudge says that something new stands in the store. It never blocks, and losing
// a nudge loses nothing: the scan comes soon.
func (d *Dispatcher) Nudge() {
	poke(d.toStart)
	poke(d.toTell)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run works until ctx ends. A store or an engine that is away is logged and
// tried again at the next scan. A vote does not wait until a flood of alerts was
// started, nor the alerts until a vote was told.
func (d *Dispatcher) Run(ctx context.Context) {
	d.Nudge()
	var wg sync.WaitGroup
	wg.Go(func() {
		d.loop(ctx, d.opts.Scan, d.toStart, func() { d.warn(ctx, d.starts(ctx), "runs wait to be started") })
	})
	wg.Go(func() {
		d.loop(ctx, d.opts.Scan, d.toTell, func() {
			d.warn(ctx, d.wakes(ctx), "votes wait to be delivered")
			d.warn(ctx, d.tells(ctx), "runs wait to be told")
		})
	})
	wg.Go(func() {
		d.loop(ctx, d.opts.DoubtScan, nil, func() {
			d.warn(ctx, d.doubts(ctx), "people wait to be asked about effects that are not known")
		})
	})
	wg.Wait()
	d.errands.wg.Wait()
}

// loop calls f whenever it is poked, and every so often, until ctx ends.
func (d *Dispatcher) loop(ctx context.Context, every time.Duration, poked <-chan struct{}, f func()) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-poked:
		case <-t.C:
		}
		f()
	}
}

func (d *Dispatcher) warn(ctx context.Context, err error, what string) {
	if err != nil && ctx.Err() == nil {
		d.opts.Log.Warn().Err(err).Msg(what)
	}
}

// starts starts the claimed runs, those first that the queue gives first.
func (d *Dispatcher) starts(ctx context.Context) error {
	batch := d.room(256)
	if batch == 0 {
		d.full.Store(true)
		return nil // the next scan looks again, or the end of a run
	}
	waiting, err := d.queue.Unstarted(ctx, batch, d.unwanted()...)
	if err != nil {
		return err
	}
	d.full.Store(len(waiting) == batch)
	var mu sync.Mutex
	var failed error
	d.each(len(waiting), func(i int) {
		if err := d.start(ctx, waiting[i].ID, waiting[i].Severity); err != nil {
			mu.Lock()
			failed = err
			mu.Unlock()
		}
	})
	if failed == nil && len(waiting) == batch {
		poke(d.toStart) // there is more
	}
	return failed
}

// each calls f for 0…n-1, Parallel at a time, and waits for all.
func (d *Dispatcher) each(n int, f func(int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, d.opts.Parallel)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}

func (d *Dispatcher) start(ctx context.Context, id, severity string) error {
	began := time.Now()
	in, err := d.queue.InputFor(ctx, id)
	if err != nil {
		return err
	}
	known, err := d.hand(ctx, in, severity)
	if err == nil {
		err = d.queue.MarkStarted(ctx, id)
	}
	if d.opts.Seen != nil {
		d.opts.Seen(Start{Run: in, Began: began, Known: known, Err: err})
	}
	return err
}

// hand gives a run to the engine; known says that it had it already.
func (d *Dispatcher) hand(ctx context.Context, in run.Input, severity string) (known bool, err error) {
	id := in.Run
	if len(in.Plan) > run.MaxInlinePlan {
		in.Plan = nil
	}
	d.opts.Pulse.begin(id)
	_, err = d.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: run.TaskQueue, EnableEagerStart: true,
		// A killed worker's workflow task is given to the next one after this.
		WorkflowTaskTimeout:                      taskTimeout,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		Priority:                                 temporal.Priority{PriorityKey: priority(severity)},
		StaticSummary:                            in.Playbook,
	}, run.PlaybookWorkflow, in)
	var there *serviceerror.WorkflowExecutionAlreadyStarted
	if err != nil && !errors.As(err, &there) {
		return false, fmt.Errorf("start %s: %w", id, err)
	}
	return err != nil, nil
}

const taskTimeout = 5 * time.Second

// priority maps a severity to Temporal's priority key, 1 first.
func priority(severity string) int {
	switch severity {
	case "critical":
		return 1
	case "high":
		return 2
	case "low":
		return 4
	case "info":
		return 5
	}
	return 3
}

// wakes tells workflows of votes, in the background. A workflow that is gone needs
// no telling.
func (d *Dispatcher) wakes(ctx context.Context) error {
	list, err := d.votes.Undelivered(ctx)
	if err != nil {
		return err
	}
	by, order := group(list, func(v Delivery) string { return run.WorkflowOf(v.Request) })
	for _, workflow := range order {
		d.errand(ctx, workflow, "a vote waits to be delivered", func() error {
			for _, v := range by[workflow] {
				if err := d.wake(ctx, v); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return nil
}

// errand tells a workflow something in the background and logs what went wrong.
func (d *Dispatcher) errand(ctx context.Context, workflow, what string, f func() error) {
	d.errands.run(ctx, workflow, func() error {
		err := f()
		d.warn(ctx, err, what)
		return err
	})
}

// group puts together what goes to one workflow, and gives the workflows in their
// order.
func group[T any](list []T, of func(T) string) (by map[string][]T, order []string) {
	by = map[string][]T{}
	for _, v := range list {
		workflow := of(v)
		if by[workflow] == nil {
			order = append(order, workflow)
		}
		by[workflow] = append(by[workflow], v)
	}
	return by, order
}

func (d *Dispatcher) wake(ctx context.Context, v Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	failpoint.Here("vote.telling", v.Request)
	_, err := d.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: run.WorkflowOf(v.Request), UpdateName: run.UpdateVoted, UpdateID: v.Vote,
		Args: []any{run.Voted{Request: v.Request}}, WaitForStage: client.WorkflowUpdateStageAccepted,
	})
	var gone *serviceerror.NotFound
	if err != nil && !errors.As(err, &gone) {
		return fmt.Errorf("tell %s of vote %s: %w", run.WorkflowOf(v.Request), v.Vote, err)
	}
	failpoint.Here("vote.told", v.Request)
	return d.votes.Delivered(ctx, v.Vote)
}
