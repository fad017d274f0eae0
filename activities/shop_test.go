package activities

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/workflows/run"
)

// fate is what becomes of a call whose caller is gone.
type fate string

const (
	never fate = "never applied"
	now   fate = "applied"
	late  fate = "applied after our deadline"
)

const (
	crashDeadline = 10 * time.Second
	crashSettle   = 5 * time.Second
	crashLag      = time.Minute
)

// shop is a vendor with one thing that is locked and unlocked, by actions of any
// class and read-back. It believes what it is told: a once action happens at each
// call, a keyed one once a key.
type shop struct {
	t        *testing.T
	class    spec.Class
	readBack spec.ReadBack
	// lag is how long after a change reads see it.
	lag time.Duration
	// shutUntil is when its circuit closes.
	shutUntil time.Time
	// crowd is for how long it sends work away.
	crowd time.Duration
	// next is the fate of the next call; empty serves it.
	next fate

	mu    sync.Mutex
	on    bool
	calls int
	done  []deed
	seen  map[string]bool
}

// deed is one change of the world.
type deed struct {
	action string
	at     time.Time
}

func (s *shop) Attend(context.Context, string) (func(), time.Duration) { return func() {}, s.crowd }

func (s *shop) Enter(context.Context, string) (func(bool), error) {
	return func(bool) {}, s.closed()
}

// closed is the error of an instance whose circuit is open.
func (s *shop) closed() error {
	left := time.Until(s.shutUntil)
	if left <= 0 {
		return nil
	}
	e := spec.Errorf(spec.Unavailable, "the circuit is open")
	e.RetryAfter = min(left, 5*time.Second)
	return e
}

func (s *shop) Action(_, name string) (spec.Action, bool) {
	a := spec.Action{
		Name: name, Inputs: []kind.Field{{Name: "thing", Type: kind.Of(kind.String)}}, Targets: "thing",
		Class: s.class, ReadBack: s.readBack, Settle: crashSettle, Deadline: crashDeadline, Reversal: spec.Exact,
	}
	switch name {
	case "shop.lock":
		a.Inverse = "shop.unlock"
	case "shop.unlock":
		a.Inverse = "shop.lock"
	default:
		return spec.Action{}, false
	}
	return a, true
}

func (s *shop) Binary(string) (sha, version string) { return "sha", "1.0.0" }

// did counts how often the vendor did something.
func (s *shop) did(d run.Direction) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.done {
		if (x.action == "shop.lock") == (d == run.Do) {
			n++
		}
	}
	return n
}

// apply changes the world. The caller has the lock.
func (s *shop) apply(r spec.Request) spec.Reply {
	want := r.Action == "shop.lock"
	prior := map[string]any{"locked": s.on}
	if s.class == spec.Idempotent && s.on == want {
		return spec.Reply{Outcome: spec.Already, Prior: prior}
	}
	if s.class == spec.Keyed {
		if s.seen[r.Key] {
			return spec.Reply{Outcome: spec.Done, Prior: prior}
		}
		s.seen[r.Key] = true
	}
	s.on = want
	s.done = append(s.done, deed{r.Action, time.Now()})
	return spec.Reply{Outcome: spec.Done, Prior: prior}
}

// back tells what a read sees now.
func (s *shop) back(r spec.Request) (spec.Reply, error) {
	if s.readBack == spec.NoReadBack {
		s.t.Errorf("%s was read back, and cannot be", r.Action)
	}
	seen, prior := false, false
	for _, d := range s.done {
		if time.Since(d.at) >= s.lag {
			seen = d.action == "shop.lock"
		}
	}
	prior = seen
	out := spec.Absent
	if seen == (r.Action == "shop.lock") {
		out = spec.Present
	}
	return spec.Reply{Outcome: out, Prior: map[string]any{"locked": prior}}, nil
}

// ending is the shop as a process sees it that ends.
type ending struct {
	*shop
	end *end
}

func (e ending) TryCall(ctx context.Context, i string, r spec.Request, p host.Permit) (spec.Reply, error) {
	return e.Call(ctx, i, r, p)
}

func (e ending) Call(_ context.Context, _ string, r spec.Request, _ host.Permit) (spec.Reply, error) {
	s := e.shop
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.closed(); err != nil {
		return spec.Reply{}, err
	}
	if r.Mode == spec.Back {
		return s.back(r)
	}
	s.calls++
	switch s.next {
	case late:
		time.AfterFunc(crashDeadline+crashSettle/2, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.apply(r)
		})
		e.end.here(callLeft)
	case never:
		e.end.here(callLeft)
	}
	reply := s.apply(r)
	e.end.here(vendorCommitted)
	return reply, nil
}

var _ Store = endingStore{(*effects.Effects)(nil), nil}
