package host

import "context"

// waitsKey is the context key of OnWait.
type waitsKey struct{}

// OnWait has f told when work with this context begins to wait for an instance:
// for a slot, a rate limit, an open circuit, a restart, or before another try. f
// returns at once, and so does over, which is called once when the wait ends. f may
// be called from several goroutines.
func OnWait(ctx context.Context, f func(instance string) (over func())) context.Context {
	return context.WithValue(ctx, waitsKey{}, f)
}

// Waits tells whoever asked for it by OnWait that a wait for an instance begins.
// The host does so itself while it holds a call back; callers do where they wait
// between two tries. over is never nil.
func Waits(ctx context.Context, instance string) (over func()) {
	if f, ok := ctx.Value(waitsKey{}).(func(string) func()); ok {
		return f(instance)
	}
	return func() {}
}
