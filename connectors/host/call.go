package host

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/quell-soar/quell/connectors/host/launch"
	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

const (
	// late is how long the host listens beyond a call's deadline: the connector
	// ends at the deadline and says what it knows.
	late = 250 * time.Millisecond
	// maxTries is how often a call is begun while nothing of it has left.
	maxTries = 4
)

// ErrBusy is what TryCall returns, itself, where Call would have waited for a
// slot, for a rate limit or for a restart. Compare with errors.Is.
var ErrBusy error = &spec.Error{Kind: spec.Unavailable, Message: "the connector instance takes no call right now; call it as a full activity"}

// ErrPermit is returned, itself, when the permit expired before the effect could
// leave. Nothing happened; ask for admission again. Compare with errors.Is.
var ErrPermit error = &spec.Error{Kind: spec.Unavailable, Message: "the permit expired before the effect could leave; nothing happened, it needs a new admission"}

// Call runs one action on an instance and returns at the latest shortly after
// r.Deadline, after the action's own deadline, or when ctx ends. It waits for a
// slot, for the end of a rate limit and for an instance that restarts. A read
// ignores p; an effect in Act mode needs it.
//
// Every error is a *spec.Error. Unavailable, Transient and RateLimited mean that
// nothing happened and the call may be sent again; for an effect in Act mode
// that needs a new permit. Uncertain needs a read-back.
func (h *Host) Call(ctx context.Context, instance string, r spec.Request, p Permit) (spec.Reply, error) {
	return h.call(ctx, instance, r, p, true)
}

// TryCall is Call that never waits before the call leaves: it returns ErrBusy
// instead. It is meant for local activities, which hold up a workflow task.
func (h *Host) TryCall(ctx context.Context, instance string, r spec.Request, p Permit) (spec.Reply, error) {
	return h.call(ctx, instance, r, p, false)
}

func (h *Host) call(ctx context.Context, instance string, r spec.Request, p Permit, wait bool) (spec.Reply, error) {
	i, ok := h.byName[instance]
	if !ok {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "there is no connector instance %q; configure it or use another", launch.CleanText(instance, 64))
	}
	if !h.enter() {
		return spec.Reply{}, spec.Errorf(spec.Unavailable, "connector instance %s: the host is being stopped", instance)
	}
	defer h.leave()
	c := &pending{host: h, inst: i, req: r, permit: p, wait: wait}
	reply, err := c.run(ctx)
	if err != nil {
		return spec.Reply{}, err
	}
	return reply, nil
}

// pending is one call on its way.
type pending struct {
	host   *Host
	inst   *instance
	req    spec.Request
	permit Permit
	wait   bool

	action   spec.Action
	deadline time.Time
	wire     *proto.CallRequest
	// given are the contents that came in pieces, by reference, until they are kept.
	given map[string]Content
	// probing: this call tries whether the vendor answers again.
	probing bool
}

// acting: the call may change the world.
func (c *pending) acting() bool { return c.action.Effect() && c.req.Mode == spec.Act }

func (c *pending) run(ctx context.Context) (spec.Reply, error) {
	if !c.req.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, c.req.Deadline.Add(late))
		defer cancel()
	}
	if c.inst.known() == nil {
		// The action is not known before the instance was ready once.
		if _, err := c.line(ctx); err != nil {
			return spec.Reply{}, err
		}
		c.inst.release()
	}
	if err := c.check(); err != nil {
		return spec.Reply{}, err
	}
	if err := c.attach(ctx); err != nil {
		return spec.Reply{}, err
	}
	c.deadline = c.until(ctx)
	if !time.Now().Before(c.deadline) {
		return spec.Reply{}, spec.Errorf(spec.Transient, "%s was not called: its deadline was over", c.req.Action)
	}
	c.wire.DeadlineUnixNanos = c.deadline.UnixNano()
	ctx, cancel := context.WithDeadline(ctx, c.deadline.Add(late))
	defer cancel()
	if err := c.pass(ctx); err != nil {
		return spec.Reply{}, err
	}
	if !c.permit.Entered {
		defer c.inst.gate.leave()
	}
	defer c.drop()
	return c.send(ctx)
}

