package serve

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/internal/answers"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/backup"
	"github.com/quell-soar/quell/internal/clock"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/disk"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/readings"
	"github.com/quell-soar/quell/internal/registry"
	"github.com/quell-soar/quell/internal/retention"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
)

// rooms are the parts that keep things.
type rooms struct {
	db        *store.DB
	ledger    *ledger.Ledger
	guard     *guard.Guard
	effects   *effects.Effects
	approvals *approval.Approvals
	runs      *runs.Runs
	readings  *readings.Readings
	disk      *disk.Gauge
	clock     *clock.Watch
	// sweeper deletes what is past its time; nil where nothing is exported.
	sweeper *retention.Sweeper
}

// Schemas lists the tables of all domains.
func Schemas() []store.Schema {
	return []store.Schema{ledger.Schema(), guard.Schema(), effects.Schema(), approval.Schema(), runs.Schema(), auth.Schema(), answers.Schema(), clock.Schema(), registry.Schema(), readings.Schema(), retention.Schema()}
}

func openRooms(ctx context.Context, cfg *config.Config, log zerolog.Logger, watch *watch, c *stack) (*rooms, error) {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	o := store.Options{Dir: cfg.DataDir, Log: log, Seen: watch.transaction}
	if !cfg.Store.DSN.IsZero() {
		dsn, err := cfg.Store.DSN.Resolve(ctx)
		if err != nil {
			return nil, fmt.Errorf("store.dsn: %w", err)
		}
		o.DSN = dsn.Reveal()
	}
	db, err := store.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	c.push("store", func(context.Context) error { return db.Close() })
	if err := upgrade(ctx, cfg, db, log); err != nil {
		return nil, err
	}
	key, err := ledger.LoadKey(cfg.Keys.Ledger)
	if err != nil {
		return nil, err
	}
	rules, err := rulesOf(ctx, cfg, o.DSN, log)
	if err != nil {
		return nil, err
	}
	g, err := guard.New(rules)
	if err != nil {
		return nil, err
	}
	led := ledger.New(db, key, time.Now)
	led.Outside = cfg.Ledger.Checkpoints
	c.push("ledger", func(ctx context.Context) error { _, err := led.Sign(ctx); return err })
	fx := effects.New(db, led, g, time.Now)
	fx.Approved = approval.Approved
	steady, err := clock.Open(ctx, clock.Options{DB: db, Ledger: led, Tenant: cfg.Tenant, Host: clock.Host(), Read: clock.Read, Log: log})
	if err != nil {
		return nil, err
	}
	fx.Early = steady.Early
	asked := approval.New(db, led, time.Now)
	asked.Seen = watch.request
	return &rooms{
		db: db, ledger: led, guard: g, effects: fx,
		approvals: asked, runs: runs.New(db, time.Now), readings: readings.New(db, time.Now, time.Duration(cfg.Retention.Readings)),
		disk:  disk.New(cfg.DataDir, uint64(cfg.Limits.FreeDisk)<<20, log), //nolint:gosec // validated
		clock: steady,
	}, nil
}

// upgrade brings the tables up to date, after a copy of what an earlier build left.
func upgrade(ctx context.Context, cfg *config.Config, db *store.DB, log zerolog.Logger) error {
	behind, err := db.Behind(ctx, Schemas()...)
	if err != nil {
		return err
	}
	switch {
	case len(behind) == 0:
	case db.Dialect() == store.SQLite && cfg.Temporal.Address == "":
		dir, err := backup.BeforeUpgrade(ctx, cfg.DataDir, "", time.Now())
		if err != nil {
			return fmt.Errorf("the store is of an earlier build and was not copied before its upgrade, so nothing was changed: %w", err)
		}
		log.Info().Strs("tables", behind).Str("copy", dir).Msg("the store is of an earlier build; it was copied and is brought up to date")
	default:
		log.Warn().Strs("tables", behind).Msg("the store is of an earlier build and is brought up to date; going back needs a backup of your own")
	}
	return db.Migrate(ctx, Schemas()...)
}

// instanceOf turns configuration into an instance. Its secrets are fetched anew
// at each start of its process, so a changed file counts from then on.
func instanceOf(name string, c config.Connector) host.Instance {
	i := host.Instance{Name: name, Connector: c.Connector, Binary: c.Binary, SHA256: c.SHA256, Settings: c.Settings, Reads: c.Reads, Observe: c.Mode == config.Observe, Rate: c.Rate, Burst: c.Burst}
	if i.Binary == "" {
		i.Binary = besideUs("quell-connector")
	}
	refs := c.Secrets
	i.Secrets = func(ctx context.Context) (map[string]secret.Value, error) {
		out := make(map[string]secret.Value, len(refs))
		for _, k := range sorted(refs) {
			v, err := refs[k].Resolve(ctx)
			if err != nil {
				return nil, fmt.Errorf("connector %s: %s: %w", name, k, err)
			}
			out[k] = v
		}
		return out, nil
	}
	return i
}

func besideUs(program string) string {
	self, err := os.Executable()
	if err != nil {
		return program
	}
	return filepath.Join(filepath.Dir(self), program)
}

func sourcesOf(ctx context.Context, cfg *config.Config) ([]intake.Source, error) {
	var out []intake.Source
	for _, name := range sorted(cfg.Sources) {
		s := cfg.Sources[name]
		src := intake.Source{
			Name: name, Format: intake.Format(s.Kind), Rate: s.Rate, Burst: s.Burst,
			Ceiling: intake.Ceiling{Severity: s.Ceiling.Severity, Fields: s.Ceiling.Fields, Playbooks: s.Ceiling.Playbooks},
		}
		for _, ref := range s.Secrets {
			v, err := ref.Resolve(ctx)
			if err != nil {
				return nil, fmt.Errorf("source %s: %w", name, err)
			}
			src.Keys = append(src.Keys, []byte(v.Reveal()))
		}
		out = append(out, src)
	}
	return out, nil
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
