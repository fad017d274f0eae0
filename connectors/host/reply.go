package host

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/quell-soar/quell/connectors/host/launch"
	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// The longest texts of a reply, in bytes.
const (
	maxMessage = 1 << 10
	maxCode    = 128
	maxID      = 1 << 10
	maxLabel   = 512
	maxFailed  = 1000
)

var errorKinds = []spec.ErrorKind{
	spec.Auth, spec.Permission, spec.NotFound, spec.Ambiguous, spec.Invalid, spec.Conflict,
	spec.RateLimited, spec.Transient, spec.Unavailable, spec.Uncertain, spec.Internal,
}

// accept turns what a connector answered into a reply or an error that can be
// trusted in form.
func accept(instance string, a spec.Action, mode spec.Mode, redact *secret.Redactor, r *proto.CallReply) (spec.Reply, *spec.Error) {
	acting := a.Effect() && mode == spec.Act
	if r.GetError() != nil {
		e := cleanError(r.GetError().Spec(), redact)
		if e.Kind == spec.Uncertain && !acting {
			e.Kind = spec.Transient // what changes nothing leaves nothing in doubt
		}
		return spec.Reply{}, e
	}
	reply, err := readReply(instance, a, mode, redact, r)
	if err != nil {
		k := spec.Internal
		if acting {
			k = spec.Uncertain // it may have acted before it answered nonsense
		}
		return spec.Reply{}, spec.Errorf(k, "connector instance %s gave a reply that cannot be used: %s", instance, launch.CleanText(err.Error(), maxMessage))
	}
	return reply, nil
}

func readReply(instance string, a spec.Action, mode spec.Mode, redact *secret.Redactor, r *proto.CallReply) (spec.Reply, error) {
	out := spec.Reply{
		Outcome:         spec.Outcome(r.GetOutcome()),
		VendorRequestID: launch.CleanText(redact.Text(r.GetVendorRequestId()), maxCode),
	}
	if len(r.GetOutput()) > proto.MaxOutput {
		return out, fmt.Errorf("its output has %d bytes, more than %d", len(r.GetOutput()), proto.MaxOutput)
	}
	raw := redact.Text(string(r.GetOutput()))
	if raw == "" {
		raw = "{}"
	}
	v, err := kind.Decode(sdk.OutputType(a, out.Outcome), []byte(raw))
	if err != nil {
		return out, err
	}
	if v, err = stamp(instance, v); err != nil {
		return out, err
	}
	out.Output, _ = v.(map[string]any)
	if len(r.GetFailed()) > maxFailed {
		return out, fmt.Errorf("it names %d failed targets, more than %d", len(r.GetFailed()), maxFailed)
	}
	if len(r.GetFailed()) > 0 {
		out.Failed = make(map[string]string, len(r.GetFailed()))
		for target, why := range r.GetFailed() {
			out.Failed[launch.CleanText(redact.Text(target), maxLabel)] = launch.CleanText(redact.Text(why), maxMessage)
		}
	}
	if a.Effect() && mode == spec.Act {
		if out.Prior, err = proto.DecodePlain([]byte(redact.Text(string(r.GetPrior())))); err != nil {
			return out, err
		}
	}
	return out, sdk.CheckReply(a, mode, out)
}

// stamp puts the instance's name on every handle in v, whatever the connector
// wrote there: a connector must not point into another instance.
func stamp(instance string, v any) (any, error) {
	switch x := v.(type) {
	case kind.Handle:
		if len(x.ID) > maxID || !utf8.ValidString(x.ID) {
			return nil, fmt.Errorf("the id of a %s has %d bytes, more than %d, or is not text", x.Name, len(x.ID), maxID)
		}
		x.Instance, x.Label = instance, launch.CleanText(x.Label, maxLabel)
		return x, nil
	case []any:
		for n, e := range x {
			s, err := stamp(instance, e)
			if err != nil {
				return nil, err
			}
			x[n] = s
		}
	case map[string]any:
		for k, e := range x {
			s, err := stamp(instance, e)
			if err != nil {
				return nil, err
			}
			x[k] = s
		}
	}
	return v, nil
}

// strayed finds a handle among an action's inputs that belongs to another
// instance, where the action does not say that it may.
func strayed(a spec.Action, instance string, inputs map[string]any) (kind.Handle, bool) {
	for name, v := range inputs {
		if f, _ := a.InputType().Field(name); f.Foreign {
			continue
		}
		if h, ok := foreign(instance, v); ok {
			return h, true
		}
	}
	return kind.Handle{}, false
}

// foreign finds a handle in a value that belongs to another instance.
func foreign(instance string, v any) (kind.Handle, bool) {
	switch x := v.(type) {
	case kind.Handle:
		return x, x.Instance != instance
	case []any:
		for _, e := range x {
			if h, ok := foreign(instance, e); ok {
				return h, true
			}
		}
	case map[string]any:
		for _, e := range x {
			if h, ok := foreign(instance, e); ok {
				return h, true
			}
		}
	}
	return kind.Handle{}, false
}

// cleanError bounds an error that a connector wrote.
func cleanError(e *spec.Error, redact *secret.Redactor) *spec.Error {
	out := &spec.Error{
		Kind:            e.Kind,
		Message:         launch.CleanText(redact.Text(e.Message), maxMessage),
		VendorCode:      launch.CleanText(redact.Text(e.VendorCode), maxCode),
		VendorRequestID: launch.CleanText(redact.Text(e.VendorRequestID), maxCode),
	}
	if !slices.Contains(errorKinds, e.Kind) {
		out.Kind = spec.Internal
	}
	if out.Kind == spec.RateLimited {
		out.RetryAfter = min(max(e.RetryAfter, time.Duration(0)), maxPause)
	}
	return out
}
