package serve

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/dispatch"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/telemetry"
)

// states reads how things stand, for metrics.
type states struct {
	cfg   *config.Config
	rooms *rooms
	host  *host.Host
	pulse *dispatch.Pulse
	// bound and answers are of the dispatcher and of the engine.
	bound   func() int
	answers func() time.Duration
	now     func() time.Time

	mu sync.Mutex
	// evidence is the size of the evidence, measured at a time.
	evidence   int64
	measuredAt time.Time
}

func (s *states) read(ctx context.Context) (telemetry.State, error) {
	st := telemetry.State{WorkingRuns: s.pulse.Active(), RunsBound: s.bound(), Answers: s.answers(), Connectors: s.connectors()}
	s.disk(&st)
	st.DiskLow, st.ClockOdd = s.rooms.disk.Low() != nil, s.rooms.clock.Odd() != ""
	return st, s.stored(ctx, &st)
}

// stored reads what stands in the store.
func (s *states) stored(ctx context.Context, st *telemetry.State) error {
	now := s.now()
	queue, err := s.rooms.runs.Census(ctx, s.cfg.Tenant)
	if err != nil {
		return err
	}
	st.WaitingRuns, st.RunningRuns, st.OldestWait = queue.Waiting, queue.Running, since(now, queue.Oldest)
	fx, err := s.rooms.effects.Census(ctx)
	if err != nil {
		return err
	}
	st.HeldEffects, st.UnknownEffects, st.OpenEffects = fx.Held, fx.Unknown, fx.Open
	asked, err := s.rooms.approvals.Census(ctx)
	if err != nil {
		return err
	}
	st.Requests, st.OldestRequest = asked.Kinds, since(now, asked.Oldest)
	led, err := s.rooms.ledger.Census(ctx)
	if err != nil {
		return err
	}
	st.Entries, st.Stored, st.Unsigned, st.Lag = led.Entries, led.Stored, led.Unsigned, since(now, led.Since)
	if err := s.exported(ctx, st, now); err != nil {
		return err
	}
	return s.rooms.db.View(ctx, func(tx *store.Tx) error {
		sw, err := guard.KillSwitch(tx)
		st.KillSwitch = sw.On
		return err
	})
}

// exported tells how far the export is, where there is one.
func (s *states) exported(ctx context.Context, st *telemetry.State, now time.Time) error {
	if s.rooms.sweeper == nil {
		return nil
	}
	done, err := s.rooms.sweeper.Exporter.Exported(ctx)
	if err != nil {
		return err
	}
	oldest, err := s.rooms.ledger.MadeAfter(ctx, done)
	st.Export = &telemetry.LedgerExport{Missing: max(0, st.Entries-done), Lag: since(now, oldest)}
	return err
}

func since(now, at time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return max(0, now.Sub(at))
}

// printable is what of a connector's own version becomes a label.
var printable = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+_-]{0,31}$`)

func (s *states) connectors() []telemetry.Connector {
	var out []telemetry.Connector
	held := s.pulse.Held()
	for _, i := range s.host.Status() {
		c := telemetry.Connector{Name: i.Name, Type: i.Connector, Version: i.Version, State: string(i.State), Restarts: i.Restarts, Slots: i.Slots, SlotsInUse: i.SlotsInUse, WaitingRuns: held[i.Name]}
		if !printable.MatchString(c.Version) {
			c.Version = telemetry.Other
		}
		if !i.PausedUntil.IsZero() {
			c.Paused = since(i.PausedUntil, s.now())
		}
		out = append(out, c)
	}
	return out
}

// disk measures what lies on the disk.
func (s *states) disk(st *telemetry.State) {
	st.StoreBytes, st.EngineBytes, st.FreeBytes = -1, -1, -1
	if s.cfg.Store.DSN.IsZero() {
		st.StoreBytes = database(filepath.Join(s.cfg.DataDir, "quell.db"))
	}
	if s.cfg.Temporal.Address == "" {
		st.EngineBytes = database(filepath.Join(s.cfg.DataDir, "engine", "temporal.db"))
	}
	st.EvidenceBytes = s.evidenceSize()
	var free unix.Statfs_t
	if unix.Statfs(s.cfg.DataDir, &free) == nil {
		st.FreeBytes = int64(free.Bavail) * int64(free.Bsize) //nolint:gosec,unconvert // the types differ between systems
	}
}

// database is the size of an SQLite database with what is not yet in its file.
func database(file string) int64 {
	n := int64(0)
	for _, f := range []string{file, file + "-wal"} {
		if st, err := os.Stat(f); err == nil {
			n += st.Size()
		}
	}
	return n
}

// measureAgain is how often the evidence is walked through.
const measureAgain = time.Minute

func (s *states) evidenceSize() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.measuredAt.IsZero() && s.now().Sub(s.measuredAt) < measureAgain {
		return s.evidence
	}
	s.evidence, s.measuredAt = 0, s.now()
	_ = filepath.WalkDir(filepath.Join(s.cfg.DataDir, "evidence"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // what cannot be read has no size
		}
		if info, err := e.Info(); err == nil {
			s.evidence += info.Size()
		}
		return nil
	})
	return s.evidence
}
