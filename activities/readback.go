package activities

import (
	"context"
	"encoding/json"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
)

// readBack asks the vendor whether an earlier attempt happened. A read-back that
// itself fails is tried again: the effect stays open, and nothing is guessed.
func (e *effort) readBack(ctx context.Context, p *effects.Permit) (*effects.Effect, error) {
	found, output, prior := spec.Unsure, json.RawMessage(nil), json.RawMessage(nil)
	if e.Blind {
		return e.Effects.Conclude(ctx, p.Key, p.Fence, spec.Absent, nil, nil)
	}
	if e.action.ReadBack != spec.NoReadBack {
		reply, err := e.Host.Call(ctx, e.intent.Instance, e.request(spec.Back, p.Inputs, p.Prior, e.now().Add(e.action.Deadline)), host.Permit{})
		switch k := spec.KindOf(err); {
		case err == nil:
			found = reply.Outcome
			if output, err = encode(reply.Output); err != nil {
				return nil, err
			}
			if prior, err = encode(reply.Prior); err != nil {
				return nil, err
			}
		case k.Retryable() || k == spec.Uncertain || k == spec.Internal:
			if !pause(ctx, e.intent.Instance, backoff(err, e.wait, 1)) {
				return nil, context.Cause(ctx)
			}
			return nil, nil
		}
	}
	if found == spec.Absent && e.action.ReadBack == spec.Lagging && e.action.Class == spec.Once {
		if again, reply := e.lookAgain(ctx, p); again {
			return e.concludePresent(ctx, p, reply)
		}
	}
	return e.Effects.Conclude(ctx, p.Key, p.Fence, found, output, prior)
}

// lookAgain gives a lagging index a little more time before an effect is called
// unknown: each person who is not asked is a person who sleeps.
func (e *effort) lookAgain(ctx context.Context, p *effects.Permit) (bool, spec.Reply) {
	for n := 1; n <= 3; {
		if !pause(ctx, e.intent.Instance, e.wait) {
			return false, spec.Reply{}
		}
		reply, err := e.Host.Call(ctx, e.intent.Instance, e.request(spec.Back, p.Inputs, p.Prior, e.now().Add(e.action.Deadline)), host.Permit{})
		if err == nil && reply.Outcome == spec.Present {
			return true, reply
		}
		if spec.KindOf(err) != spec.Unavailable {
			n++ // a call that never left has looked at nothing
		}
	}
	return false, spec.Reply{}
}

func (e *effort) concludePresent(ctx context.Context, p *effects.Permit, reply spec.Reply) (*effects.Effect, error) {
	output, err := encode(reply.Output)
	if err != nil {
		return nil, err
	}
	return e.Effects.Conclude(ctx, p.Key, p.Fence, spec.Present, output, nil)
}
