package retention

import (
	"context"
	"io"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// pass is how far runs were looked at: those that ended before upto, in a round that
// began at began.
type pass struct{ began, upto time.Time }

// round is how often runs are looked at again that something kept, such as an
// isolation that stands.
const round = 24 * time.Hour

// record lets rows of the ledger leave the store that are old enough and exported,
// and then forgets runs that left nothing behind.
func (s *Sweeper) record(ctx context.Context, upto int64, got *Swept) error {
	before := s.Now().Add(-s.Record)
	for {
		n, err := s.Ledger.Prune(ctx, ledger.Pruning{
			Upto: upto, Before: before, Actor: actor, Reason: "kept for " + s.Record.String(),
			Keeps:    func(ctx context.Context, run string) (bool, error) { return s.Runs.Keeps(ctx, run, before) },
			Exported: func(after int64) (io.ReadCloser, error) { return ledger.OpenParts(s.Exporter.Dir, after) },
		})
		got.Rows += int(n)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	if now := s.Now(); now.Sub(s.forgot.began) >= round {
		s.forgot = pass{began: now}
	}
	list := func(ctx context.Context, before time.Time, skip, limit int) ([]string, error) {
		return s.Runs.Forgettable(ctx, s.forgot.upto, before, skip, limit)
	}
	n, err := s.all(ctx, before, list, s.forget)
	if got.Forgotten = n; err == nil {
		s.forgot.upto = before
	}
	return err
}

func (s *Sweeper) forget(tx *store.Tx, id string) (bool, error) {
	ok, err := s.Effects.Forget(tx, id)
	if err == nil && ok {
		if ok, err = s.Runs.Forget(tx, id); err == nil && !ok {
			err = errHeld
		}
	}
	return ok, err
}
