package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/failpoint"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/workflows/run"
)

// Store is the part of effects.Effects that an actor works with.
type Store interface {
	Admit(ctx context.Context, in effects.Intent) (effects.Verdict, error)
	Settle(ctx context.Context, key string, fence int64, r effects.Result) (*effects.Effect, error)
	Conclude(ctx context.Context, key string, fence int64, found spec.Outcome, output, prior json.RawMessage) (*effects.Effect, error)
	Abandon(ctx context.Context, key string, why *spec.Error) (*effects.Effect, error)
	Get(ctx context.Context, key string) (*effects.Effect, error)
	Holds(ctx context.Context, key string) (bool, error)
	Arranged(ctx context.Context, key string) (*effects.Arrangement, error)
}

// Actor brings effects about.
type Actor struct {
	Host    Connectors
	Effects Store
	// Charter says what a run may do now.
	Charter Charters
	// Facts reads what guards ask about targets; nil reads nothing, and guards that
	// ask refuse.
	Facts *Facts
	// Now is the clock of permits and waits; default time.Now.
	Now func() time.Time
	// Blind switches read-back off. Only the control of the kill test sets it:
	// it shows that the test would notice.
	Blind bool
}

// Tries at an effect whose attempts did nothing, where the playbook says
// nothing.
const (
	actTries = 5
	actWait  = time.Second
)

// Act brings one effect about, or takes one back, and returns how it ended. It
// goes on where an earlier try of the same activity was killed. It fails, in
// Temporal's sense, only where the store is away or the instance takes no calls
// for a while; then nothing was called, and Temporal tries again.
func (a *Actor) Act(ctx context.Context, q task.ActRequest) (task.ActResult, error) {
	defer beat(ctx)()
	ctx = host.ForRun(ctx, q.Key.Run)
	e, fail, err := a.begin(ctx, q)
	if err != nil || fail != nil {
		return task.ActResult{Outcome: task.Failed, Failure: fail}, err
	}
	if q.Of == "" { // what takes something back is never sent away
		done, back := attend(ctx, a.Host, e.intent.Instance, e.until, a.now())
		if back != nil {
			return task.ActResult{}, back
		}
		defer done()
	}
	return e.run(ctx)
}

// effort is one activity's work on one effect.
type effort struct {
	*Actor
	q      task.ActRequest
	intent effects.Intent
	action spec.Action
	tries  int
	wait   time.Duration
	asked  time.Time
	until  time.Time
	// waiting: another effect had a target when admission was asked for last.
	waiting bool
	// entered: the host has given a slot for the call that may be admitted now.
	entered bool
}

func (a *Actor) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// begin makes the intent: of the request, or for an undo of what is stored about
// the original.
func (a *Actor) begin(ctx context.Context, q task.ActRequest) (*effort, *task.Failure, error) {
	e := &effort{Actor: a, q: q, tries: or(q.Attempts, actTries), wait: or(q.Wait, actWait), asked: firstAsked(ctx, a.now())}
	if q.Timeout > 0 {
		e.until = e.asked.Add(q.Timeout)
	}
	action, instance, schema, inputs := q.Action, q.Inst, q.Schema, []byte(q.Inputs)
	if q.Of != "" {
		of, err := a.Effects.Get(ctx, q.Of)
		if errors.Is(err, effects.ErrNotFound) {
			return nil, &task.Failure{Kind: string(spec.NotFound), Message: err.Error()}, nil
		}
		if err != nil {
			return nil, nil, err
		}
		back, err := a.Effects.Arranged(ctx, q.Of)
		switch {
		case err != nil:
			return nil, nil, err
		case back != nil:
			action, instance, schema, inputs = back.Action, back.Instance, "", back.Inputs
		case of.Inverse == "":
			return nil, &task.Failure{Kind: string(spec.Invalid), Message: of.Action + " has no inverse"}, nil
		default:
			action, instance, schema, inputs = of.Inverse, of.Instance, "", of.Inputs
		}
	}
	sp, ok := a.Host.Action(instance, action)
	if !ok {
		return nil, &task.Failure{Kind: string(spec.Unavailable), Message: fmt.Sprintf("instance %q does not serve %s; check its configuration", instance, action)}, nil
	}
	e.action = sp
	if q.Of == "" {
		_, values, fail := prepare(a.Host, instance, sp.Name, schema, inputs)
		if fail != nil {
			return nil, fail, nil
		}
		e.intent.Targets = targets(sp, values)
	}
	e.intent.Key, e.intent.Playbook, e.intent.Action, e.intent.Instance = q.Key, q.Playbook, sp, instance
	e.intent.Inputs, e.intent.Of, e.intent.Actor, e.intent.Approval, e.intent.Limit = inputs, q.Of, q.Actor, q.Approval, q.Limit
	e.intent.Unattended, e.intent.Would = q.Unattended, q.Would
	e.intent.Began, e.intent.Due = q.Began, q.Due
	return e, nil, nil
}

