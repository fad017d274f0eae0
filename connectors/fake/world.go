package fake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Vendor is one fake as the world sees it. Its functions are called while the
// world is locked.
type Vendor struct {
	// Name stands in scripts and in the journal.
	Name string
	// Authorize answers a request whose credential is not good, else nil.
	Authorize func(c *Call) *Answer
	// Refused is the vendor's way of refusing with a status; retry is for 429.
	Refused func(c *Call, status int, retry time.Duration) Answer
	// Soft is the vendor's success with an error within; nil where it has none.
	Soft func(c *Call) Answer
	// Expire ends every token given out so far.
	Expire func()
	// Dump returns the vendor's objects as plain data in a fixed order.
	Dump func() any
}

// World is the state behind all fakes of a lab. It may be used from many
// goroutines.
type World struct {
	clock   Clock
	journal *Journal
	seed    uint64
	life    context.Context
	end     context.CancelFunc

	mu      sync.Mutex
	script  *Script
	vendors map[string]*Vendor
	lags    map[string]time.Duration
	late    []lateAct
	serial  int64
}

type lateAct struct {
	at   time.Time
	call *Call
	act  Act
}

// NewWorld makes an empty world.
func NewWorld(clock Clock, journal *Journal, seed uint64) *World {
	life, end := context.WithCancel(context.Background())
	return &World{
		clock: clock, journal: journal, seed: seed, script: &Script{}, life: life, end: end,
		vendors: map[string]*Vendor{}, lags: map[string]time.Duration{},
	}
}

// Close ends every wait of a slow vendor, so that its server can stop.
func (w *World) Close() { w.end() }

// Add makes a vendor part of the world.
func (w *World) Add(v *Vendor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.vendors[v.Name] = v
}

// Journal returns the record of effects.
func (w *World) Journal() *Journal { return w.journal }

// Clock returns the world's clock.
func (w *World) Clock() Clock { return w.clock }

// SetScript replaces the faults; the seed begins anew.
func (w *World) SetScript(text string) error {
	s, err := ParseScript(text, w.seed)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.script = s
	return nil
}

// Do runs f while the world stands still. Fakes use it for seeding.
func (w *World) Do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// Lag names a delay of a fake and its default. A fake calls it once for each.
func (w *World) Lag(name string, normal time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.lags[name]; !ok {
		w.lags[name] = normal
	}
}

// LagOf returns a delay. It is called while the world is locked.
func (w *World) LagOf(name string) time.Duration { return w.lags[name] }

// SetLag changes delays; it refuses names that no fake has.
func (w *World) SetLag(changes map[string]time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, d := range changes {
		if _, ok := w.lags[name]; !ok {
			return fmt.Errorf("there is no lag %q; there are %v", name, slices.Sorted(maps.Keys(w.lags)))
		}
		if d < 0 {
			return fmt.Errorf("lag %s: %s is below zero", name, d)
		}
	}
	maps.Copy(w.lags, changes)
	return nil
}

// Lags returns all delays.
func (w *World) Lags() map[string]time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.lags)
}

// Dump returns every object of every vendor, or of one, after what is due was
// done.
func (w *World) Dump(vendor string) (map[string]any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.due(); err != nil {
		return nil, err
	}
	out := map[string]any{}
	for name, v := range w.vendors {
		if vendor == "" || vendor == name {
			out[name] = v.Dump()
		}
	}
	return out, nil
}

// Effects returns the journal after what is due was done.
func (w *World) Effects(f Filter) ([]Effect, error) {
	w.mu.Lock()
	err := w.due()
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return w.journal.List(f), nil
}

// due does what late faults have put off until now. The world is locked.
func (w *World) due() error {
	now := w.clock.Now()
	var rest []lateAct
	for _, l := range w.late {
		if l.at.After(now) {
			rest = append(rest, l)
			continue
		}
		done := l.act.Run()
		if _, err := w.write(l.call, done.Effects, Late); err != nil {
			return err
		}
	}
	w.late = rest
	return nil
}

// write puts effects into the journal and returns their numbers. The world is
// locked.
func (w *World) write(c *Call, changes []Change, fault FaultKind) ([]int64, error) {
	seqs := make([]int64, 0, len(changes))
	for _, ch := range changes {
		e := Effect{
			At: w.clock.Now().UTC(), Vendor: c.vendor, Operation: c.operation, Object: ch.Object, Key: ch.Key,
			Request: c.ID, Before: ch.Before, After: ch.After,
		}
		if fault != OK {
			e.Fault = string(fault)
		}
		seq, err := w.journal.append(e)
		if err != nil {
			return nil, err
		}
		seqs = append(seqs, seq)
	}
	return seqs, nil
}

// nextID numbers requests, so that a journal can be read beside a log. The
// world is locked.
func (w *World) nextID() string {
	w.serial++
	return "req-" + strconv.FormatInt(w.serial, 10)
}
