package serve

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/own"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/telemetry"
	"github.com/quell-soar/quell/workflows/run"
)

// watchedHost counts and traces the calls of connectors.
type watchedHost struct {
	*own.Host
	watch *watch
}

// Call is the host's.
func (h watchedHost) Call(ctx context.Context, instance string, r spec.Request, p host.Permit) (spec.Reply, error) {
	return h.seen(ctx, instance, r, p, h.Host.Call)
}

// TryCall is the host's.
func (h watchedHost) TryCall(ctx context.Context, instance string, r spec.Request, p host.Permit) (spec.Reply, error) {
	return h.seen(ctx, instance, r, p, h.Host.TryCall)
}

type caller func(context.Context, string, spec.Request, host.Permit) (spec.Reply, error)

func (h watchedHost) seen(ctx context.Context, instance string, r spec.Request, p host.Permit, do caller) (spec.Reply, error) {
	mode := string(r.Mode)
	if a, ok := h.Action(instance, r.Action); ok && !a.Effect() {
		mode = "read"
	}
	t := h.watch.tracer
	var span telemetry.Span
	if t.On() {
		ctx, span = t.Begin(ctx, "call "+r.Action, true, telemetry.Attr{Key: "connector", Value: instance}, telemetry.Attr{Key: "action", Value: r.Action}, telemetry.Attr{Key: "mode", Value: mode})
		ctx = t.Carry(ctx)
	}
	began := time.Now()
	reply, err := do(ctx, instance, r, p)
	result, failed := "ok", ""
	switch {
	case errors.Is(err, host.ErrBusy):
		result = "busy"
	case err != nil:
		result = string(spec.KindOf(err))
		failed = result
	}
	h.watch.metrics.Call(instance, r.Action, mode, result, time.Since(began))
	span.End(failed, telemetry.Attr{Key: "result", Value: result}, telemetry.Attr{Key: "outcome", Value: string(reply.Outcome)})
	return reply, err
}

// watchedEffects counts, traces and logs admissions and outcomes.
type watchedEffects struct {
	*effects.Effects
	runs  *runs.Runs
	watch *watch
}

// Admit is the room's.
func (e watchedEffects) Admit(ctx context.Context, in effects.Intent) (effects.Verdict, error) {
	ctx, span := e.watch.tracer.Begin(ctx, "admit", false, telemetry.Attr{Key: "action", Value: in.Action.Name})
	v, err := e.Effects.Admit(ctx, in)
	if err != nil {
		span.End("the store did not answer")
		return v, err
	}
	verdict, no := verdictOf(v)
	rule := ""
	if no != nil {
		rule = no.Rule
	}
	e.watch.metrics.Admission(verdict, rule)
	span.End("", telemetry.Attr{Key: "verdict", Value: verdict}, telemetry.Attr{Key: "rule", Value: rule})
	if verdict == "refused" || verdict == "simulated" || verdict == "skipped" {
		e.settled(ctx, v.Settled)
	}
	return v, nil
}

// verdictOf names a verdict, with the guard's word where there is one.
func verdictOf(v effects.Verdict) (string, *guard.Refusal) {
	switch {
	case v.Off != nil:
		return "put_off", v.Off
	case v.Settled != nil:
		switch v.Settled.Outcome {
		case effects.Refused, effects.Simulated, effects.Skipped:
			return v.Settled.Outcome, v.Settled.Refusal
		}
		return "settled", nil
	case v.Go != nil:
		return "admitted", nil
	case v.Back != nil || v.Read:
		return "read_back", nil
	}
	return "wait", nil
}

// Settle is the room's.
func (e watchedEffects) Settle(ctx context.Context, key string, fence int64, r effects.Result) (*effects.Effect, error) {
	ef, err := e.Effects.Settle(ctx, key, fence, r)
	return e.ended(ctx, ef, err)
}

// Conclude is the room's.
func (e watchedEffects) Conclude(ctx context.Context, key string, fence int64, found spec.Outcome, output, prior json.RawMessage) (*effects.Effect, error) {
	ef, err := e.Effects.Conclude(ctx, key, fence, found, output, prior)
	return e.ended(ctx, ef, err)
}

// Abandon is the room's.
func (e watchedEffects) Abandon(ctx context.Context, key string, why *spec.Error) (*effects.Effect, error) {
	ef, err := e.Effects.Abandon(ctx, key, why)
	return e.ended(ctx, ef, err)
}

func (e watchedEffects) ended(ctx context.Context, ef *effects.Effect, err error) (*effects.Effect, error) {
	if err == nil && ef != nil && !ef.Idle() && !ef.Open() {
		e.settled(ctx, ef)
	}
	return ef, err
}

// settled tells of an effect that has its outcome.
func (e watchedEffects) settled(ctx context.Context, ef *effects.Effect) {
	e.watch.metrics.Effect(ef.Instance, ef.Action, ef.Class, ef.Outcome)
	ev := e.watch.log.Info().Str("run", ef.Run).Str("step", ef.Step)
	if ef.Iteration != "" {
		ev.Str("iteration", ef.Iteration)
	}
	if ef.Refusal != nil {
		ev.Str("rule", ef.Refusal.Rule)
	}
	ev.Str("connector", ef.Instance).Str("action", ef.Action).Str("direction", ef.Direction).Str("outcome", ef.Outcome).Int64("entry", ef.Seq).Msg("effect settled")
	if ef.Direction == string(run.Do) && ef.Happened() {
		e.first(ctx, ef)
	}
}

// first measures how long after its alert a run had done something.
func (e watchedEffects) first(ctx context.Context, ef *effects.Effect) {
	if is, err := e.FirstOf(ctx, ef.Run, ef.Key); err != nil || !is {
		return
	}
	rec, err := e.runs.Get(ctx, ef.Run)
	if err != nil || rec.Trigger.Kind != "alert" || rec.Parent != "" {
		return
	}
	e.watch.metrics.FirstEffect(rec.Playbook, ef.Settled.Sub(rec.Created))
}

// activitySpans makes a span of each activity, below its run.
type activitySpans struct {
	interceptor.WorkerInterceptorBase
	tracer *telemetry.Tracer
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (a *activitySpans) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &activitySpan{interceptor.ActivityInboundInterceptorBase{Next: next}, a.tracer}
}

type activitySpan struct {
	interceptor.ActivityInboundInterceptorBase
	tracer *telemetry.Tracer
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (a *activitySpan) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	id := run.RunOf(info.WorkflowExecution.ID)
	list := []telemetry.Attr{{Key: "run", Value: id}}
	if len(in.Args) > 0 {
		if at, ok := in.Args[0].(interface{ At() task.Place }); ok {
			list = append(list, telemetry.Attr{Key: "step", Value: at.At().Step}, telemetry.Attr{Key: "iteration", Value: at.At().Iteration}, telemetry.Attr{Key: "phase", Value: at.At().Phase})
		}
	}
	ctx, span := a.tracer.Begin(a.tracer.Under(ctx, id), info.ActivityType.Name, false, list...)
	out, err := a.Next.ExecuteActivity(ctx, in)
	failed := ""
	if err != nil {
		failed = "the activity is tried again"
	}
	span.End(failed)
	return out, err
}
