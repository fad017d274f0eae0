package conformance

import (
	"errors"
	"slices"

	"github.com/quell-soar/quell/connectors/spec"
)

// under resolves the sample, lets the fake misbehave and calls. The fault is
// gone when it returns.
func (p *probe) under(script string, call func(in map[string]any, before string)) bool {
	if script == "" || p.fake.Fault == nil {
		return false
	}
	in, ok := p.inputs(p.sample.Inputs)
	if !ok {
		return true
	}
	before := p.fake.World()
	p.fake.Fault(script)
	call(in, before)
	p.fake.Fault("")
	return true
}

func (p *probe) rateLimited() bool {
	return p.under(p.faults.RateLimited, func(in map[string]any, before string) {
		_, err := p.act(in)
		p.refused(err, spec.RateLimited, before)
		var e *spec.Error
		if errors.As(err, &e) && e.Kind == spec.RateLimited && e.RetryAfter <= 0 {
			p.errorf("it is rate_limited without RetryAfter")
		}
	})
}

func (p *probe) expired() bool {
	if p.faults.Expired != "" {
		// Only a token that was used can expire.
		p.way.check(p.t.Context())
		if in, ok := p.inputs(p.sample.Inputs); ok && !p.action.Effect() {
			_, _ = p.act(in)
		}
	}
	return p.under(p.faults.Expired, func(in map[string]any, before string) {
		if _, err := p.act(in); err != nil {
			p.errorf("the token expired, a fresh one works, and the call failed: %v", err)
		}
		if !p.action.Effect() {
			p.unchanged(before, "a read")
		}
	})
}

func (p *probe) unauthorized() bool {
	return p.under(p.faults.Unauthorized, func(in map[string]any, before string) {
		_, err := p.act(in)
		p.refused(err, spec.Auth, before)
	})
}

func (p *probe) softError() bool {
	return p.under(p.faults.SoftError, func(in map[string]any, before string) {
		r, err := p.act(in)
		if err == nil && (r.Outcome != spec.Partial || len(r.Failed) == 0) {
			p.errorf("the vendor's answer was a success with an error within, and it says %s", r.Outcome)
		}
		p.unchanged(before, "a call that the vendor refused")
	})
}

func (p *probe) lost() bool {
	var in map[string]any
	ran := p.under(p.faults.Lost, func(sample map[string]any, before string) {
		in = sample
		r, err := p.act(in)
		if p.fake.World() == before {
			p.errorf("the fault %q shall do what was asked and lose the answer; nothing was done", p.faults.Lost)
		}
		switch {
		case err == nil && slices.Contains([]spec.Outcome{spec.Done, spec.Already, spec.Pending}, r.Outcome):
			// It asked again and saw the effect.
		case err == nil:
			p.errorf("the answer was lost, and it says %s", r.Outcome)
		case spec.KindOf(err) != spec.Uncertain:
			p.errorf("the answer to a change was lost: that is uncertain, not %v", err)
		}
	})
	if !ran || in == nil {
		return ran
	}
	p.present(in)
	before := p.fake.World()
	if p.action.ReadBack != spec.Strong && p.action.Class == spec.Once {
		return true // Quell asks a person and does not send it again
	}
	r, err := p.act(in)
	if err != nil {
		p.errorf("the call after the lost answer failed: %v", err)
		return true
	}
	if !slices.Contains([]spec.Outcome{spec.Already, spec.Done}, r.Outcome) {
		p.errorf("the call after the lost answer says %s, not already", r.Outcome)
	}
	p.unchanged(before, "the call after the lost answer")
	return true
}

func (p *probe) slow() bool {
	return p.under(p.faults.Slow, func(in map[string]any, _ string) {
		// send reports an answer that comes too late.
		r, err := p.send(spec.Request{Action: p.action.Name, Mode: spec.Act, Key: p.key(), Inputs: in}, slowDeadline)
		switch {
		case err == nil && r.Outcome == spec.Pending:
		case err == nil:
			p.errorf("the vendor takes longer than the deadline, and it says %s", r.Outcome)
		case p.action.Effect() && spec.KindOf(err) == spec.Uncertain:
		case spec.KindOf(err).Retryable():
		default:
			p.errorf("a vendor that is too slow is transient, or uncertain once a change was sent: %v", err)
		}
	})
}
