package expr

import (
	"cel.dev/cel-go/cel"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// The roots that expressions may read; alert stands only in triggers.
const (
	rootInputs   = "inputs"
	rootSettings = "settings"
	rootSteps    = "steps"
	rootOutcome  = "outcome"
	rootErrors   = "errors"
	rootRun      = "run"
	rootNow      = "now"
	rootAlert    = "alert"
)

// Roots lists the names that expressions may read, in the order of the
// reference.
func Roots() []string {
	return []string{rootInputs, rootSettings, rootSteps, rootOutcome, rootErrors, rootRun, rootNow, rootAlert}
}

// enumRoots are the constants: severity.high, criticality.low.
func enumRoots() map[string]kind.Type {
	out := map[string]kind.Type{}
	for _, k := range []kind.Kind{kind.Severity, kind.Criticality} {
		t := kind.Of(k)
		names, _ := t.Enum()
		rec := kind.Type{Kind: kind.Record}
		for _, n := range names {
			rec.Fields = append(rec.Fields, kind.Field{Name: n, Type: t})
		}
		out[string(k)] = rec
	}
	return out
}

// enumNames are the values of the enumRoots.
var enumNames = func() map[string]map[string]any {
	out := map[string]map[string]any{}
	for root, t := range enumRoots() {
		out[root] = map[string]any{}
		for _, f := range t.Fields {
			out[root][f.Name] = f.Name
		}
	}
	return out
}()

// Outcomes lists what outcome.ID may be.
func Outcomes() []string {
	return []string{"done", "already", "partial", "simulated", "skipped", "denied", "refused", "failed", "unknown"}
}

// OutcomeType is the type of outcome.ID.
func OutcomeType() kind.Type { return outcomeType }

// ErrorType is the type of errors.ID.
func ErrorType() kind.Type { return errorType }

// RunType is the type of run.
func RunType() kind.Type {
	str := func(name string) kind.Field { return kind.Field{Name: name, Type: kind.Of(kind.String)} }
	return kind.RecordOf(
		str("id"), str("playbook"), str("incident"), str("actor"),
		kind.Field{Name: "started", Type: kind.Of(kind.Timestamp)},
		kind.Field{Name: "mode", Type: kind.ChoiceOf("observe", "ask", "act")},
		kind.Field{Name: "trigger", Type: kind.ChoiceOf("alert", "manual", "schedule", "call")},
		kind.Field{Name: "closing", Type: kind.ChoiceOf(
			"true_positive", "benign", "false_positive", "duplicate", "completed", "failed", "denied", "cancelled")},
		kind.Field{Name: "open", Type: kind.ListOf(OpenType())},
	)
}

// OpenType is the type of an entry of run.open: an effect of the run that is in
// force and can be taken back. The list is read from the store when an
// expression asks for it, newest first.
func OpenType() kind.Type {
	str := func(name string) kind.Field { return kind.Field{Name: name, Type: kind.Of(kind.String)} }
	return kind.RecordOf(
		// what is what people read: edr.isolate_host web-1.
		str("what"), str("action"), str("step"),
		kind.Field{Name: "targets", Type: kind.ListOf(kind.Of(kind.String))},
		kind.Field{Name: "since", Type: kind.Of(kind.Timestamp)},
		// until is when its hold is over; absent where it has none.
		kind.Field{Name: "until", Type: kind.Of(kind.Timestamp), Optional: true},
		kind.Field{Name: "effect", Type: kind.HandleOf(plan.Effect)},
	)
}

// AlertTakenType is the result of a wait for an alert.
func AlertTakenType() kind.Type {
	str := func(name string) kind.Field { return kind.Field{Name: name, Type: kind.Of(kind.String)} }
	return kind.RecordOf(
		str("id"), str("source"), str("kind"),
		kind.Field{Name: "severity", Type: kind.Of(kind.Severity)},
		kind.Field{Name: "occurred", Type: kind.Of(kind.Timestamp)},
	)
}

// maxCost bounds one evaluation, in CEL's units: about one per node visited,
// one per ten characters compared.
const maxCost = 1_000_000

// newCELEnv builds the environment of one playbook over its registry. alert is
// nil outside triggers.
func newCELEnv(r *registry, locals []kind.Field) (*cel.Env, error) {
	opts := []cel.EnvOption{
		standard(), cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true),
		cel.CustomTypeProvider(r), cel.CustomTypeAdapter(r),
		cel.ParserRecursionLimit(64), cel.ParserExpressionSizeLimit(maxExpression),
		cel.Variable(rootNow, cel.TimestampType),
	}
	opts = append(opts, library()...)
	for _, root := range Roots() {
		if root != rootNow {
			opts = append(opts, cel.Variable(root, rootType(root)))
		}
	}
	for _, k := range []kind.Kind{kind.Severity, kind.Criticality} {
		opts = append(opts, cel.Variable(string(k), rootType(string(k))))
	}
	for _, l := range locals {
		opts = append(opts, cel.Variable(l.Name, r.celType(l.Type)))
	}
	return cel.NewCustomEnv(opts...)
}

// maxExpression is the longest expression, in runes.
const maxExpression = 4096
