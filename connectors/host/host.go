package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Host runs the configured instances. Make it with New; Start it once; Close it
// in the end. All methods may be called from many goroutines.
type Host struct {
	opts      Options
	instances []*instance
	byName    map[string]*instance

	mu      sync.Mutex
	started bool
	closed  bool
	// calls are the calls that run; Close waits for them.
	calls   sync.WaitGroup
	running int
	// closing ends when calls must not wait any longer.
	closing chan struct{}
	// end stops the owners.
	end   context.CancelFunc
	owner sync.WaitGroup
}

// New checks the options and starts nothing. The error joins everything that is
// wrong with the instances.
func New(o Options) (*Host, error) {
	o = o.filled()
	if err := o.validate(); err != nil {
		return nil, err
	}
	h := &Host{opts: o, byName: make(map[string]*instance, len(o.Instances)), closing: make(chan struct{})}
	for _, conf := range o.Instances {
		i := newInstance(conf, o)
		h.instances = append(h.instances, i)
		h.byName[conf.Name] = i
	}
	return h, nil
}

// Describe runs the binary of each instance whose manifest is not known yet,
// once and without settings or secrets, so that Catalogue is complete without
// Start. The error joins what went wrong; the instances that answered are in
// the catalogue all the same.
func (h *Host) Describe(ctx context.Context) error {
	var errs []error
	for _, i := range h.instances {
		if i.known() != nil {
			continue
		}
		if err := i.describeOnce(ctx); err != nil {
			errs = append(errs, fmt.Errorf("connector instance %s: %w", i.conf.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Start starts every instance and waits until each is ready or has failed once,
// or until ctx ends. It may be called once.
//
// The error joins the instances that are not ready. The host runs nevertheless
// and goes on trying them: a caller that can do with fewer connectors reports
// the error and continues, one that cannot closes the host.
func (h *Host) Start(ctx context.Context) error {
	h.mu.Lock()
	if h.started || h.closed {
		h.mu.Unlock()
		return errors.New("the connector host was started or closed before; make a new one")
	}
	h.started = true
	run, end := context.WithCancel(context.Background())
	h.end = end
	for _, i := range h.instances {
		h.owner.Go(func() { i.own(run) })
	}
	h.mu.Unlock()
	var errs []error
	for _, i := range h.instances {
		select {
		case <-i.tried:
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("connector instance %s: not ready yet: %w", i.conf.Name, ctx.Err()))
			continue
		}
		if st := i.status(); st.State != Ready && st.LastError != "" {
			errs = append(errs, fmt.Errorf("connector instance %s: %s", i.conf.Name, st.LastError))
		}
	}
	return errors.Join(errs...)
}

// Close refuses new calls, waits for those that run (until ctx or DrainTimeout
// ends), and stops every process, by force where one does not end by itself. The
// error says that calls were cut off. It may be called more than once; the later
// calls return nil.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	end := h.end
	h.mu.Unlock()
	close(h.closing)

	drained := make(chan struct{})
	go func() { defer close(drained); h.calls.Wait() }()
	timer := time.NewTimer(h.opts.DrainTimeout)
	defer timer.Stop()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = fmt.Errorf("closing the connector host: calls were cut off: %w", ctx.Err())
	case <-timer.C:
		err = fmt.Errorf("closing the connector host: calls that ran longer than %s were cut off", h.opts.DrainTimeout)
	}
	if end != nil {
		end()
	}
	h.owner.Wait()
	<-drained // their processes are gone, so they have ended
	return err
}

// enter counts a call in, unless the host is closed.
func (h *Host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.calls.Add(1)
	h.running++
	return true
}

func (h *Host) leave() {
	h.mu.Lock()
	h.running--
	h.mu.Unlock()
	h.calls.Done()
}

// Running is how many calls and checks run or wait now, over all instances.
func (h *Host) Running() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running
}
