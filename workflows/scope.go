package workflows

import (
	"maps"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// scope is what expressions see at one place: the results of steps so far and
// the loop variables. The rounds of a loop each have a scope of their own.
type scope struct {
	steps, outcome, errors, locals map[string]any
}

func newScope() *scope {
	return &scope{steps: map[string]any{}, outcome: map[string]any{}, errors: map[string]any{}, locals: map[string]any{}}
}

// inner is a scope that starts with what s sees and whose results stay inside.
// The clones are read by name only, so their order cannot show.
func (s *scope) inner() *scope {
	return &scope{steps: maps.Clone(s.steps), outcome: maps.Clone(s.outcome), errors: maps.Clone(s.errors), locals: maps.Clone(s.locals)}
}

// frame is where execution stands: cancellation, scope, place and mode.
type frame struct {
	ctx  workflow.Context
	sc   *scope
	iter string
	node *node
	// sealed are the effects that an approval around this place covers, by
	// place; nil where there is none.
	sealed *seal
	// would says in observe mode whom an approval around this place would have
	// asked; empty where none would.
	would string
	// ctl is the step's control, for verbs that name it.
	ctl *control
	// people measures the time that the step around this place spends waiting for
	// people; nil where no time-out asks.
	people *stopwatch
	// linear says that no loop, no parallel and no time-out is around: between two
	// rounds of a loop here the run may continue as new.
	linear bool
	// again is the step's own level where it was under way when the run continued
	// as new; only the step's body looks at it.
	again *run.Level
	// alert is what the condition of a wait for an alert sees; else nil.
	alert map[string]any
}

// round returns the frame of one round of a loop.
func (f frame) round(index string, sc *scope, n *node) frame {
	if f.iter != "" {
		index = f.iter + "." + index
	}
	f.iter, f.sc, f.node, f.linear = index, sc, n, false
	return f
}

// branch returns the frame of one branch of a parallel.
func (f frame) branch(st *plan.Step, name string) frame {
	n := &node{}
	n.step.Path, n.step.Kind, n.step.Phase, n.step.Iteration = st.Path+"."+name, "branch", string(st.Phase), f.iter
	n.step.Title, n.step.Status, n.step.Began = name, "running", workflow.Now(f.ctx).UTC()
	f.node.children = append(f.node.children, n)
	f.node, f.linear = n, false
	return f
}

func (it *interp) vars(f frame) expr.Scope {
	return expr.Scope{
		Inputs: it.inputs, Settings: it.settings,
		Steps: f.sc.steps, Outcome: f.sc.outcome, Errors: f.sc.errors, Locals: f.sc.locals,
		Run: it.runVars(), Now: workflow.Now(f.ctx).UTC(), Alert: f.alert,
	}
}

// runVars is the root `run` of expressions.
func (it *interp) runVars() map[string]any {
	trigger := it.in.Trigger.Kind
	if it.in.Parent != "" {
		trigger = "call"
	}
	return map[string]any{
		"id": it.in.Run, "playbook": it.in.Playbook, "incident": it.in.Incident, "actor": it.in.Trigger.Actor,
		"started": it.started, "mode": it.in.Mode, "trigger": trigger, "closing": it.closing,
	}
}

// sees is what an expression reads. run.open is asked of the store, where the
// expression reads it.
func (it *interp) sees(f frame, open bool) (expr.Scope, error) {
	sc := it.vars(f)
	if !open {
		return sc, nil
	}
	list, err := it.inForce(f)
	sc.Run["open"] = list
	return sc, err
}

// inForce lists what the run did that is in force and can be taken back.
func (it *interp) inForce(f frame) ([]any, error) {
	var res task.InForceResult
	if err := execute(f.ctx, task.InForceActivity, task.InForceRequest{Tenant: it.in.Tenant, Run: it.in.Run}, &res); err != nil {
		return nil, err
	}
	out := make([]any, len(res.Effects))
	for i, e := range res.Effects {
		targets := make([]any, len(e.Targets))
		for k, t := range e.Targets {
			targets[k] = t
		}
		what := effectLabel(e.Action, e.Targets)
		out[i] = map[string]any{
			"what": what, "action": e.Action, "step": e.Step, "targets": targets, "since": e.Since.UTC(),
			"effect": kind.Handle{Name: plan.Effect, Instance: e.Instance, ID: e.Key, Label: what},
		}
		if until, ok := it.heldUntil[e.Key]; ok {
			out[i].(map[string]any)["until"] = until
		}
	}
	return out, nil
}

func effectLabel(action string, targets []string) string {
	return strings.TrimSpace(action + " " + strings.Join(targets, ", "))
}

func (it *interp) eval(f frame, ref plan.ExprRef) (any, error) {
	sc, err := it.sees(f, it.open[ref])
	if err != nil {
		return nil, err
	}
	v, err := it.set.Eval(ref, sc)
	return v, asFailure(err)
}

func (it *interp) truth(f frame, ref plan.ExprRef) (bool, error) {
	sc, err := it.sees(f, it.open[ref])
	if err != nil {
		return false, err
	}
	b, err := it.set.Bool(ref, sc)
	return b, asFailure(err)
}

func (it *interp) value(f frame, v plan.Value) (any, error) {
	sc, err := it.sees(f, it.readsOpen(v))
	if err != nil {
		return nil, err
	}
	x, err := it.set.Value(v, sc)
	return x, asFailure(err)
}

// readsOpen reports whether an expression in a value reads run.open.
func (it *interp) readsOpen(v plan.Value) bool {
	if v.Expr != nil && it.open[*v.Expr] {
		return true
	}
	for _, p := range v.Template {
		if p.Expr != nil && it.open[*p.Expr] {
			return true
		}
	}
	return slices.ContainsFunc(v.List, it.readsOpen) ||
		slices.ContainsFunc(v.Map, func(n plan.NamedValue) bool { return it.readsOpen(n.Value) })
}

// text evaluates a value and writes it as people read it.
func (it *interp) text(f frame, v *plan.Value) (string, error) {
	if v == nil {
		return "", nil
	}
	x, err := it.value(f, *v)
	if err != nil {
		return "", err
	}
	return expr.Text(x), nil
}

// record stores how a step ended under its id.
func (f frame) record(st *plan.Step, o task.Outcome, result any, fail *task.Failure) {
	if st.ID == "" {
		return
	}
	f.sc.outcome[st.ID] = string(o)
	delete(f.sc.errors, st.ID)
	delete(f.sc.steps, st.ID)
	if result != nil {
		f.sc.steps[st.ID] = result
	}
	if fail != nil {
		f.sc.errors[st.ID] = map[string]any{"kind": fail.Kind, "message": fail.Message}
	}
}

// prepare decodes what the run was started with and fills defaults in.
func (it *interp) prepare(f frame) error {
	if err := it.prepareSettings(f); err != nil {
		return err
	}
	if err := it.decodeInputs(); err != nil {
		return err
	}
	for _, i := range it.plan.Inputs {
		if err := it.fill(f, it.inputs, i.Name, i.Default); err != nil {
			return err
		}
	}
	for _, id := range it.named {
		f.sc.outcome[id] = string(task.Skipped)
	}
	return nil
}

// decodeInputs reads the inputs that were given.
func (it *interp) decodeInputs() error {
	return it.decodeNamed(it.in.Inputs, it.inputs, func(name string) (kind.Type, bool) {
		for _, i := range it.plan.Inputs {
			if i.Name == name {
				return i.Type, true
			}
		}
		return kind.Type{}, false
	})
}

// prepareSettings decodes the installation's values.
func (it *interp) prepareSettings(f frame) error {
	if err := it.decodeNamed(it.in.Settings, it.settings, func(name string) (kind.Type, bool) {
		for _, s := range it.plan.Settings {
			if s.Name == name {
				return s.Type, true
			}
		}
		return kind.Type{}, false
	}); err != nil {
		return err
	}
	for _, s := range it.plan.Settings {
		if err := it.fill(f, it.settings, s.Name, s.Default); err != nil {
			return err
		}
	}
	return nil
}

func (it *interp) decodeNamed(raw []byte, into map[string]any, typeOf func(string) (kind.Type, bool)) error {
	if len(raw) == 0 {
		return nil
	}
	fields := make([]kind.Field, 0, len(it.plan.Inputs)+len(it.plan.Settings))
	for _, i := range it.plan.Inputs {
		if t, ok := typeOf(i.Name); ok {
			fields = append(fields, kind.Field{Name: i.Name, Type: t, Optional: true})
		}
	}
	for _, s := range it.plan.Settings {
		if t, ok := typeOf(s.Name); ok {
			fields = append(fields, kind.Field{Name: s.Name, Type: t, Optional: true})
		}
	}
	v, err := kind.Decode(kind.RecordOf(fields...), raw)
	if err != nil {
		return failed("invalid", "inputs: %s", err.Error())
	}
	for _, fd := range fields {
		if x, ok := v.(map[string]any)[fd.Name]; ok {
			into[fd.Name] = x
		}
	}
	return nil
}

func (it *interp) fill(f frame, into map[string]any, name string, def *plan.Value) error {
	if _, ok := into[name]; ok || def == nil {
		return nil
	}
	v, err := it.value(f, *def)
	if err != nil {
		return err
	}
	if v != nil {
		into[name] = v
	}
	return nil
}

// until returns how long it is from now to at, never negative.
func until(ctx workflow.Context, at time.Time) time.Duration {
	return max(0, at.Sub(workflow.Now(ctx)))
}
