package activities

import (
	"context"
	"time"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
)

// Watching is the part of effects.Effects that a Watcher works with.
type Watching interface {
	Watched(ctx context.Context, since, due time.Time, limit int) ([]*effects.Effect, error)
	Looked(ctx context.Context, key string, present bool) error
}

// Watcher reads now and then whether somebody brought about what observe mode kept
// from happening: quell observe report shows it. It only reads, few things at a
// time, and each no more often than it must.
type Watcher struct {
	Host    Connectors
	Effects Watching
	// Warn hears of rounds that failed.
	Warn func(error)
	Now  func() time.Time
	// Every is how often it looks around; default 1 min.
	Every time.Duration
}

// How long and how often a target is read, and how many in one round: a vendor
// hears from it at most once a second on average.
const (
	watchFor   = 7 * 24 * time.Hour
	watchAgain = 10 * time.Minute
	watchBatch = 60
)

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	t := time.NewTicker(or(w.Every, time.Minute))
	defer t.Stop()
	for {
		if err := w.Round(ctx); err != nil && ctx.Err() == nil {
			w.Warn(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Round reads what is due. A target that cannot be read is due again later.
func (w *Watcher) Round(ctx context.Context) error {
	now := w.Now()
	list, err := w.Effects.Watched(ctx, now.Add(-watchFor), now.Add(-watchAgain), watchBatch)
	if err != nil {
		return err
	}
	for _, ef := range list {
		present := w.present(ctx, ef)
		if ctx.Err() != nil {
			return nil
		}
		if err := w.Effects.Looked(ctx, ef.Key, present); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watcher) present(ctx context.Context, ef *effects.Effect) bool {
	sp, ok := w.Host.Action(ef.Instance, ef.Action)
	if !ok || imaginary(ef.Targets) {
		return false
	}
	r := spec.Request{Action: ef.Action, Mode: spec.Back, Key: ef.Key, Inputs: declared(sp, ef.Inputs), Deadline: w.Now().Add(sp.Deadline)}
	reply, err := w.Host.Call(ctx, ef.Instance, r, host.Permit{})
	return err == nil && reply.Outcome == spec.Present
}