// run asks for admission until the effect is settled.
func (e *effort) run(ctx context.Context) (task.ActResult, error) {
	for n := 0; ; {
		// Anew before each admission that may let it out: another effect on the target
		// may have run while this one waited.
		if err := e.chartered(ctx); err != nil {
			return task.ActResult{}, err
		}
		if err := e.before(ctx); err != nil {
			var back *temporal.ApplicationError
			if errors.As(err, &back) {
				return task.ActResult{}, err
			}
			return e.unread(ctx, err)
		}
		if !e.until.IsZero() && e.now().After(e.until) {
			return e.late(ctx)
		}
		ef, again, called, err := e.try(ctx, n)
		n += called
		var no *refusedError
		if errors.As(err, &no) {
			return off(no.Refusal), nil
		}
		var shut *shutError
		if errors.As(err, &shut) { // it waits as for a vendor that says to come back
			var over bool
			if over, again, err = e.shut(ctx, shut, n+1); over {
				return e.unread(ctx, shut.why)
			}
		}
		if errors.Is(err, effects.ErrFenced) {
			continue // another try of this activity went on; see what it did
		}
		if err != nil {
			return task.ActResult{}, err
		}
		if ef != nil && !ef.Idle() && !ef.Open() {
			return e.result(ctx, ef)
		}
		if ef != nil && ef.Idle() && n >= e.tries {
			return e.giveUp(ctx, ef)
		}
		if !pause(ctx, e.intent.Instance, again) {
			return task.ActResult{}, context.Cause(ctx)
		}
	}
}

// before reads the state that a reversible effect will change. If the answer to
// the call is lost, this is what an undo goes back to. An effect that has an
// outcome, or an attempt that may still land, is past that.
func (e *effort) before(ctx context.Context) error {
	sp := e.action
	if e.q.Of != "" {
		return nil
	}
	if e.intent.Unread = e.waiting; e.waiting {
		return nil
	}
	ef, err := e.Effects.Get(ctx, e.intent.Key.String())
	if err == nil && !ef.Idle() {
		e.intent.Unread = true
		return nil
	}
	doubt := err == nil && ef.Doubt
	if imaginary(e.intent.Targets) {
		return nil
	}
	e.Facts.inform(ctx, e.intent.Instance, e.intent.Targets)
	if sp.ReadBack != spec.Strong || (sp.Reversal != spec.Exact && sp.Reversal != spec.Lossy) {
		return nil
	}
	for n := 1; ; n++ {
		r, err := e.Host.Call(ctx, e.intent.Instance, e.request(spec.Back, e.intent.Inputs, nil, e.now().Add(sp.Deadline)), host.Permit{})
		if err == nil {
			e.intent.Before = r.Outcome
			e.intent.BeforePrior, _ = encode(r.Prior)
			return nil
		}
		if e.intent.Mode == guard.Observe { // nothing will be done that this would be for
			return nil
		}
		k := spec.KindOf(err)
		if k == spec.NotFound || k == spec.Ambiguous || k == spec.Invalid || k == spec.Permission || k == spec.Auth {
			return err
		}
		d := backoff(err, e.wait, n)
		if k == spec.Unavailable && !doubt && e.now().Sub(e.asked) < shutPatience {
			if back := comeBack(ctx, e.intent.Instance, err, d); back != nil {
				return back
			}
		}
		if n >= e.tries || !pause(ctx, e.intent.Instance, d) {
			return err
		}
	}
}

