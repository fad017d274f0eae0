package host

import (
	"context"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
)

// Caller is what a host offers to those who call through it.
type Caller interface {
	Call(ctx context.Context, instance string, r spec.Request, p Permit) (spec.Reply, error)
	TryCall(ctx context.Context, instance string, r spec.Request, p Permit) (spec.Reply, error)
	Action(instance, action string) (spec.Action, bool)
	Binary(instance string) (sha256, version string)
}

// ReadOnly is a host through which no effect can leave, whoever holds it and with
// whatever permit: reads and read-backs pass, all else is refused before the host
// hears of it. A preview has nothing but this.
type ReadOnly struct{ host Caller }

// NewReadOnly makes a host that only reads of another.
func NewReadOnly(h Caller) *ReadOnly { return &ReadOnly{host: h} }

// Call calls a read or reads back, as Host.Call does. The permit is dropped: the
// host behind refuses an effect without one too.
func (r *ReadOnly) Call(ctx context.Context, instance string, q spec.Request, _ Permit) (spec.Reply, error) {
	if err := r.refuses(instance, q); err != nil {
		return spec.Reply{}, err
	}
	return r.host.Call(ctx, instance, q, Permit{})
}

// TryCall is Call that never waits before the call leaves.
func (r *ReadOnly) TryCall(ctx context.Context, instance string, q spec.Request, _ Permit) (spec.Reply, error) {
	if err := r.refuses(instance, q); err != nil {
		return spec.Reply{}, err
	}
	return r.host.TryCall(ctx, instance, q, Permit{})
}

// Attend has a place for whoever only reads.
func (r *ReadOnly) Attend(context.Context, string) (done func(), wait time.Duration) {
	return func() {}, 0
}

// Enter refuses: a slot before admission is for effects.
func (r *ReadOnly) Enter(context.Context, string) (leave func(made bool), err error) {
	return nil, spec.Errorf(spec.Permission, "this caller may only read")
}

// refuses holds a call against the action as the instance serves it. What is not
// known to be a read is not called.
func (r *ReadOnly) refuses(instance string, q spec.Request) error {
	a, ok := r.host.Action(instance, q.Action)
	switch {
	case !ok:
		return spec.Errorf(spec.Invalid, "instance %q does not serve %q", instance, q.Action)
	case a.Effect() && q.Mode != spec.Back:
		return spec.Errorf(spec.Permission, "%s changes the world, and this caller may only read", a.Name)
	}
	return nil
}

// Action returns an action as an instance serves it.
func (r *ReadOnly) Action(instance, action string) (spec.Action, bool) {
	return r.host.Action(instance, action)
}

// Binary tells which program serves an instance.
func (r *ReadOnly) Binary(instance string) (sha256, version string) { return r.host.Binary(instance) }
