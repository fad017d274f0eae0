package engine

import (
	"context"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// Answers measures how long the engine takes to do what this process asks of it:
// what moves a run on, and not the questions that wait for something by design. The
// zero value is ready.
type Answers struct {
	mu   sync.Mutex
	mean time.Duration
	last time.Time
	// open are the requests under way, by when they were sent.
	open map[*time.Time]struct{}
}

// moves are the requests that are measured: each is one small write of the engine.
var moves = map[string]bool{
	"StartWorkflowExecution": true, "SignalWorkflowExecution": true,
	"RespondWorkflowTaskCompleted": true, "RespondActivityTaskCompleted": true,
}

const (
	// weight is what the newest of the answers counts in their mean.
	weight = 0.05
	// forgotten is how long after the last of them the mean says nothing more.
	forgotten = 10 * time.Second
)

// Lately is how long the engine took lately, in the mean; longer where the oldest
// request that it has not answered waits longer. 0 where nothing was asked for a
// while. The dispatcher asks at each scan.
func (a *Answers) Lately() time.Duration { return a.lately(time.Now()) }

func (a *Answers) lately(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	var d time.Duration
	if now.Sub(a.last) < forgotten {
		d = a.mean
	}
	for sent := range a.open {
		d = max(d, now.Sub(*sent))
	}
	return d
}

func (a *Answers) sent(at time.Time) *time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = map[*time.Time]struct{}{}
	}
	a.open[&at] = struct{}{}
	return &at
}

func (a *Answers) came(sent *time.Time, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, sent)
	took := at.Sub(*sent)
	if at.Sub(a.last) >= forgotten {
		a.mean = took
	}
	a.mean += time.Duration(weight * float64(took-a.mean))
	a.last = at
}

func (a *Answers) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(a.intercept)}
}

// intercept is a grpc.UnaryClientInterceptor.
func (a *Answers) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if !moves[method[strings.LastIndexByte(method, '/')+1:]] {
		return next(ctx, method, req, reply, cc, opts...)
	}
	sent := a.sent(time.Now())
	defer func() { a.came(sent, time.Now()) }()
	return next(ctx, method, req, reply, cc, opts...)
}
