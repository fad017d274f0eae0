package host

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/host/launch"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

// instance is one configured connector. Its owner (own) alone starts and stops
// processes and sets the state; calls read it.
type instance struct {
	conf Instance
	opts Options
	log  zerolog.Logger

	gate    *gate
	queue   *queue
	pause   pause
	circuit circuit
	// served: the present process has answered a call.
	served atomic.Bool
	// tried is closed when the first start has come to an end.
	tried     chan struct{}
	triedOnce sync.Once

	// given are digests of the secrets that the present process got; its owner
	// alone reads and sets them.
	given map[string][sha256.Size]byte

	mu    sync.Mutex
	state State
	since time.Time
	proc  *launch.Process
	// users are the calls that hold a line to a process.
	users int
	// redact knows the secrets of the present process.
	redact   *secret.Redactor
	manifest *spec.Manifest
	streams  bool
	sum      string
	starts   int
	confined int
	lastErr  string
	// changed is closed and replaced when state or proc change.
	changed chan struct{}
}

func newInstance(conf Instance, o Options) *instance {
	return &instance{
		conf: conf, opts: o,
		log:     o.Log.With().Str("instance", conf.Name).Str("connector", conf.Connector).Logger(),
		gate:    newGate(o.Slots, conf.Rate, conf.Burst),
		queue:   newQueue(o.Slots),
		circuit: circuit{limit: o.Failures, first: o.CircuitFirst, most: o.CircuitMost},
		tried:   make(chan struct{}),
		state:   Starting,
		since:   time.Now(),
		changed: make(chan struct{}),
	}
}

// set changes the state under the lock and wakes whoever waits for it.
func (i *instance) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.state
	change()
	if i.state != before {
		i.since = time.Now()
	}
	close(i.changed)
	i.changed = make(chan struct{})
}

func (i *instance) known() *spec.Manifest {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.manifest
}

func (i *instance) action(name string) (spec.Action, bool) {
	m := i.known()
	if m == nil {
		return spec.Action{}, false
	}
	return m.Action(name)
}

func (i *instance) status() InstanceStatus {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.opts.Clock()
	circuit, until, why := i.circuit.shown(now)
	st := InstanceStatus{
		Name: i.conf.Name, Connector: i.conf.Connector, State: i.state, Since: i.since,
		SHA256: i.sum, Restarts: max(0, i.starts-1), Confined: i.confined, LastError: i.lastErr,
		PausedUntil: i.pause.shown(now), Circuit: circuit, OpenUntil: until, CircuitError: why, Slots: i.gate.slots, SlotsInUse: i.gate.taken(),
	}
	if i.manifest != nil {
		st.Version = i.manifest.Version
	}
	if i.proc != nil {
		st.PID = i.proc.PID()
	}
	return st
}

// line is a ready process with what is needed to talk to it.
type line struct {
	proc   *launch.Process
	redact *secret.Redactor
	// streams: it gives out contents in pieces.
	streams bool
}

// acquire returns the ready process, waiting for at most wait while the instance
// restarts; waited says that it did. The error is Unavailable. Without an error the line
// must be released.
func (i *instance) acquire(ctx context.Context, closing <-chan struct{}, wait time.Duration) (_ line, waited bool, _ *spec.Error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		i.mu.Lock()
		state, got, changed, why := i.state, line{i.proc, i.redact, i.streams}, i.changed, i.lastErr
		if state == Ready {
			i.users++
		}
		i.mu.Unlock()
		switch state {
		case Ready:
			return got, waited, nil
		case Quarantined, Stopped:
			return line{}, waited, spec.Errorf(spec.Unavailable, "connector instance %s is %s: %s", i.conf.Name, state, orNone(why))
		}
		waited = true
		select {
		case <-changed:
		case <-timer.C:
			return line{}, waited, spec.Errorf(spec.Unavailable, "connector instance %s is %s and was not ready within %s: %s", i.conf.Name, state, wait, orNone(why))
		case <-ctx.Done():
			return line{}, waited, spec.Errorf(spec.Unavailable, "connector instance %s is %s and was not ready before the call's deadline: %s", i.conf.Name, state, orNone(why))
		case <-closing:
			return line{}, waited, spec.Errorf(spec.Unavailable, "connector instance %s is being stopped", i.conf.Name)
		}
	}
}

// release gives a line back.
func (i *instance) release() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.users--
	if i.users == 0 && i.proc == nil { // the owner may be waiting for this
		close(i.changed)
		i.changed = make(chan struct{})
	}
}

// leave waits a little until p is no longer the ready process: a call found it
// dead before its owner did.
func (i *instance) leave(ctx context.Context, p *launch.Process) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	for {
		i.mu.Lock()
		same, changed := i.proc == p, i.changed
		i.mu.Unlock()
		if !same {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func orNone(why string) string {
	if why == "" {
		return "no failure is known"
	}
	return why
}
