package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
)

// shutError says that the instance takes no effects now: nothing was admitted
// and nothing has left.
type shutError struct {
	why *spec.Error
	// doubt: an earlier attempt of the effect may have happened.
	doubt bool
}

func (e *shutError) Error() string { return e.why.Error() }

// A step waits for an instance that takes no calls, such as one whose circuit is
// open, for shutPatience from when it was first asked for. Waits above longWait
// are not sat through: the task goes back to the engine until then, so that many
// runs that wait for one vendor cost the others nothing.
const (
	shutPatience = time.Minute
	longWait     = time.Second
)

// firstAsked is when the activity was first asked for, over all its tries.
func firstAsked(ctx context.Context, now time.Time) time.Time {
	if activity.IsActivity(ctx) {
		return activity.GetInfo(ctx).ScheduledTime
	}
	return now
}

// comeBack is the error with which a task goes back until wait is over, by type
// task.Shut and with the instance as its detail. It is nil where the caller had
// better wait itself.
func comeBack(ctx context.Context, instance string, why error, wait time.Duration) error {
	if wait <= longWait || !activity.IsActivity(ctx) {
		return nil
	}
	return temporal.NewApplicationErrorWithOptions(why.Error(), task.Shut, temporal.ApplicationErrorOptions{NextRetryDelay: wait, Cause: why, Details: []any{instance}})
}

// attend takes a place at an instance. Where too many calls are there already the task
// goes back until its turn comes near: this is no time that it waits for a vendor who
// is away. With until set it stays rather than miss that. done is never nil.
func attend(ctx context.Context, h Connectors, instance string, until, now time.Time) (done func(), back error) {
	done, wait := h.Attend(ctx, instance)
	if wait == 0 || !until.IsZero() && now.Add(wait).After(until) {
		return done, nil
	}
	why := spec.Errorf(spec.Unavailable, "so many calls of instance %s wait that this one comes back in %s; nothing was sent", instance, wait.Round(time.Second))
	return done, comeBack(ctx, instance, why, wait)
}

// shut decides about an effect whose instance takes no calls: back with the task
// (err), on after a wait, or the end of patience (over).
func (e *effort) shut(ctx context.Context, s *shutError, n int) (over bool, wait time.Duration, err error) {
	if e.now().Sub(e.asked) > shutPatience {
		return true, 0, nil
	}
	wait = backoff(s.why, e.wait, n)
	if !s.doubt {
		err = comeBack(ctx, e.intent.Instance, s, wait)
	}
	return false, wait, err
}

// enter takes a slot of the instance. An effect of which an attempt is open, or
// which is settled, needs none to learn what became of it; its admission is asked
// for all the same. The returned function is never nil.
func (e *effort) enter(ctx context.Context) (leave func(made bool), err error) {
	wait := ctx
	if !e.until.IsZero() {
		var cancel context.CancelFunc
		wait, cancel = context.WithDeadline(ctx, e.until)
		defer cancel()
	}
	leave, err = e.Host.Enter(wait, e.intent.Instance)
	if err == nil {
		e.entered = true
		return leave, nil
	}
	e.entered = false
	nothing := func(bool) {}
	if ctx.Err() != nil {
		return nothing, context.Cause(ctx)
	}
	ef, missing := e.Effects.Get(ctx, e.intent.Key.String())
	switch {
	case errors.Is(missing, effects.ErrNotFound):
		return nothing, &shutError{why: asSpec(err)}
	case missing == nil && ef.Idle():
		return nothing, &shutError{asSpec(err), ef.Doubt}
	case missing != nil:
		return nothing, missing
	}
	return nothing, nil
}
