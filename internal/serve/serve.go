package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/dispatch"
	"github.com/quell-soar/quell/internal/engine"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/own"
	"github.com/quell-soar/quell/internal/registry"
	"github.com/quell-soar/quell/internal/report"
	"github.com/quell-soar/quell/internal/retention"
	"github.com/quell-soar/quell/server"
	"github.com/quell-soar/quell/workflows"
	"github.com/quell-soar/quell/workflows/run"
)

// Options are what the program adds to a configuration.
type Options struct {
	Version string
	// Stdout takes the one line of JSON that tells when it is ready, and where;
	// the log goes to Stderr.
	Stdout, Stderr io.Writer
}

// Run runs Quell until ctx ends, then lets what is in hand end. It returns after
// everything that it started has stopped.
func Run(ctx context.Context, cfg *config.Config, o Options) error {
	log := newLog(cfg, o.Stderr)
	var closers stack
	defer closers.close(log)

	watch, err := newWatch(ctx, cfg, o.Version, log, &closers)
	if err != nil {
		return err
	}
	rooms, err := openRooms(ctx, cfg, log, watch, &closers)
	if err != nil {
		return err
	}
	if err := noteRestored(ctx, cfg, rooms); err != nil {
		return err
	}
	h, err := startConnectors(ctx, cfg, log, watch, rooms.disk.Low, &closers)
	if err != nil {
		return err
	}
	all := own.New(h, o.Version, rooms.runs, time.Now)
	tokens := auth.NewTokens(rooms.db, rooms.ledger, cfg.Tenant, time.Now)
	book := &book{
		cfg: cfg, catalogue: all.Catalogue(), house: houseOf(cfg, all.Catalogue()), version: o.Version,
		reg: registry.New(rooms.db, rooms.ledger, cfg.Tenant, time.Now), roles: rolesGiven(tokens), log: log.With().Str("part", "playbooks").Logger(),
	}
	if err := openBook(ctx, book); err != nil {
		return err
	}
	watch.host.Store(all)
	watch.book.Store(book)
	eng, err := startEngine(ctx, cfg, log, watch, &closers)
	if err != nil {
		return err
	}
	pulse := dispatch.NewPulse(time.Now)
	disp := dispatch.New(eng.Client(), rooms.runs, deliveries{rooms.approvals}, dispatch.Options{
		Log: log, Active: cfg.Limits.ActiveRuns, Pulse: pulse, Took: eng.Answers().Lately, Slow: eng.Slow(), Space: rooms.disk.Low, Doubts: doubts(rooms), Messages: messages(rooms.runs), Seen: watch.start,
	})
	if err := watch.metrics.Watch((&states{cfg: cfg, rooms: rooms, host: h, pulse: pulse, bound: disp.Bound, answers: eng.Answers().Lately, now: time.Now}).read); err != nil {
		return err
	}
	w, err := startWorker(eng, rooms, all, book, pulse, watch, disp.Nudge)
	if err != nil {
		return err
	}
	closers.push("worker", func(context.Context) error { w.Stop(); return nil })
	book.changed = func(ctx context.Context) error { return keepSchedules(ctx, disp, book, cfg.Tenant) }
	if err := book.changed(ctx); err != nil {
		return err
	}
	rehearsals, err := newRehearsals(book, rooms, all)
	if err != nil {
		return err
	}
	srv, err := newServer(ctx, cfg, o.Version, log, rooms, h, book, disp, watch, rehearsals)
	if err != nil {
		return err
	}
	if err := offerFirst(ctx, cfg.DataDir, tokens, o.Stderr); err != nil {
		return err
	}
	watcher := &activities.Watcher{
		Host: h, Effects: rooms.effects, Now: time.Now,
		Warn: func(err error) { log.Warn().Err(err).Msg("what people did beside observe mode was not looked at") },
	}
	rooms.sweeper = sweeperOf(cfg, rooms, log)
	return loop(ctx, log, o.Stdout, rooms, disp, watcher, book, srv)
}

