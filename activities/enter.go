package activities

import (
	"context"
	"errors"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
)

// shutError says that the instance takes no effects now: nothing was admitted
// and nothing has left.
type shutError struct{ why *spec.Error }

func (e *shutError) Error() string { return e.why.Error() }

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
	case errors.Is(missing, effects.ErrNotFound), missing == nil && ef.Idle():
		return nothing, &shutError{asSpec(err)}
	case missing != nil:
		return nothing, missing
	}
	return nothing, nil
}
