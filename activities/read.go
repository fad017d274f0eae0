package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Connectors is the part of host.Host that activities call.
type Connectors interface {
	Call(ctx context.Context, instance string, r spec.Request, p host.Permit) (spec.Reply, error)
	TryCall(ctx context.Context, instance string, r spec.Request, p host.Permit) (spec.Reply, error)
	Action(instance, action string) (spec.Action, bool)
	Binary(instance string) (sha256, version string)
}

// Reader calls reads.
type Reader struct{ Host Connectors }

// Tries at a transient failure, where the playbook says nothing.
const (
	readTries = 4
	readWait  = 500 * time.Millisecond
	mostWait  = 30 * time.Second
)

// Read calls an action that changes nothing. A quick request gives up at once
// where a full one would wait or try again. It fails, in Temporal's sense,
// never: what went wrong is data, and the playbook decides about it.
func (r *Reader) Read(ctx context.Context, q task.ReadRequest) (task.ReadResult, error) {
	a, inputs, fail := r.prepare(q)
	if fail != nil {
		return task.ReadResult{Failure: fail}, nil
	}
	if q.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.Timeout)
		defer cancel()
	}
	if q.Quick {
		return r.quick(ctx, q, a, inputs)
	}
	defer beat(ctx)()
	tries, wait := or(q.Attempts, readTries), or(q.Wait, readWait)
	for n := 1; ; n++ {
		reply, err := r.Host.Call(ctx, q.Instance, request(a, inputs, "", a.Deadline), host.Permit{})
		if err == nil {
			res, err := output(a, q.Fields, reply)
			if q.Most > 0 && len(res.Output) > q.Most {
				return task.ReadResult{Large: true}, err
			}
			return res, err
		}
		kindOf := spec.KindOf(err)
		if ctx.Err() != nil || n >= tries || !kindOf.Retryable() {
			return task.ReadResult{Failure: failure(err)}, nil
		}
		if !pause(ctx, backoff(err, wait, n)) {
			return task.ReadResult{Failure: failure(err)}, nil
		}
	}
}

func (r *Reader) quick(ctx context.Context, q task.ReadRequest, a spec.Action, inputs map[string]any) (task.ReadResult, error) {
	const most = 1800 * time.Millisecond // below the local activity's 2 s
	reply, err := r.Host.TryCall(ctx, q.Instance, request(a, inputs, "", min(a.Deadline, most)), host.Permit{})
	if err == nil {
		res, err := output(a, q.Fields, reply)
		if len(res.Output) > MaxLocal {
			return task.ReadResult{Busy: true}, err
		}
		return res, err
	}
	if errors.Is(err, host.ErrBusy) || spec.KindOf(err).Retryable() {
		return task.ReadResult{Busy: true}, nil
	}
	return task.ReadResult{Failure: failure(err)}, nil
}

func (r *Reader) prepare(q task.ReadRequest) (spec.Action, map[string]any, *task.Failure) {
	return prepare(r.Host, q.Instance, q.Action, q.Schema, q.Inputs)
}

// prepare finds the action as the instance serves it now and decodes the inputs.
// An action whose schema is not the one that the plan was compiled against is
// refused: any version with the same schema may serve it, no other.
func prepare(h Connectors, instance, action, schema string, inputs []byte) (spec.Action, map[string]any, *task.Failure) {
	a, ok := h.Action(instance, action)
	if !ok {
		return a, nil, &task.Failure{Kind: string(spec.Unavailable), Message: fmt.Sprintf("instance %q does not serve %s; check its configuration", instance, action)}
	}
	if schema != "" && a.SchemaDigest() != schema {
		return a, nil, &task.Failure{Kind: "connector_mismatch", Message: fmt.Sprintf("instance %q serves %s with another schema than the playbook was compiled against; publish the playbook again", instance, action)}
	}
	v, err := kind.Decode(a.InputType(), inputs)
	if err != nil {
		return a, nil, &task.Failure{Kind: string(spec.Invalid), Message: "inputs: " + err.Error()}
	}
	return a, v.(map[string]any), nil
}

func request(a spec.Action, inputs map[string]any, key string, within time.Duration) spec.Request {
	return spec.Request{Action: a.Name, Mode: spec.Act, Key: key, Inputs: inputs, Deadline: time.Now().Add(within)}
}

// output keeps the fields that later expressions read.
func output(a spec.Action, fields []string, reply spec.Reply) (task.ReadResult, error) {
	raw, err := project(a, fields, reply.Output)
	if err != nil {
		return task.ReadResult{Failure: &task.Failure{Kind: string(spec.Internal), Message: err.Error()}}, nil
	}
	return task.ReadResult{Output: raw}, nil
}

// MaxLocal is the largest result, in bytes, of a quick read: what local activities
// bring travels together. A larger one is asked for again by a full activity.
const MaxLocal = 16 << 10

// MaxInline is the largest result, in bytes, that comes back into a history.
const MaxInline = 512 << 10

func project(a spec.Action, fields []string, out map[string]any) ([]byte, error) {
	kept := map[string]any{}
	for _, f := range a.Outputs {
		if v, ok := out[f.Name]; ok && (slices.Contains(fields, f.Name) || slices.Contains(fields, "*")) {
			kept[f.Name] = v
		}
	}
	raw, err := kind.Canonical(kept)
	if err != nil {
		return nil, fmt.Errorf("write the result of %s: %w", a.Name, err)
	}
	if len(raw) > MaxInline {
		return nil, fmt.Errorf("the result of %s has %d bytes, more than %d; narrow the question", a.Name, len(raw), MaxInline)
	}
	return raw, nil
}

func failure(err error) *task.Failure {
	var e *spec.Error
	if errors.As(err, &e) {
		return &task.Failure{Kind: string(e.Kind), Message: e.Message, Code: e.VendorCode}
	}
	return &task.Failure{Kind: string(spec.Internal), Message: err.Error()}
}

// backoff is how long to wait before try n+1: as long as the vendor asks, else
// twice as long each time.
func backoff(err error, first time.Duration, n int) time.Duration {
	var e *spec.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	d := first << min(n-1, 10)
	return min(d, mostWait)
}

// pause waits for d and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