// loop runs the parts that loop until ctx ends.
func loop(ctx context.Context, log zerolog.Logger, stdout io.Writer, r *rooms, d *dispatch.Dispatcher, watcher *activities.Watcher, b *book, srv *server.Server) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { d.Run(ctx) })
	wg.Go(func() {
		r.ledger.Run(ctx, func(err error) { log.Warn().Err(err).Msg("no checkpoint could be signed") })
	})
	wg.Go(func() { watcher.Run(ctx) })
	wg.Go(func() { b.follow(ctx) })
	wg.Go(func() {
		r.readings.Run(ctx, func(err error) { log.Warn().Err(err).Msg("answers to reads were not kept for backtests") })
	})
	wg.Go(func() { r.clock.Run(ctx) })
	if r.sweeper != nil {
		wg.Go(func() { r.sweeper.Run(ctx) })
	}
	return srv.Serve(ctx, func(tcp string) {
		_, _ = fmt.Fprintf(stdout, "{\"ready\":true,\"listen\":%q,\"pid\":%d}\n", tcp, os.Getpid())
		log.Info().Str("listen", tcp).Msg("ready")
	})
}

// sweeperOf is who deletes what is past its time; nil where nothing is exported.
func sweeperOf(cfg *config.Config, r *rooms, log zerolog.Logger) *retention.Sweeper {
	if cfg.Retention.Export == "" {
		return nil
	}
	log = log.With().Str("part", "retention").Logger()
	aside := func(file string) {
		log.Warn().Str("file", file).Msg("the export has rows that the ledger does not have: a backup was restored from before them, and this file tells what was done in between; compare with quell audit list --export")
	}
	return &retention.Sweeper{
		DB: r.db, Ledger: r.ledger, Runs: r.runs, Effects: r.effects, Approvals: r.approvals, Readings: r.readings,
		Exporter: &retention.Exporter{DB: r.db, Ledger: r.ledger, Dir: cfg.Retention.Export, Aside: aside},
		Keep:     time.Duration(cfg.Retention.Keep), Record: time.Duration(cfg.Retention.Record), Evidence: cfg.Evidence, Now: time.Now, Odd: r.clock.Odd, Log: log,
	}
}

