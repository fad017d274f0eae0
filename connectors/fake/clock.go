package fake

import (
	"context"
	"sync"
	"time"
)

// Clock is the time of a world.
type Clock interface {
	Now() time.Time
	// Wait returns after d, or earlier with the context's error.
	Wait(ctx context.Context, d time.Duration) error
}

// Real is the machine's clock.
type Real struct{}

var _ Clock = Real{}

// Now returns the time.
func (Real) Now() time.Time { return time.Now() }

// Wait waits.
func (Real) Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Manual is a clock that only moves when told to.
type Manual struct {
	mu    sync.Mutex
	now   time.Time
	moved chan struct{}
}

var _ Clock = (*Manual)(nil)

// NewManual makes a clock that stands at now.
func NewManual(now time.Time) *Manual { return &Manual{now: now, moved: make(chan struct{})} }

// Now returns where the clock stands.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Advance moves the clock and wakes those whose time has come.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	close(m.moved)
	m.moved = make(chan struct{})
}

// Wait returns when the clock has moved on by d.
func (m *Manual) Wait(ctx context.Context, d time.Duration) error {
	until := m.Now().Add(d)
	for {
		m.mu.Lock()
		now, moved := m.now, m.moved
		m.mu.Unlock()
		if !now.Before(until) {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
