package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/playbooks/plan"
)

// stopwatch measures how long a step waits for people: time-outs leave it out.
type stopwatch struct {
	around *stopwatch
	// open counts the requests that are open; since is when the first of them was.
	open   int
	since  time.Time
	passed time.Duration
}

func (s *stopwatch) start(now time.Time) {
	for ; s != nil; s = s.around {
		if s.open++; s.open == 1 {
			s.since = now
		}
	}
}

func (s *stopwatch) stop(now time.Time) {
	for ; s != nil; s = s.around {
		if s.open--; s.open == 0 {
			s.passed += now.Sub(s.since)
		}
	}
}

// bounded applies timeout to steps that are no single action; an action's time
// is bounded by its activity, which knows what a call that left may still do.
func (it *interp) bounded(f frame, st *plan.Step) (result, error) {
	if st.Timeout == 0 || st.Kind == plan.Uses {
		return it.body(f, st)
	}
	ctx, cancel := workflow.WithCancel(f.ctx)
	late := false
	watch := &stopwatch{around: f.people}
	began := workflow.Now(f.ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			rest := st.Timeout - workflow.Now(ctx).Sub(began) + watch.passed
			if rest <= 0 {
				late = true
				cancel()
				return
			}
			if workflow.Sleep(ctx, rest) != nil {
				return
			}
			if workflow.Await(ctx, func() bool { return watch.open == 0 }) != nil {
				return
			}
		}
	})
	in := f
	in.ctx, in.people, in.linear = ctx, watch, false
	res, err := it.body(in, st)
	cancel()
	if late && err != nil {
		return result{}, failed("timeout", "it did not end within %s", st.Timeout)
	}
	return res, err
}
