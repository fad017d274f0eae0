package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/readings"
)

// Connectors is the part of host.Host that activities call.
type Connectors interface {
	Call(ctx context.Context, instance string, r spec.Request, p host.Permit) (spec.Reply, error)
	TryCall(ctx context.Context, instance string, r spec.Request, p host.Permit) (spec.Reply, error)
	Attend(ctx context.Context, instance string) (done func(), wait time.Duration)
	Enter(ctx context.Context, instance string) (leave func(made bool), err error)
	Action(instance, action string) (spec.Action, bool)
	Binary(instance string) (sha256, version string)
}

// Reader calls reads.
type Reader struct {
	Host Connectors
	// Keep takes each answer, for backtests, and returns at once; nil keeps none.
	Keep func(readings.Reading)
}

// Tries at a transient failure, where the playbook says nothing.
const (
	readTries = 4
	readWait  = 500 * time.Millisecond
	mostWait  = 30 * time.Second
)

// Read calls an action that changes nothing. A quick request gives up at once
// where a full one would wait or try again. What went wrong is data,
// and the playbook decides about it; in Temporal's sense it fails only to come
// again where the instance takes no calls for a while.
func (r *Reader) Read(ctx context.Context, q task.ReadRequest) (task.ReadResult, error) {
	a, inputs, fail := r.prepare(q)
	if fail != nil {
		return task.ReadResult{Failure: fail}, nil
	}
	if activity.IsActivity(ctx) {
		ctx = host.ForRun(ctx, activity.GetInfo(ctx).WorkflowExecution.ID)
	}
	var until time.Time
	if q.Timeout > 0 {
		until = firstAsked(ctx, time.Now()).Add(q.Timeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.Timeout)
		defer cancel()
	}
	if q.Quick {
		return r.quick(ctx, q, a, inputs)
	}
	defer beat(ctx)()
	done, back := attend(ctx, r.Host, q.Instance, until, time.Now())
	if back != nil {
		return task.ReadResult{}, back
	}
	defer done()
	tries, wait := or(q.Attempts, readTries), or(q.Wait, readWait)
	for n := 1; ; n++ {
		reply, err := r.Host.Call(ctx, q.Instance, request(a, inputs, "", a.Deadline), host.Permit{})
		if err == nil {
			r.keep(q, reply, nil)
			res, err := output(a, q.Fields, reply)
			if q.Most > 0 && len(res.Output) > q.Most {
				return task.ReadResult{Large: true}, err
			}
			return res, err
		}
		kindOf := spec.KindOf(err)
		if ctx.Err() != nil || n >= tries || !kindOf.Retryable() {
			return task.ReadResult{Failure: r.keep(q, spec.Reply{}, err)}, nil
		}
		d := backoff(err, wait, n)
		if kindOf == spec.Unavailable && time.Since(firstAsked(ctx, time.Now())) < shutPatience {
			if back := comeBack(ctx, q.Instance, err, d); back != nil {
				return task.ReadResult{}, back
			}
		}
		if !pause(ctx, q.Instance, d) {
			return task.ReadResult{Failure: r.keep(q, spec.Reply{}, err)}, nil
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
		r.keep(q, reply, nil)
		return res, err
	}
	if errors.Is(err, host.ErrBusy) || spec.KindOf(err).Retryable() {
		return task.ReadResult{Busy: true}, nil
	}
	return task.ReadResult{Failure: r.keep(q, spec.Reply{}, err)}, nil
}

// keep records what the playbook is told: the whole answer, for another version may
// read more of it, or the failure, which is returned.
func (r *Reader) keep(q task.ReadRequest, reply spec.Reply, err error) *task.Failure {
	one := readings.Reading{Tenant: q.Tenant, Run: q.Run, Step: q.Step, Iteration: q.Iteration, Action: q.Action, Instance: q.Instance, Inputs: q.Inputs}
	var fail *task.Failure
	if err != nil {
		fail = failure(err)
		one.Error, one.Message = fail.Kind, fail.Message
	} else if one.Output, err = kind.Canonical(orEmpty(reply.Output)); err != nil {
		return nil // the playbook is told why; it is no answer
	}
	if r.Keep != nil {
		r.Keep(one)
	}
	return fail
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
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
	return task.ReadResult{Output: raw, Facts: facts(a, fields, reply.Output)}, nil
}

// How many facts of a read people are shown, and how long one may be, in
// characters: they stand in a history and in the run's tree.
const (
	maxFacts = 5
	maxFact  = 60
)

// facts picks what of a read's result people can take in at a glance: texts,
// numbers, truths and names, and how many are in a list. What the playbook reads
// comes first.
func facts(a spec.Action, fields []string, out map[string]any) []string {
	var first, rest []string
	for _, f := range a.Outputs {
		text := fact(out[f.Name])
		if text == "" || f.Type.Kind == kind.Secret {
			continue
		}
		if r := []rune(text); len(r) > maxFact {
			text = string(r[:maxFact-1]) + "…"
		}
		if slices.Contains(fields, f.Name) {
			first = append(first, f.Name+": "+text)
		} else {
			rest = append(rest, f.Name+": "+text)
		}
	}
	first = append(first, rest...)
	return first[:min(len(first), maxFacts)]
}

func fact(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool, int64, float64:
		return fmt.Sprint(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case kind.Handle:
		return v.Label
	case []any:
		return fmt.Sprintf("%d in a list", len(v))
	}
	return ""
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

// pause waits for d before an instance is asked again, and reports false when ctx
// ended first.
func pause(ctx context.Context, instance string, d time.Duration) bool {
	defer host.Waits(ctx, instance)()
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
