package entra

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
	// lostPatience is how long the effect of a lost answer is looked for: longer
	// would only keep the caller from its own read-back.
	lostPatience = 2 * time.Second
)

// change is a state to be brought about: how it is read, how it is asked for,
// and what is told of it.
type change struct {
	want string
	read func(context.Context) (string, error)
	// write returns the vendor's request id.
	write func(context.Context) (string, error)
	// output makes the outputs of a state.
	output func(state string) map[string]any
}

// drive brings a state about: read, decide, act, verify. As an inverse it leaves
// what was there before us.
func (s *session) drive(ctx context.Context, r spec.Request, c change) (spec.Reply, error) {
	found, err := c.read(ctx)
	if err != nil {
		return backless(r, err)
	}
	before, known := s.states.Get(r.Key)
	if !known {
		before = found
	}
	if r.Mode == spec.Back {
		if found == c.want {
			return spec.Reply{Outcome: spec.Present, Output: c.output(found), Prior: prior(before)}, nil
		}
		return spec.Reply{Outcome: spec.Absent, Prior: prior(before)}, nil
	}
	before = s.states.First(r.Key, found)
	was, inverse := r.Prior["state"].(string)
	if found == c.want || inverse && was != c.want {
		return spec.Reply{Outcome: spec.Already, Output: c.output(found), Prior: prior(before)}, nil
	}
	id, outcome, state, err := c.bring(ctx)
	if err != nil {
		return spec.Reply{}, err
	}
	if outcome == spec.Already {
		// It was another's work, which an undo of ours must leave.
		s.states.Forget(r.Key)
		before = s.states.First(r.Key, c.want)
	}
	return spec.Reply{Outcome: outcome, Output: c.output(state), Prior: prior(before), VendorRequestID: id}, nil
}

func prior(state string) map[string]any { return map[string]any{"state": state} }

// backless answers a read-back of what is no longer there: the effect is not.
func backless(r spec.Request, err error) (spec.Reply, error) {
	if r.Mode == spec.Back && spec.KindOf(err) == spec.NotFound {
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	return spec.Reply{}, err
}

// bring asks once and reads until the state is there. Graph refuses what is so
// already, adding a member with a 400 and deleting with a 404: another hand was
// quicker, and the reads do not show it yet. So such a refusal is believed only
// where the state does not appear.
func (c change) bring(ctx context.Context) (id string, o spec.Outcome, state string, err error) {
	id, wrong := c.write(ctx)
	until := time.Now().Add(lostPatience)
	for wait := firstPoll; ; wait = min(wait*3/2, lastPoll) {
		state, err = c.read(ctx)
		switch {
		case err == nil && state == c.want && wrong != nil && spec.KindOf(wrong) != spec.Uncertain:
			return id, spec.Already, state, nil
		case err == nil && state == c.want:
			return id, spec.Done, state, nil
		case wrong != nil && !open(wrong):
			return id, "", state, wrong
		case wrong != nil && time.Now().After(until), wrong != nil && !pause(ctx, wait):
			return id, "", state, wrong
		case wrong == nil && !pause(ctx, wait):
			// It was accepted; only the time is up.
			return id, spec.Pending, state, nil
		}
	}
}

// open reports whether the state may be there although the write failed.
func open(wrong error) bool {
	switch spec.KindOf(wrong) {
	case spec.Uncertain, spec.Invalid, spec.NotFound:
		return true
	}
	return false
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
