package panos

import (
	"context"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
)

// Times of polling. The margin lets the answer leave before the deadline.
const (
	firstPoll = 100 * time.Millisecond
	lastPoll  = 2 * time.Second
	margin    = 150 * time.Millisecond
	// lostPatience is how long a lost answer is looked for.
	lostPatience = 2 * time.Second
)

// change is one block or its end. read says whether it is blocked; write asks
// for want and returns when the firewall has taken it, or Pending.
type change struct {
	want  bool
	rule  string
	read  func(context.Context) (bool, error)
	write func(context.Context) (spec.Outcome, error)
}

func (c change) reply(o spec.Outcome, blocked bool, prior map[string]any) spec.Reply {
	return spec.Reply{Outcome: o, Output: map[string]any{"blocked": blocked, "rule": c.rule}, Prior: prior}
}

// drive brings a change about: read, decide, act, verify.
func (s *session) drive(ctx context.Context, r spec.Request, c change) (spec.Reply, error) {
	found, err := c.read(ctx)
	if err != nil {
		return spec.Reply{}, err
	}
	prior := s.prior.First(r.Key, map[string]any{"blocked": found})
	if before, ok := r.Prior["blocked"].(bool); ok && before != c.want {
		// As an inverse: what we shall take back was there before us.
		return c.reply(spec.Already, found, prior), nil
	}
	if found == c.want {
		return c.reply(spec.Already, found, prior), nil
	}
	outcome, err := c.write(ctx)
	lost := error(nil)
	if err != nil {
		if spec.KindOf(err) != spec.Uncertain {
			return spec.Reply{}, err
		}
		lost = err
	}
	if outcome == spec.Pending {
		return c.reply(spec.Pending, found, prior), nil
	}
	return s.verify(ctx, c, prior, lost)
}

// verify reads until the change is seen: a write that was taken is pending where
// it is not, one whose answer was lost stays uncertain.
func (s *session) verify(ctx context.Context, c change, prior map[string]any, lost error) (spec.Reply, error) {
	until := time.Now().Add(lostPatience)
	for wait := time.Duration(0); ; wait = min(max(wait*3/2, firstPoll), lastPoll) {
		if wait > 0 && !pause(ctx, wait) || lost != nil && time.Now().After(until) {
			break
		}
		if now, err := c.read(ctx); err == nil && now == c.want {
			return c.reply(spec.Done, now, prior), nil
		}
	}
	if lost != nil {
		return spec.Reply{}, lost
	}
	return c.reply(spec.Pending, !c.want, prior), nil
}

// readBack asks whether it is as wanted, and tells what an inverse goes back to.
func (s *session) readBack(ctx context.Context, r spec.Request, c change) (spec.Reply, error) {
	found, err := c.read(ctx)
	if err != nil {
		return spec.Reply{}, err
	}
	prior, ok := s.prior.Get(r.Key)
	if !ok {
		prior = map[string]any{"blocked": found}
	}
	if found != c.want {
		return spec.Reply{Outcome: spec.Absent, Prior: prior}, nil
	}
	return c.reply(spec.Present, found, prior), nil
}

// pause waits, and reports false where the deadline would come first.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d+margin {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
