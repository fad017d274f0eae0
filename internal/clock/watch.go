package clock

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

const (
	// step is what the two clocks may differ by within span; more is a jump. A time
	// service slews by 500 ppm at most (adjtimex(2)), 0.3 s in span.
	step = 5 * time.Second
	span = 10 * time.Minute
	// told is how long at least a jump is told of.
	told = time.Hour
)

// Reading is both clocks at one moment.
type Reading struct {
	Wall time.Time
	// Up is the time since boot, suspended time included.
	Up time.Duration
}

// Jump is what the wall clock gained, or with a negative By lost, at once.
type Jump struct {
	// At is the wall clock after it, Up the other one.
	At time.Time
	Up time.Duration
	By time.Duration
}

// Options are what a watch works with.
type Options struct {
	DB     *store.DB
	Ledger *ledger.Ledger
	Tenant string
	// Host names the machine and its boot: Up counts from there.
	Host string
	// Read reads both clocks.
	Read func() Reading
	Log  zerolog.Logger
}

// Watch compares the clocks of this machine. It is safe for concurrent use.
type Watch struct {
	o Options

	mu     sync.Mutex
	anchor Reading
	jumps  []Jump
	// kept is how many of jumps are in the store.
	kept int
}

// Schema makes the tables of readings and jumps.
func Schema() store.Schema {
	return store.Schema{Name: "clock", Steps: []string{
		`CREATE TABLE clock_readings (host TEXT PRIMARY KEY, wall BIGINT NOT NULL, up BIGINT NOT NULL)`,
		`CREATE TABLE clock_jumps (host TEXT NOT NULL, up BIGINT NOT NULL, wall BIGINT NOT NULL, gained BIGINT NOT NULL, PRIMARY KEY (host, up))`,
	}}
}

// Open begins to watch. What the clock did since an earlier process of the same
// boot looked last counts too. The tables must be there (Schema).
func Open(ctx context.Context, o Options) (*Watch, error) {
	w := &Watch{o: o, anchor: o.Read()}
	err := o.DB.View(ctx, func(tx *store.Tx) error {
		w.jumps = nil
		if err := w.load(tx); err != nil {
			return err
		}
		last, err := w.last(tx)
		if err == nil && last != (Reading{}) {
			w.anchor = last
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("clock: %w", err)
	}
	w.kept = len(w.jumps)
	w.mu.Lock()
	w.look()
	w.mu.Unlock()
	return w, w.keep(ctx)
}

// Run looks every second and stores what it saw, until ctx ends. A store that is
// away loses nothing that this process saw.
func (w *Watch) Run(ctx context.Context) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
		}
		w.mu.Lock()
		w.look()
		dirty := w.kept < len(w.jumps)
		w.mu.Unlock()
		if !dirty && n%60 != 0 {
			continue
		}
		if err := w.keep(ctx); err != nil && ctx.Err() == nil {
			w.o.Log.Warn().Err(err).Msg("the reading of the clock was not stored")
		}
	}
}

// look compares the clocks; mu is held.
func (w *Watch) look() Reading {
	r := w.o.Read()
	gained := r.Wall.Sub(w.anchor.Wall) - (r.Up - w.anchor.Up)
	if gained.Abs() >= step {
		w.jumps = append(w.jumps, Jump{At: r.Wall, Up: r.Up, By: gained})
		w.o.Log.Error().Dur("by", gained).Time("at", r.Wall).Msg("the clock jumped; holds that began before wait for the time that did not pass, or for a person")
	}
	if gained.Abs() >= step || r.Up-w.anchor.Up >= span {
		w.anchor = r
	}
	return r
}

// Early says why what began at from and is due at due may not happen yet, or "":
// because the clock of this machine jumped in between, or the clock by which it
// became due is not this one and is ahead. It touches no store and may be called
// within a transaction.
func (w *Watch) Early(from, due time.Time) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.look().Wall
	if left := due.Sub(now); left >= step {
		return fmt.Sprintf("it is due in %s by the clock of this machine, which differs from the engine's", left.Round(time.Second))
	}
	skipped := skipped(w.jumps, from)
	if left := due.Add(skipped).Sub(now); left >= step {
		return fmt.Sprintf("the clock jumped ahead by %s since it began; by the time that passed it is due in %s", skipped.Round(time.Second), left.Round(time.Second))
	}
	return ""
}

// skipped is what the jumps after a time gained; what was set back again is taken
// off, and less than nothing is nothing.
func skipped(jumps []Jump, from time.Time) time.Duration {
	var sum time.Duration
	for _, j := range jumps {
		if from.Before(j.At) {
			sum += j.By
		}
	}
	return max(0, sum)
}

// Odd says what the clock did lately, or "" where there is nothing to tell.
func (w *Watch) Odd() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.look()
	var sum time.Duration
	var last Jump
	for _, j := range slices.Backward(w.jumps) {
		// A jump ahead counts until the time that it skipped has passed.
		if now.Up-j.Up >= max(told, j.By, sum+j.By) {
			break
		}
		if sum += j.By; last == (Jump{}) {
			last = j
		}
	}
	switch {
	case sum >= step:
		return fmt.Sprintf("the clock jumped ahead by %s, the last time to %s; holds that began before are released by themselves that much later, or by a person: quell hold list", sum.Round(time.Second), last.At.UTC().Format(time.RFC3339))
	case sum <= -step:
		return fmt.Sprintf("the clock was set back by %s, the last time to %s; what waits for a time waits that much longer", -sum.Round(time.Second), last.At.UTC().Format(time.RFC3339))
	}
	return ""
}