// check refuses what must not leave.
func (c *pending) check() error {
	name, r := c.inst.conf.Name, c.req
	action, ok := c.inst.action(r.Action)
	if !ok {
		return spec.Errorf(spec.Invalid, "connector instance %s does not serve %q", name, launch.CleanText(r.Action, 64))
	}
	c.action = action
	switch {
	case r.Mode != spec.Act && r.Mode != spec.Back:
		return spec.Errorf(spec.Invalid, "%s: there is no mode %q", r.Action, launch.CleanText(string(r.Mode), 16))
	case r.Mode == spec.Back && !action.Effect():
		return spec.Errorf(spec.Invalid, "%s is a read: there is nothing to read back", r.Action)
	case c.acting() && r.Key == "":
		return spec.Errorf(spec.Invalid, "%s is an effect and has no key", r.Action)
	case c.acting() && (c.permit.Expires.IsZero() || c.permit.Key != r.Key):
		return spec.Errorf(spec.Invalid, "%s is an effect and has no permit for its key; admit it first", r.Action)
	case c.acting() && c.inst.conf.Observe && !c.permit.Inverse:
		return spec.Errorf(spec.Permission, "instance %s is in observe mode: %s does not leave", name, r.Action)
	}
	inputs := r.Inputs
	if inputs == nil {
		inputs = map[string]any{}
	}
	if h, ok := strayed(action, name, inputs); ok {
		return spec.Errorf(spec.Invalid, "%s: the %s %q belongs to instance %q, not to %s; call the instance that found it",
			r.Action, h.Name, launch.CleanText(h.Label, 64), launch.CleanText(h.Instance, 64), name)
	}
	in, err := kind.Encode(action.InputType(), inputs)
	if err != nil {
		return spec.Errorf(spec.Invalid, "inputs of %s: %s", r.Action, launch.CleanText(err.Error(), maxMessage))
	}
	prior, err := proto.EncodePlain(r.Prior)
	if err != nil {
		return spec.Errorf(spec.Invalid, "%s: %s", r.Action, launch.CleanText(err.Error(), maxMessage))
	}
	if len(in)+len(prior) > proto.MaxOutput {
		return spec.Errorf(spec.Invalid, "inputs of %s have %d bytes, more than %d; pass large things by reference", r.Action, len(in), proto.MaxOutput)
	}
	c.wire = &proto.CallRequest{Action: r.Action, Mode: string(r.Mode), Key: r.Key, Inputs: in, Prior: prior}
	return nil
}

// until is when the connector must have ended: the earliest of the request's
// deadline, the action's, and the caller's patience.
func (c *pending) until(ctx context.Context) time.Time {
	now := time.Now()
	d := now.Add(c.action.Deadline)
	if !c.req.Deadline.IsZero() && c.req.Deadline.Before(d) {
		d = c.req.Deadline
	}
	if end, ok := ctx.Deadline(); ok {
		// Leave time for the answer to come back.
		if end = end.Add(-min(late, max(0, end.Sub(now)/4))); end.Before(d) {
			d = end
		}
	}
	return d
}

func (c *pending) line(ctx context.Context) (line, error) {
	wait := c.host.opts.ReadyWait
	if !c.wait {
		wait = 0
	}
	began := time.Now()
	got, waited, e := c.inst.acquire(ctx, c.host.closing, wait)
	if waited {
		c.waited("restart", began)
	}
	if e == nil {
		return got, nil
	}
	if !c.wait {
		return got, ErrBusy
	}
	return got, e
}

// send writes the call to a ready process. As long as nothing of it has left, a
// process that dies is no reason to fail: the next one gets it.
func (c *pending) send(ctx context.Context) (spec.Reply, error) {
	for try := 1; ; try++ {
		l, err := c.line(ctx)
		if err != nil {
			c.tell(silent, nil)
			return spec.Reply{}, err
		}
		got, sent, err := c.write(ctx, l)
		switch {
		case errors.Is(err, ErrPermit):
			c.tell(silent, nil)
			return spec.Reply{}, err
		case err == nil:
			c.inst.served.Store(true)
			return c.accepted(ctx, l, got)
		case !sent && ctx.Err() == nil && c.wait && try < maxTries:
			c.inst.leave(ctx, l.proc)
		default:
			e := c.lost(ctx, sent, err)
			c.tell(c.blame(sent, err), e)
			return spec.Reply{}, e
		}
	}
}

