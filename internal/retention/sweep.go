package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/readings"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
)

// actor stands in the ledger as who erased.
const actor = "system:retention"

// batch is how many runs, or alerts, are looked at in one go.
const batch = 500

// Sweeper deletes the detail of what ended long ago.
type Sweeper struct {
	DB        *store.DB
	Ledger    *ledger.Ledger
	Runs      *runs.Runs
	Effects   *effects.Effects
	Approvals *approval.Approvals
	Exporter  *Exporter
	// Readings are answers to reads, kept for backtests; nil where none are. They are
	// no part of the record, and of no export.
	Readings *readings.Readings
	// Keep is how long detail is kept after the end.
	Keep time.Duration
	// Record is how long the rows of the ledger and the line of each run are kept
	// after that they were written, and it ended; at least Keep.
	Record time.Duration
	// Evidence is the directory of evidence, or empty.
	Evidence string
	Now      func() time.Time
	// Odd says why the machine's clock is not to be trusted, or "": meanwhile nothing is
	// deleted, as everything may look old. nil trusts it.
	Odd func() string
	Log zerolog.Logger

	forgot pass
}

// Swept counts what a sweep deleted: the detail of runs and alerts, evidence, rows of
// the ledger, and runs of which nothing is left.
type Swept struct{ Runs, Alerts, Evidence, Rows, Forgotten int }

// Run exports and sweeps until ctx ends: every ten minutes, or as often as a short
// Keep needs. What fails is logged and tried again at the next turn.
func (s *Sweeper) Run(ctx context.Context) {
	turn := time.NewTicker(max(time.Second, min(10*time.Minute, s.Keep/4)))
	defer turn.Stop()
	for {
		if err := s.Exporter.Export(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error().Err(err).Msg("the ledger could not be exported; nothing that is not exported will be deleted")
		}
		got, err := s.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.Error().Err(err).Msg("what is past its time was not deleted")
		}
		if got != (Swept{}) {
			s.Log.Info().Int("runs", got.Runs).Int("alerts", got.Alerts).Int("evidence", got.Evidence).Int("ledger_rows", got.Rows).Int("forgotten_runs", got.Forgotten).
				Msg("what is past its time was deleted; the export has it")
		}
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
		}
	}
}

// ErrClock says that nothing was deleted because the clock is not to be trusted.
var ErrClock = errors.New("nothing is deleted while the clock is odd")

// Sweep deletes what is past its time and exported, each run in a transaction of
// its own. It may be ended at any time and called again.
func (s *Sweeper) Sweep(ctx context.Context) (Swept, error) {
	var got Swept
	now := s.Now() // before the look at the clock, which sees what it did until then
	if s.Odd != nil {
		if why := s.Odd(); why != "" {
			return got, fmt.Errorf("retention: %w: %s", ErrClock, why)
		}
	}
	upto, err := s.Exporter.Exported(ctx)
	if err != nil {
		return got, err
	}
	before := now.Add(-s.Keep)
	got.Runs, err = s.all(ctx, before, s.Runs.Shedable, func(tx *store.Tx, id string) (bool, error) { return s.run(tx, id, upto) })
	if err != nil {
		return got, err
	}
	got.Alerts, err = s.all(ctx, before, s.Runs.ShedableAlerts, func(tx *store.Tx, id string) (bool, error) { return s.alert(tx, id, upto) })
	if err != nil {
		return got, err
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) error { return s.Ledger.ShedCheckpoints(tx, before, upto) })
	if err == nil && s.Readings != nil {
		err = s.Readings.Prune(ctx, before)
	}
	if err != nil {
		return got, err
	}
	// Each of these goes on where another cannot.
	got.Rows, err = s.prune(ctx, now, upto)
	var late, kept error
	got.Forgotten, late = s.forgetAll(ctx, now, upto)
	if s.Evidence != "" {
		got.Evidence, kept = s.evidence(ctx, before)
	}
	return got, errors.Join(err, late, kept)
}

// all goes through a list piece by piece, past those that are held back.
func (s *Sweeper) all(ctx context.Context, before time.Time, list func(ctx context.Context, before time.Time, skip, limit int) ([]string, error), f func(*store.Tx, string) (bool, error)) (done int, err error) {
	for skip := 0; ; {
		ids, err := list(ctx, before, skip, batch)
		if err != nil {
			return done, err
		}
		n, err := s.each(ctx, ids, f)
		done, skip = done+n, skip+len(ids)-n
		if err != nil || len(ids) < batch {
			return done, err
		}
	}
}

// each calls f for every id in a transaction and counts where it was done. One
// that fails does not keep the others.
func (s *Sweeper) each(ctx context.Context, ids []string, f func(tx *store.Tx, id string) (bool, error)) (n int, err error) {
	for _, id := range ids {
		done := false
		one := s.DB.Update(ctx, func(tx *store.Tx) (err error) {
			done, err = f(tx, id)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return n, ctx.Err()
		case errors.Is(one, errHeld):
		case one != nil:
			err = errors.Join(err, fmt.Errorf("retention: %s: %w", id, one))
		case done:
			n++
		}
	}
	return n, err
}

// errHeld rolls back where something keeps the detail.
var errHeld = errors.New("held back")

func (s *Sweeper) reason() string { return fmt.Sprintf("kept for %s", s.Keep) }

func (s *Sweeper) run(tx *store.Tx, id string, upto int64) (bool, error) {
	ok, err := s.Effects.Shed(tx, id)
	if err != nil || !ok {
		return false, err
	}
	if err := s.Approvals.Shed(tx, id); err != nil {
		return false, err
	}
	if err := s.Runs.Shed(tx, id); err != nil {
		return false, err
	}
	ok, err = s.Ledger.EraseOf(tx, id, "", upto, actor, s.reason())
	if err == nil && !ok {
		err = errHeld
	}
	return ok, err
}

func (s *Sweeper) alert(tx *store.Tx, id string, upto int64) (bool, error) {
	ok, err := s.Ledger.EraseOf(tx, "", id, upto, actor, s.reason())
	if err != nil || !ok {
		return false, err
	}
	return true, s.Runs.ShedAlert(tx, id)
}
