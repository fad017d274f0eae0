package crowdstrike

import (
	"context"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
)

// Times of polling. The margin lets the answer leave before the deadline.
const (
	firstPoll = 100 * time.Millisecond
	lastPoll  = time.Second
	margin    = 150 * time.Millisecond
	// lostPatience is how long a lost answer is looked for: longer would only
	// keep the caller from its own read-back.
	lostPatience = 2 * time.Second
)

// reader reads the state; writer asks for the change and returns the vendor's
// request id; replier makes the outputs of a state.
type (
	reader  func(context.Context) (string, error)
	writer  func(context.Context) (string, error)
	replier func(state string) map[string]any
)

// priorState is the state that Request.Prior names.
func priorState(r spec.Request) (string, bool) {
	state, ok := r.Prior["state"].(string)
	return state, ok
}

// drive brings a state about: read, decide, act, verify.
func (s *session) drive(ctx context.Context, r spec.Request, d direction, read reader, write writer, reply replier) (spec.Reply, error) {
	found, err := read(ctx)
	if err != nil {
		return spec.Reply{}, err
	}
	prior := s.prior.First(r.Key, map[string]any{"state": settled(found)})
	if before, ok := priorState(r); ok && settled(before) != d.want {
		// As an inverse: what we shall take back was there before us.
		return spec.Reply{Outcome: spec.Already, Output: reply(found), Prior: prior}, nil
	}
	if found == d.want {
		return spec.Reply{Outcome: spec.Already, Output: reply(found), Prior: prior}, nil
	}
	p := &pursuit{d: d, read: read, write: write, state: found}
	outcome, err := p.run(ctx)
	if err != nil {
		return spec.Reply{}, err
	}
	return spec.Reply{Outcome: outcome, Output: reply(p.state), Prior: prior, VendorRequestID: p.requestID}, nil
}

// pursuit is one change on its way.
type pursuit struct {
	d         direction
	read      reader
	write     writer
	state     string
	requestID string
	accepted  bool
	// lost is the error of a write whose answer was lost, until is how long its
	// effect is looked for.
	lost     error
	until    time.Time
	conflict error
}

func (p *pursuit) run(ctx context.Context) (spec.Outcome, error) {
	wait := firstPoll
	for {
		if !p.accepted && p.lost == nil && p.state != p.d.heading {
			if err := p.send(ctx); err != nil {
				return "", err
			}
		}
		if !pause(ctx, wait) || p.lost != nil && time.Now().After(p.until) {
			return p.late()
		}
		wait = min(wait*3/2, lastPoll)
		state, err := p.read(ctx)
		switch {
		case err != nil && (p.accepted || p.lost != nil):
			continue // it was sent; only the deadline ends the wait
		case err != nil:
			return "", err
		}
		p.state = state
		if state == p.d.want && (p.accepted || p.lost != nil) {
			return spec.Done, nil
		}
		if state == p.d.want {
			return spec.Already, nil
		}
	}
}

// send asks for the change. A conflict is another action under way, after which
// the state is read again.
func (p *pursuit) send(ctx context.Context) error {
	id, err := p.write(ctx)
	switch spec.KindOf(err) {
	case spec.Conflict:
		p.conflict = err
		return nil
	case spec.Uncertain:
		if err != nil {
			p.lost, p.until = err, time.Now().Add(lostPatience)
			return nil
		}
	}
	if err != nil {
		return err
	}
	p.requestID, p.accepted = id, true
	return nil
}

// late is the answer where time is up.
func (p *pursuit) late() (spec.Outcome, error) {
	switch {
	case p.accepted || p.state == p.d.heading && p.d.heading != "":
		return spec.Pending, nil
	case p.lost != nil:
		return "", p.lost
	case p.conflict != nil:
		return "", p.conflict
	}
	return "", spec.Errorf(spec.Transient, "the deadline came before the change could be asked for")
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

// readBack asks whether the state is there. What is accepted and under way is
// neither there nor absent. Whatever it finds it tells as prior state: asked
// before the first attempt, that is what an inverse goes back to, even if the
// attempt's own answer is lost.
func (s *session) readBack(ctx context.Context, r spec.Request, d direction, read reader, reply replier) (spec.Reply, error) {
	state, err := read(ctx)
	if spec.KindOf(err) == spec.NotFound {
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	if err != nil {
		return spec.Reply{}, err
	}
	prior, ok := s.prior.Get(r.Key)
	if !ok {
		prior = map[string]any{"state": settled(state)}
	}
	switch state {
	case d.want:
		return spec.Reply{Outcome: spec.Present, Output: reply(state), Prior: prior}, nil
	case d.heading:
		return spec.Reply{Outcome: spec.Unsure, Prior: prior}, nil
	}
	return spec.Reply{Outcome: spec.Absent, Prior: prior}, nil
}
