package host

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quell-soar/quell/connectors/host/launch"
	"github.com/quell-soar/quell/connectors/spec"
)

// pass waits until the call may go out: the circuit is closed, no rate limit of
// the vendor's lasts, and it has a slot. With a slot from Enter it does not wait.
func (c *pending) pass(ctx context.Context) error {
	if c.wait {
		defer Waits(ctx, c.inst.conf.Name)()
	}
	for {
		if err := c.closed(ctx); err != nil {
			return err
		}
		if err := c.unpaused(ctx); err != nil {
			c.tell(silent, nil)
			return err
		}
		if c.permit.Entered {
			return nil
		}
		if err := c.slot(ctx); err != nil {
			c.tell(silent, nil)
			return err
		}
		// It may have opened while the call waited for its slot.
		if left, _ := c.inst.circuit.enter(c.host.opts.Clock(), false); c.probing || left == 0 {
			return nil
		}
		c.inst.gate.unspent()
	}
}

// closed waits until the circuit lets the call out, or says that it will not in
// time. An effect does not wait for it, because its permit would run out, and
// never tries a vendor on behalf of the others.
func (c *pending) closed(ctx context.Context) error {
	for n := 0; ; n++ {
		left, probe := c.inst.circuit.enter(c.host.opts.Clock(), c.wait && !c.acting())
		if left == probeWait { // one that hangs tries for long, and many look for its end
			left <<= min(n, 3)
		}
		switch {
		case left == 0:
			c.probing = probe
			return nil
		case !c.wait:
			return ErrBusy
		case c.acting(), left >= time.Until(c.deadline):
			return c.inst.isOpen(left)
		}
		began := time.Now()
		err := c.pauseFor(ctx, left)
		c.waited("circuit", began)
		if err != nil {
			return err
		}
	}
}

// isOpen is the error of a call that an open circuit kept from leaving.
func (i *instance) isOpen(left time.Duration) *spec.Error {
	_, _, why := i.circuit.shown(i.opts.Clock())
	e := spec.Errorf(spec.Unavailable, "the circuit of instance %s is open, because the vendor failed %d times at a stretch, last: %s; nothing was sent, and it is tried again in %s",
		i.conf.Name, i.opts.Failures, orNone(why), left.Round(time.Millisecond))
	e.RetryAfter = left
	return e
}

// tell lets the circuit know how the call ended.
func (c *pending) tell(v verdict, e *spec.Error) {
	if c.quick() && v == failing {
		v = silent // it had less time than the action needs
	}
	c.inst.tell(v, c.probing, e)
	c.probing = false
}

func (i *instance) tell(v verdict, probe bool, e *spec.Error) {
	why := ""
	if e != nil {
		why = e.Error()
	}
	if !i.circuit.record(i.opts.Clock(), v, probe, why) {
		return
	}
	state, until, _ := i.circuit.shown(i.opts.Clock())
	i.log.Warn().Str("circuit", string(state)).Time("until", until).Str("why", why).Msg("the circuit of a connector changed")
}

// quick: the caller gave the call less time than its action may take.
func (c *pending) quick() bool { return !c.wait }

// blame says what a call without an answer tells of the vendor: that a process
// died is no word about it.
func (c *pending) blame(sent bool, err error) verdict {
	if sent && status.Code(err) == codes.DeadlineExceeded {
		return failing
	}
	return silent
}

// Enter takes a slot of an instance before an effect is admitted, because a
// permit is too short to wait with. It waits by turns between runs (ForRun) and
// for the instance's rate. While the circuit is open it does not wait: it returns
// Unavailable with RetryAfter, and nothing has left. Call then gets the slot in a
// Permit that says Entered. leave gives it back and may be called once; made says
// whether a call was made.
func (h *Host) Enter(ctx context.Context, instance string) (leave func(made bool), err error) {
	i, ok := h.byName[instance]
	if !ok {
		return nil, spec.Errorf(spec.Invalid, "there is no connector instance %q; configure it or use another", launch.CleanText(instance, 64))
	}
	defer Waits(ctx, instance)()
	for {
		if err := h.reached(ctx, i); err != nil {
			return nil, err
		}
		began := time.Now()
		in := i.gate.enter(runOf(ctx), ctx.Done(), h.closing)
		if took := time.Since(began); took > time.Millisecond && h.opts.Waited != nil {
			h.opts.Waited(instance, "slot", took)
		}
		if !in {
			return nil, spec.Errorf(spec.Unavailable, "all %d slots of instance %s stayed taken", h.opts.Slots, instance)
		}
		if left, _ := i.circuit.enter(h.opts.Clock(), false); left == 0 {
			break
		}
		i.gate.unspent()
	}
	return func(made bool) {
		if made {
			i.gate.leave()
		} else {
			i.gate.unspent()
		}
	}, nil
}

// reached says whether effects may go to an instance. Where its circuit was open
// long enough it asks the connector's own check first: an effect whose answer
// might be lost is no way to find out whether the vendor answers.
func (h *Host) reached(ctx context.Context, i *instance) error {
	left, probe := i.circuit.enter(h.opts.Clock(), true)
	switch {
	case left == 0 && !probe:
		return nil
	case left > 0:
		return i.isOpen(left)
	}
	v, e := silent, (*spec.Error)(nil)
	for _, f := range h.Check(ctx, i.conf.Name) {
		if f.OK {
			v, e = answered, nil
			break
		}
		v, e = failing, spec.Errorf(spec.Unavailable, "%s: %s", f.Name, f.Advice)
	}
	i.tell(v, true, e)
	if v == answered {
		return nil
	}
	return i.isOpen(max(probeWait, i.circuit.left(h.opts.Clock())))
}

// unpaused waits for the end of a rate limit, or says that it outlasts the call.
func (c *pending) unpaused(ctx context.Context) error {
	for {
		left := c.inst.pause.left(c.host.opts.Clock())
		switch {
		case left == 0:
			return nil
		case !c.wait:
			return ErrBusy
		case left >= time.Until(c.deadline):
			e := spec.Errorf(spec.RateLimited, "the vendor behind instance %s asked to wait for another %s", c.inst.conf.Name, left.Round(time.Millisecond))
			e.RetryAfter = left
			return e
		}
		began := time.Now()
		err := c.pauseFor(ctx, left)
		c.waited("rate_limit", began)
		if err != nil {
			return err
		}
	}
}

func (c *pending) pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
	case <-c.host.closing:
	}
	return spec.Errorf(spec.Unavailable, "%s was given up while it waited for the vendor's rate limit", c.req.Action)
}

func (c *pending) slot(ctx context.Context) error {
	if c.inst.gate.try() {
		return nil
	}
	if !c.wait {
		return ErrBusy
	}
	defer c.waited("slot", time.Now())
	if c.inst.gate.enter(runOf(ctx), ctx.Done(), c.host.closing) {
		return nil
	}
	return spec.Errorf(spec.Unavailable, "%s was not called: all %d slots of instance %s stayed taken", c.req.Action, c.host.opts.Slots, c.inst.conf.Name)
}
