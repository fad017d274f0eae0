package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/host/launch"
)

// errStale ends a healthy process whose confinement no longer fits the system, or
// whose secrets were changed.
var errStale = errors.New("what it was started with was replaced")

// own is the one goroutine that starts and stops the instance's processes. It
// returns when ctx ends and its process is gone.
func (i *instance) own(ctx context.Context) {
	defer i.triedOnce.Do(func() { close(i.tried) })
	defer i.set(func() { i.state, i.proc = Stopped, nil })
	past := crashes{opts: i.opts}
	for ctx.Err() == nil {
		l, err := i.launcher()
		if err != nil {
			i.fail(err, Broken)
			i.log.Error().Err(err).Msg("connector cannot be started")
			sleep(ctx, i.opts.QuarantineRetry)
			continue
		}
		if l.Confined() == 0 {
			i.log.Warn().Msg("this kernel has no Landlock: the connector can read files that Quell's user can read")
		}
		i.keep(ctx, l, &past)
		l.Close()
	}
}

// keep starts process after process from one launcher, until ctx ends or the
// launcher does not fit any more.
func (i *instance) keep(ctx context.Context, l *launch.Launcher, past *crashes) {
	for ctx.Err() == nil {
		i.set(func() { i.state = Starting; i.starts++; i.confined = l.Confined() })
		cause := i.life(ctx, l)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(cause, errStale):
			i.log.Info().Err(cause).Msg("connector is started anew")
			return
		}
		pause, state := past.next(time.Now(), i.served.Swap(false))
		i.fail(cause, state)
		i.log.Warn().Err(cause).Dur("retry_in", pause).Str("state", string(state)).Msg("connector failed")
		if !sleep(ctx, pause) {
			return
		}
		if _, stale := l.Stale(); stale {
			return
		}
	}
}

func (i *instance) launcher() (*launch.Launcher, error) {
	return launch.New(launch.Options{
		Log: i.log, RunDir: i.opts.RunDir, Reads: i.conf.Reads, Files: i.opts.Files, Memory: i.opts.Memory,
		StartTimeout: i.opts.StartTimeout, StopGrace: i.opts.StopGrace,
	})
}

// life is one process from start to end. It returns why it ended.
func (i *instance) life(ctx context.Context, l *launch.Launcher) error {
	p, redact, err := i.bring(ctx, l)
	if err != nil {
		return err
	}
	// Calls must not find it any more before it is stopped.
	defer p.Stop()
	defer i.set(func() { i.state, i.proc, i.redact = Starting, nil, nil })
	i.set(func() { i.state, i.proc, i.redact = Ready, p, redact })
	i.triedOnce.Do(func() { close(i.tried) })
	i.log.Info().Int("pid", p.PID()).Str("sha256", p.SHA256()).Msg("connector ready")
	return i.watch(ctx, l, p)
}

// watch pings the process until it dies, stops answering or ctx ends.
func (i *instance) watch(ctx context.Context, l *launch.Launcher, p *launch.Process) error {
	tick := time.NewTicker(i.opts.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.Done():
			return fmt.Errorf("its process ended: %s", p.Exit())
		case <-tick.C:
		}
		if path, stale := l.Stale(); stale {
			i.drain(ctx, p)
			return fmt.Errorf("%w: %s", errStale, path)
		}
		if name := i.rotated(ctx); name != "" {
			i.drain(ctx, p)
			return fmt.Errorf("%w: the secret %s", errStale, name)
		}
		pingCtx, cancel := context.WithTimeout(ctx, i.opts.PingTimeout)
		err := p.Ping(pingCtx)
		late := pingCtx.Err() != nil
		cancel()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case late:
			// go-plugin would wait for a frozen process; we do not.
			p.Kill()
			return fmt.Errorf("its process %d did not answer for %s and was killed", p.PID(), i.opts.PingTimeout)
		default:
			p.Kill()
			return fmt.Errorf("its process %d failed a ping and was killed: %s", p.PID(), launch.CleanText(err.Error(), 256))
		}
	}
}

// rotated names a secret that is another than the process was given, or "". One
// that cannot be fetched just now is no reason to stop what works.
func (i *instance) rotated(ctx context.Context) string {
	if i.conf.Secrets == nil {
		return ""
	}
	now, err := i.conf.Secrets(ctx)
	if err != nil {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if given, ok := i.given[name]; !ok || given != sha256.Sum256([]byte(now[name].Reveal())) {
			return name
		}
	}
	return ""
}

// drain sends no more calls to p and waits a while for those that run.
func (i *instance) drain(ctx context.Context, p *launch.Process) {
	i.set(func() { i.state, i.proc = Starting, nil })
	timer := time.NewTimer(i.opts.DrainTimeout)
	defer timer.Stop()
	for {
		i.mu.Lock()
		users, changed := i.users, i.changed
		i.mu.Unlock()
		if users == 0 {
			return
		}
		select {
		case <-changed:
		case <-p.Done():
			return
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (i *instance) fail(cause error, state State) {
	text := "unknown"
	if cause != nil {
		text = cause.Error()
	}
	i.set(func() { i.state, i.proc, i.lastErr = state, nil, launch.CleanText(text, 1024) })
	i.triedOnce.Do(func() { close(i.tried) })
}

// crashes decides how soon an instance is started again.
type crashes struct {
	opts  Options
	times []time.Time
	row   int
}

// next counts a crash. served says that the process had answered a call: then
// the pauses begin anew, since something outside killed it or one input does.
func (c *crashes) next(now time.Time, served bool) (time.Duration, State) {
	if served {
		c.row = 0
	}
	recent := c.times[:0]
	for _, t := range c.times {
		if now.Sub(t) < c.opts.CrashWindow {
			recent = append(recent, t)
		}
	}
	if len(recent) == 0 && len(c.times) > 0 {
		c.row = 0
	}
	c.times = append(recent, now)
	if len(c.times) >= c.opts.Crashes {
		return c.opts.QuarantineRetry, Quarantined
	}
	pause := c.opts.RetryMost
	if c.row < 30 {
		pause = min(pause, c.opts.RetryFirst<<c.row)
	}
	c.row++
	return pause, Broken
}

// sleep waits for d and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// describeOnce runs the binary for its manifest only.
func (i *instance) describeOnce(ctx context.Context) (err error) {
	l, err := i.launcher()
	if err != nil {
		return err
	}
	defer l.Close()
	p, err := i.start(ctx, l)
	if err != nil {
		return err
	}
	defer p.Stop()
	ctx, cancel := context.WithTimeout(ctx, i.opts.OpenTimeout)
	defer cancel()
	if _, err := i.describe(ctx, p); err != nil {
		return errors.Join(err, ctx.Err())
	}
	return nil
}