// try asks for admission once and does what the verdict says: ef is what became
// of it, nil where there is only to wait for again. called is 1 if a call left.
func (e *effort) try(ctx context.Context, n int) (ef *effects.Effect, again time.Duration, called int, err error) {
	// A slot is taken before the admission: an intent whose call waits in a queue
	// would, if we were killed now, leave a question that only a person can answer.
	leave, why := e.enter(ctx)
	defer func() { leave(called > 0) }()
	if why != nil {
		return nil, 0, 0, why
	}
	key := e.intent.Key.String()
	failpoint.Here("effect.asked", key)
	v, err := e.Effects.Admit(ctx, e.intent)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("admit %s: %w", e.intent.Key, err)
	}
	switch {
	case v.Settled != nil:
		return v.Settled, 0, 0, nil
	case v.Off != nil:
		return nil, 0, 0, &refusedError{v.Off}
	case v.Go != nil:
		failpoint.Here("effect.admitted", key)
		ef, again, err = e.call(ctx, v.Go, n+1)
		return ef, again, 1, err
	case v.Read:
		e.waiting = false
		return nil, 0, 0, nil
	case v.Back != nil:
		leave(false) // a read-back waits, and nothing leaves
		leave = func(bool) {}
		ef, err = e.readBack(ctx, v.Back)
		return ef, e.wait, 0, err
	}
	again = max(0, v.Wait.Sub(e.now()))
	e.waiting = again > 0
	return nil, again + 10*time.Millisecond, 0, nil
}

// unread answers when the state before an effect could not be read. Nothing was
// called now; what an earlier try did stands in the store.
func (e *effort) unread(ctx context.Context, why error) (task.ActResult, error) {
	ef, err := e.Effects.Get(ctx, e.intent.Key.String())
	switch {
	case errors.Is(err, effects.ErrNotFound):
		return task.ActResult{Outcome: task.Failed, Failure: failure(why)}, nil
	case err != nil:
		return task.ActResult{}, err
	}
	return e.giveUp(ctx, ef)
}

func (e *effort) request(mode spec.Mode, inputs, prior []byte, deadline time.Time) spec.Request {
	r := spec.Request{Action: e.action.Name, Mode: mode, Key: e.intent.Key.String(), Deadline: deadline}
	r.Inputs = declared(e.action, inputs)
	if len(prior) > 0 {
		_ = json.Unmarshal(prior, &r.Prior)
	}
	return r
}

// declared decodes those inputs that the action declares: an inverse gets the
// inputs of its original, and takes what it knows.
func declared(sp spec.Action, raw []byte) map[string]any {
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	out := map[string]any{}
	for _, f := range sp.Inputs {
		if part, ok := all[f.Name]; ok {
			if v, err := kind.Decode(f.Type, part); err == nil {
				out[f.Name] = v
			}
		}
	}
	return out
}

// call makes one attempt and stores how it ended.
func (e *effort) call(ctx context.Context, p *effects.Permit, n int) (*effects.Effect, time.Duration, error) {
	// A cancelled run does not take back a call that is about to leave; what
	// became of it is stored all the same.
	out := context.WithoutCancel(ctx)
	req := e.request(spec.Act, p.Inputs, p.Prior, p.Deadline)
	e.narrow(&req, p.Targets)
	failpoint.Soon("effect.left", p.Key)
	reply, err := e.Host.Call(out, e.intent.Instance, req, host.Permit{Expires: p.Expires, Key: p.Key, Inverse: e.q.Of != "", Entered: e.entered})
	failpoint.Here("effect.answered", p.Key)
	r := effects.Result{Outcome: reply.Outcome, Failed: reply.Failed, VendorRequestID: reply.VendorRequestID}
	r.Binary, r.Version = e.Host.Binary(e.intent.Instance)
	if err != nil {
		r.Outcome, r.Err = "", asSpec(err)
	} else {
		if r.Output, err = encode(reply.Output); err != nil {
			return nil, 0, fmt.Errorf("keep the result of %s: %w", p.Key, err)
		}
		if r.Prior, err = encode(reply.Prior); err != nil {
			return nil, 0, fmt.Errorf("keep the prior state of %s: %w", p.Key, err)
		}
	}
	ef, err := e.Effects.Settle(out, p.Key, p.Fence, r)
	if err != nil {
		return nil, 0, fmt.Errorf("settle %s: %w", p.Key, err)
	}
	failpoint.Here("effect.stored", p.Key)
	if ef.Idle() {
		return ef, backoff(r.Err, e.wait, n), nil
	}
	return ef, 0, nil
}