// write makes the call on one line and releases it. The permit is looked at
// last.
func (c *pending) write(ctx context.Context, l line) (got *proto.CallReply, sent bool, err error) {
	defer c.inst.release()
	if c.acting() && !c.host.opts.Clock().Before(c.permit.Expires) {
		return nil, false, ErrPermit
	}
	callCtx, left := launch.WatchSent(ctx)
	var told metadata.MD
	began := time.Now()
	if l.streams && c.req.Mode == spec.Act && givesOut(c.action.OutputType()) {
		got, told, err = c.receive(callCtx, l)
	} else {
		got, err = l.proc.Connector().Call(callCtx, c.wire, grpc.Trailer(&told))
	}
	if took, ok := proto.TookOf(told); ok && c.host.opts.Took != nil {
		c.host.opts.Took(ctx, c.inst.conf.Name, c.req, began, took)
	}
	return got, left.Yes(), err
}

// waited tells who watches that the call waited.
func (c *pending) waited(reason string, began time.Time) {
	if c.host.opts.Waited != nil {
		c.host.opts.Waited(c.inst.conf.Name, reason, time.Since(began))
	}
}

func (c *pending) accepted(ctx context.Context, l line, got *proto.CallReply) (spec.Reply, error) {
	reply, e := accept(c.inst.conf.Name, c.action, c.req.Mode, l.redact, got)
	c.tell(judge(e), e)
	if e == nil {
		e = c.keep(ctx, reply, got)
	}
	if e == nil {
		return reply, nil
	}
	if e.Kind == spec.RateLimited && e.RetryAfter > 0 {
		c.inst.pause.extend(c.host.opts.Clock(), e.RetryAfter)
	}
	return spec.Reply{}, e
}

// lost says what is known of a call whose answer did not come.
func (c *pending) lost(ctx context.Context, sent bool, err error) *spec.Error {
	name := c.inst.conf.Name
	var lost *unkeptError
	switch {
	case errors.As(err, &lost):
		return c.unkept(lost.why)
	case !sent:
		return spec.Errorf(spec.Unavailable, "%s did not reach instance %s: %s", c.req.Action, name, transport(err))
	case c.acting():
		return spec.Errorf(spec.Uncertain, "%s was sent to instance %s and its answer lost: %s", c.req.Action, name, transport(err))
	case ctx.Err() != nil, status.Code(err) == codes.DeadlineExceeded: // the far side's clock may be first
		return spec.Errorf(spec.Transient, "%s on instance %s gave no answer by its deadline", c.req.Action, name)
	case status.Code(err) == codes.Unavailable, status.Code(err) == codes.Canceled:
		return spec.Errorf(spec.Unavailable, "instance %s died during %s: %s", name, c.req.Action, transport(err))
	}
	return spec.Errorf(spec.Internal, "instance %s broke off %s: %s", name, c.req.Action, transport(err))
}

// Check runs an instance's own check of credentials, permissions and versions.
// What keeps it from running is a finding too. It waits for an instance that
// restarts and ends after OpenTimeout at the latest.
func (h *Host) Check(ctx context.Context, instance string) []sdk.Finding {
	failed := func(e error) []sdk.Finding {
		return []sdk.Finding{{Name: "process", Advice: launch.CleanText(e.Error(), maxMessage)}}
	}
	i, ok := h.byName[instance]
	if !ok {
		return failed(spec.Errorf(spec.Invalid, "there is no connector instance %q; configure it", launch.CleanText(instance, 64)))
	}
	if !h.enter() {
		return failed(spec.Errorf(spec.Unavailable, "the host is being stopped"))
	}
	defer h.leave()
	ctx, cancel := context.WithTimeout(ctx, h.opts.OpenTimeout)
	defer cancel()
	l, _, e := i.acquire(ctx, h.closing, h.opts.ReadyWait)
	if e != nil {
		return failed(e)
	}
	defer i.release()
	deadline, _ := ctx.Deadline()
	reply, err := l.proc.Connector().Check(ctx, &proto.CheckRequest{DeadlineUnixNanos: deadline.Add(-late).UnixNano()})
	if err != nil {
		return failed(spec.Errorf(spec.Unavailable, "the check did not end: %s", transport(err)))
	}
	if reply.GetError() != nil {
		return failed(cleanError(reply.GetError().Spec(), l.redact))
	}
	const most = 100
	out := make([]sdk.Finding, 0, min(most, len(reply.GetFindings())))
	for _, f := range reply.GetFindings()[:min(most, len(reply.GetFindings()))] {
		out = append(out, sdk.Finding{
			Name: launch.CleanText(l.redact.Text(f.GetName()), maxCode), OK: f.GetOk(), Advice: launch.CleanText(l.redact.Text(f.GetAdvice()), maxMessage),
		})
	}
	return out
}
