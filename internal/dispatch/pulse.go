package dispatch

import (
	"context"
	"math"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/workflows/run"
)

// Pulse tells which runs work in this process: those of which an activity is
// under way, or was a short time ago. A run that waits for a person, a time or a
// connector does not count. Holds, undos and questions do not count either.
//
// It is an interceptor of the worker; each process with a worker has its own, and
// bounds what it starts itself by what it works on itself.
type Pulse struct {
	interceptor.WorkerInterceptorBase
	now func() time.Time

	mu   sync.Mutex
	runs map[string]*pulse
	// lag is the longest time that an activity or a first workflow task lately waited
	// for this process, and felt when it was measured.
	lag  time.Duration
	felt time.Time
	// freed is told of each run that is over; nil tells nobody.
	freed func()
}

// pulse is one run: how many of its activities are under way, and when the last
// one began or ended.
type pulse struct {
	busy int
	last time.Time
	// begun is when this process gave the run to the engine; zero where another did.
	begun time.Time
	// asked is when the workflow last asked the engine for what brings an activity
	// next; zero once that came.
	asked time.Time
	held
}

// works reports whether the run is under way: an activity is, or one is on its way,
// or one was not before oldest. One that waits for a connector is not.
func (r *pulse) works(now, oldest time.Time) bool {
	if r.waiting(now, r.busy) {
		return false
	}
	return r.busy > 0 || !r.last.Before(oldest) || now.Sub(r.asked) < remembered
}

// rest is how long after its last activity a run counts still, at least: a workflow
// task may be on its way to the next one. Where tasks wait for the process, a run
// counts for some times as long as they did, so that a process that is behind
// starts nothing more: what it started and has no hands for looks as idle as what
// waits for people. A lag is forgotten by halves.
const (
	rest     = 2 * time.Second
	lags     = 3
	halfLife = 10 * time.Second
	// remembered is how long after its start a run's first task may tell of a lag, and
	// how long a run counts whose next activity does not come: it may have gone to
	// another process.
	remembered = 5 * time.Minute
)

// NewPulse makes a pulse; now is its clock.
func NewPulse(now func() time.Time) *Pulse {
	return &Pulse{now: now, runs: map[string]*pulse{}}
}

// Active counts the runs that work.
func (p *Pulse) Active() int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	oldest := now.Add(-max(rest, lags*p.behind(now)))
	n := 0
	for id, r := range p.runs {
		switch {
		case r.works(now, oldest):
			n++
		case now.Sub(r.begun) > remembered && !r.waiting(now, r.busy):
			delete(p.runs, id)
		}
	}
	return n
}

// behind is the lag of now.
func (p *Pulse) behind(now time.Time) time.Duration {
	return time.Duration(float64(p.lag) * math.Exp2(-now.Sub(p.felt).Seconds()/halfLife.Seconds()))
}

// waited notes how long an activity waited for the process.
func (p *Pulse) waited(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lagged(d)
}

func (p *Pulse) lagged(d time.Duration) {
	now := p.now()
	p.lag, p.felt = max(d, p.behind(now)), now
}

// begin notes that a run is about to be started.
func (p *Pulse) begin(id string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(id).begun = p.now()
}

// began notes that the first workflow task of a run works. It is called again where
// that task took too long and is done anew: then the process is further behind.
func (p *Pulse) began(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ok := p.runs[id]; ok && !r.begun.IsZero() {
		p.lagged(p.now().Sub(r.begun))
	}
}

// asks notes that a workflow asked the engine for an activity, or for what it does
// before one.
func (p *Pulse) asks(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.of(id)
	r.asked = r.last
}

func (p *Pulse) change(id string, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.of(id)
	r.busy += by
	r.asked = time.Time{}
}

// of is a run that works now.
func (p *Pulse) of(id string) *pulse {
	r, ok := p.runs[id]
	if !ok {
		r = &pulse{}
		p.runs[id] = r
	}
	r.last = p.now()
	return r
}

// ended forgets a run of which nothing more is to come.
func (p *Pulse) ended(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ok := p.runs[id]; ok && r.busy == 0 {
		delete(p.runs, id)
	}
	if p.freed != nil {
		p.freed()
	}
}

// hears has f told of each run that is over; it returns at once.
func (p *Pulse) hears(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freed = f
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (p *Pulse) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &felt{interceptor.ActivityInboundInterceptorBase{Next: next}, p}
}

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (p *Pulse) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &begun{interceptor.WorkflowInboundInterceptorBase{Next: next}, p}
}

// begun notes when a workflow begins to run, and what it asks the engine for. It
// takes no part in what the workflow does.
type begun struct {
	interceptor.WorkflowInboundInterceptorBase
	pulse *Pulse
}

// Init implements interceptor.WorkflowInboundInterceptor.
func (b *begun) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return b.Next.Init(&asking{interceptor.WorkflowOutboundInterceptorBase{Next: next}, b.pulse})
}

// ExecuteWorkflow implements interceptor.WorkflowInboundInterceptor.
func (b *begun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	if !workflow.IsReplaying(ctx) {
		b.pulse.began(workflow.GetInfo(ctx).WorkflowExecution.ID)
	}
	return b.Next.ExecuteWorkflow(ctx, in)
}

// asking notes what a run asks the engine for.
type asking struct {
	interceptor.WorkflowOutboundInterceptorBase
	pulse *Pulse
}

// ExecuteActivity implements interceptor.WorkflowOutboundInterceptor.
func (a *asking) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	a.note(ctx)
	return a.Next.ExecuteActivity(ctx, name, args...)
}

// ExecuteChildWorkflow implements interceptor.WorkflowOutboundInterceptor. A run
// begins the hold of an effect before the effect; a run that it calls counts itself.
func (a *asking) ExecuteChildWorkflow(ctx workflow.Context, name string, args ...any) workflow.ChildWorkflowFuture {
	if name == run.HoldWorkflow {
		a.note(ctx)
	}
	return a.Next.ExecuteChildWorkflow(ctx, name, args...)
}

func (a *asking) note(ctx workflow.Context) {
	if id := workflow.GetInfo(ctx).WorkflowExecution.ID; !workflow.IsReplaying(ctx) && !run.Aside(id) {
		a.pulse.asks(id)
	}
}

// felt counts one activity while it runs.
type felt struct {
	interceptor.ActivityInboundInterceptorBase
	pulse *Pulse
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (f *felt) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	id := info.WorkflowExecution.ID
	if run.Aside(id) {
		return f.Next.ExecuteActivity(ctx, in)
	}
	if !info.IsLocalActivity && info.Attempt == 1 { // a later one waited on purpose
		f.pulse.waited(info.StartedTime.Sub(info.ScheduledTime))
	}
	over := false
	f.pulse.change(id, 1)
	defer func() {
		if f.pulse.change(id, -1); over {
			f.pulse.ended(id)
		}
	}()
	out, err := f.Next.ExecuteActivity(host.OnWait(ctx, func(instance string) func() { return f.pulse.waits(id, instance) }), in)
	f.pulse.returned(id, err)
	over = err == nil && info.ActivityType.Name == task.EndActivity
	return out, err
}

// Bound is how many runs may work at once now; 0 is any number.
func (d *Dispatcher) Bound() int { return int(d.bound.Load()) }

// room is how many runs may be started now, at most most.
func (d *Dispatcher) room(most int) int {
	if d.opts.Space != nil && d.opts.Space() != nil {
		return 0
	}
	if d.opts.Active <= 0 {
		return most
	}
	working := d.opts.Pulse.Active()
	return max(0, min(most, d.paced(time.Now(), working)-working))
}