func newLog(cfg *config.Config, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(cfg.Log.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	if cfg.Log.Format == "text" {
		w = zerolog.ConsoleWriter{Out: w, NoColor: true, TimeFormat: time.RFC3339}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// stack closes what was opened, the last first.
type stack struct {
	names []string
	funcs []func(context.Context) error
}

func (s *stack) push(name string, f func(context.Context) error) {
	s.names, s.funcs = append(s.names, name), append(s.funcs, f)
}

// stopTime bounds the whole shutdown.
const stopTime = 25 * time.Second

func (s *stack) close(log zerolog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	for i, stop := range slices.Backward(s.funcs) {
		if err := stop(ctx); err != nil {
			log.Warn().Err(err).Str("part", s.names[i]).Msg("did not stop cleanly")
		}
	}
}

func startConnectors(ctx context.Context, cfg *config.Config, log zerolog.Logger, watch *watch, space func() error, c *stack) (*host.Host, error) {
	var list []host.Instance
	for _, name := range sorted(cfg.Connectors) {
		list = append(list, instanceOf(name, cfg.Connectors[name]))
	}
	h, err := host.New(watch.hostHooks(host.Options{
		Log: log.With().Str("part", "connectors").Logger(), Instances: list,
		Evidence: host.EvidenceDir(cfg.Evidence), Space: space,
	}))
	if err != nil {
		return nil, err
	}
	if err := h.Start(ctx); err != nil {
		return nil, errors.Join(err, h.Close(ctx))
	}
	c.push("connectors", h.Close)
	return h, nil
}

func startEngine(ctx context.Context, cfg *config.Config, log zerolog.Logger, watch *watch, c *stack) (*engine.Engine, error) {
	o := engine.Options{Dir: filepath.Join(cfg.DataDir, "engine"), Retention: time.Duration(cfg.Retention.Histories), Log: log.With().Str("part", "engine").Logger(), Metrics: watch.engine}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", o.Dir, err)
	}
	if t := cfg.Temporal; t.Address != "" {
		o.External = &engine.External{Address: t.Address, Namespace: t.Namespace, CertFile: t.TLS.Cert, KeyFile: t.TLS.Key, CAFile: t.TLS.CA}
	}
	for i, ref := range cfg.Keys.Payloads {
		text, err := ref.Resolve(ctx)
		if err != nil {
			return nil, fmt.Errorf("keys.payloads.%d: %w", i, err)
		}
		key, err := engine.ParsePayloadKey(text.Reveal())
		if err != nil {
			return nil, fmt.Errorf("keys.payloads.%d: %s: %w", i, ref, err)
		}
		o.Payloads = append(o.Payloads, key)
	}
	e, err := engine.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	c.push("engine", func(context.Context) error { return e.Stop() })
	return e, nil
}

// startWorker runs workflows and activities in this process. Activities wait for
// targets, deadlines and vendors, so there may be many; how many calls leave at
// once, the host decides per instance.
func startWorker(e *engine.Engine, r *rooms, h *own.Host, b *book, pulse *dispatch.Pulse, watch *watch, nudge func()) (worker.Worker, error) {
	interceptors := []interceptor.WorkerInterceptor{pulse}
	if watch.tracer.On() {
		interceptors = append(interceptors, &activitySpans{tracer: watch.tracer})
	}
	w := worker.New(e.Client(), run.TaskQueue, worker.Options{
		MaxConcurrentActivityExecutionSize:      1000,
		MaxConcurrentLocalActivityExecutionSize: 200,
		MaxConcurrentWorkflowTaskExecutionSize:  100,
		WorkflowTaskPollerBehavior:              engine.Pollers(),
		ActivityTaskPollerBehavior:              engine.Pollers(),
		WorkerStopTimeout:                       10 * time.Second,
		Interceptors:                            interceptors,
	})
	workflows.New().Register(w)
	charters := &charters{runs: r.runs, book: b}
	watched := watchedHost{h, watch}
	activities.Set{
		Reader: &activities.Reader{Host: watched, Keep: r.readings.Keep},
		Actor: &activities.Actor{
			Host: watched, Effects: watchedEffects{r.effects, r.runs, watch}, Charter: charters.charter, Facts: factsFor(b.cfg, h.Host, r.guard), Blind: os.Getenv(blindVar) == "1",
		},
		Recorder: &activities.Recorder{
			DB: r.db, Ledger: r.ledger, Effects: r.effects, Approvals: r.approvals, Runs: r.runs,
			Host: h, Starter: (&starter{r, b, nudge}).fire, Ended: watch.end(r.runs),
		},
	}.Register(w)
	if err := w.Start(); err != nil {
		return nil, fmt.Errorf("start the worker: %w", err)
	}
	return w, nil
}

// blindVar switches read-back off, for the control of the kill test only.
const blindVar = "QUELL_TEST_NO_READ_BACK"

func newServer(ctx context.Context, cfg *config.Config, version string, log zerolog.Logger, r *rooms, h *host.Host, b *book, d *dispatch.Dispatcher, watch *watch, re *rehearsals) (*server.Server, error) {
	sources, err := sourcesOf(ctx, cfg)
	if err != nil {
		return nil, err
	}
	in, err := intake.New(intake.Config{Tenant: cfg.Tenant, Sources: sources, MaxWaiting: cfg.Limits.WaitingRuns},
		intake.Deps{DB: r.db, Runs: r.runs, Ledger: r.ledger, Book: b, Nudge: d.Nudge, Space: r.disk.Low, Seen: watch.alert}, time.Now)
	if err != nil {
		return nil, err
	}
	re.intake = in
	access, err := accessOf(ctx, cfg, r)
	if err != nil {
		return nil, err
	}
	certs, err := tlsOf(cfg.Access.TLS)
	if err != nil {
		return nil, err
	}
	return server.New(
		server.Config{Tenant: cfg.Tenant, Socket: cfg.Socket, Listen: cfg.Listen, TLS: certs, Hosts: cfg.Access.Hosts, Origins: cfg.Access.Origins, Version: version},
		access,
		server.Rooms{DB: r.db, Runs: r.runs, Effects: r.effects, Approvals: r.approvals, Ledger: r.ledger, Guard: r.guard},
		server.Work{
			Engine: d, Books: b, Registry: desk{b}, Connectors: connectorList{h, cfg, b.house, d}, Intake: in, Disk: r.disk.Low, Clock: r.clock.Odd, Metrics: watch.metrics.Handler(),
			Rehearsals: re,
			Reviews:    &report.Builder{Runs: r.runs, Effects: r.effects, Approvals: r.approvals, Ledger: r.ledger, Now: time.Now},
		}, log)
}
