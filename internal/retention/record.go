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

// prune lets rows of the ledger leave the store that are old enough and exported.
func (s *Sweeper) prune(ctx context.Context, now time.Time, upto int64) (rows int, err error) {
	before := now.Add(-s.Record)
	p := ledger.Pruning{
		Upto: upto, Before: before, Actor: actor, Reason: "kept for " + s.Record.String(),
		Keeps: func(ctx context.Context, run string) (keeps bool, err error) {
			err = s.DB.View(ctx, func(tx *store.Tx) (err error) {
				keeps, err = s.Runs.Keeps(tx, run, before)
				return err
			})
			return keeps, err
		},
		Exported: func(after int64) (io.ReadCloser, error) { return ledger.OpenParts(s.Exporter.Dir, after) },
	}
	for {
		n, err := s.Ledger.Prune(ctx, p)
		rows += int(n)
		if err != nil || n == 0 {
			return rows, err
		}
	}
}

// forgetAll forgets runs that ended long enough ago and left nothing behind.
func (s *Sweeper) forgetAll(ctx context.Context, now time.Time, upto int64) (int, error) {
	if now.Sub(s.forgot.began) >= round {
		s.forgot = pass{began: now}
		if err := s.late(ctx, now.Add(-s.Keep), upto); err != nil {
			return 0, err
		}
	}
	before := now.Add(-s.Record)
	list := func(ctx context.Context, before time.Time, skip, limit int) ([]string, error) {
		return s.Runs.Forgettable(ctx, s.forgot.upto, before, skip, limit)
	}
	n, err := s.all(ctx, before, list, s.forget)
	if err == nil {
		s.forgot.upto = before
	}
	return n, err
}

// late deletes the detail of effects that stood when that of their run was deleted, and
// were taken back since.
func (s *Sweeper) late(ctx context.Context, before time.Time, upto int64) error {
	_, err := s.all(ctx, before, s.Effects.TakenBack, func(tx *store.Tx, id string) (bool, error) {
		keeps, err := s.Runs.Keeps(tx, id, before)
		if err != nil || keeps {
			return false, err
		}
		return s.run(tx, id, upto)
	})
	return err
}

// forget forgets one run; false says that something of it stands.
func (s *Sweeper) forget(tx *store.Tx, id string) (bool, error) {
	ok, err := s.Effects.Forget(tx, id)
	if err == nil && ok {
		if ok, err = s.Runs.Forget(tx, id); err == nil && !ok {
			err = errHeld
		}
	}
	return ok, err
}
