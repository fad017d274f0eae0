package activities

import (
	"context"
	"sync"
)

// lanes bounds how many effects are under way at once, per connector instance.
type lanes struct {
	mu sync.Mutex
	by map[string]chan struct{}
}

// enter waits for a lane of an instance and reports false when ctx ended first.
func (l *lanes) enter(ctx context.Context, instance string, n int) (leave func(), ok bool) {
	l.mu.Lock()
	if l.by == nil {
		l.by = map[string]chan struct{}{}
	}
	c, known := l.by[instance]
	if !known {
		c = make(chan struct{}, n)
		l.by[instance] = c
	}
	l.mu.Unlock()
	select {
	case c <- struct{}{}:
		return func() { <-c }, true
	case <-ctx.Done():
		return nil, false
	}
}