// narrow leaves in a list of targets only those that are to be called for.
func (e *effort) narrow(r *spec.Request, only []guard.Target) {
	list, ok := r.Inputs[e.action.Targets].([]any)
	if !ok || e.q.Of == "" {
		return
	}
	var kept []any
	for _, v := range list {
		for _, t := range targets(e.action, map[string]any{e.action.Targets: v}) {
			for _, o := range only {
				if o.ID == t.ID {
					kept = append(kept, v)
				}
			}
		}
	}
	r.Inputs[e.action.Targets] = kept
}

func asSpec(err error) *spec.Error {
	var e *spec.Error
	if errors.As(err, &e) {
		return e
	}
	return spec.Errorf(spec.Internal, "%v", err)
}

func encode(m map[string]any) (json.RawMessage, error) {
	if len(m) == 0 {
		return nil, nil
	}
	return kind.Canonical(m)
}

// giveUp settles an effect whose tries are used up and none of which happened.
func (e *effort) giveUp(ctx context.Context, ef *effects.Effect) (task.ActResult, error) {
	ef, err := e.Effects.Abandon(context.WithoutCancel(ctx), ef.Key, nil)
	if err != nil {
		return task.ActResult{}, fmt.Errorf("give up %s: %w", e.intent.Key, err)
	}
	return e.result(ctx, ef)
}

// late answers when the step's time is over. What may be under way stays open in
// the store; the step is unknown.
func (e *effort) late(ctx context.Context) (task.ActResult, error) {
	ef, err := e.Effects.Get(ctx, e.intent.Key.String())
	switch {
	case errors.Is(err, effects.ErrNotFound):
		return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: "timeout", Message: "its time was over before it was admitted"}}, nil
	case err != nil:
		return task.ActResult{}, err
	case ef.Idle():
		return e.giveUp(ctx, ef)
	case ef.Open():
		return task.ActResult{Outcome: task.Unknown, Detail: "its time was over while a call was under way"}, nil
	}
	return e.result(ctx, ef)
}

// result turns a settled effect into what the workflow hears.
func (e *effort) result(ctx context.Context, ef *effects.Effect) (task.ActResult, error) {
	res := task.ActResult{Outcome: task.Outcome(ef.Outcome), Detail: ef.Detail, Ask: ef.Outcome == effects.Refused && ef.Refusal != nil && ef.Refusal.Ask}
	if ef.Outcome == effects.Failed {
		res.Failure = &task.Failure{Kind: ef.ErrorKind, Message: ef.Detail, Code: ef.VendorCode}
	}
	out := ef.Output
	if ef.Outcome == effects.Simulated {
		out = imagined(e.action, ef)
	}
	if len(out) > 0 && ef.Direction == string(run.Do) {
		v, err := kind.Decode(optional(e.action), out)
		if err != nil {
			return res, fmt.Errorf("the stored result of %s does not fit: %w", ef.Key, err)
		}
		if res.Output, err = project(e.action, e.q.Fields, v.(map[string]any)); err != nil {
			return res, err
		}
	}
	held, err := e.Effects.Holds(ctx, ef.Key)
	if err != nil {
		return res, err
	}
	res.Held = held
	if activity.IsActivity(ctx) {
		activity.GetLogger(ctx).Debug("effect", "key", ef.Key, "outcome", ef.Outcome)
	}
	return res, nil
}
