package intake

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// The verdicts of a playbook on an alert.
const (
	// Started: the alert started a run.
	Started = "started"
	// JoinedRun: the alert was linked to the live run about the same thing.
	JoinedRun = "joined"
	// Silenced: a run about the same thing ended a short time ago.
	Silenced = "silenced"
	// Refused: the alert does not give the inputs that the playbook wants.
	Refused = "refused"
	// Failed: an expression of the trigger failed.
	Failed = "failed"
)

// match is what one trigger made of an alert: a claim, or why there is none.
type match struct {
	playbook string
	claim    *runs.Claim
	verdict  string
	reason   string
}

// matches evaluates the triggers of all playbooks for an alert. A playbook's
// first trigger that applies counts. Whatever fails is a result, not an error, and
// so is a playbook that the source may not start.
func (in *Intake) matches(id string, a alert.Alert) []match {
	var out []match
	ceiling := in.sources[a.Source].Ceiling
	for _, b := range in.deps.Book.ForSource(a.Source) {
		for _, t := range b.Plan.Triggers.Alerts {
			if !slices.Contains(t.From, a.Source) && !slices.Contains(t.From, "any") {
				continue
			}
			m, applies := b.match(in.cfg.Tenant, t, id, a)
			if why := ceiling.bars(a.Source, b.Plan.Playbook); applies && why != "" {
				m.claim, m.verdict, m.reason = nil, Refused, why
			}
			if applies {
				out = append(out, m)
				if m.verdict != Failed {
					break
				}
			}
		}
	}
	return out
}

// match evaluates one trigger. applies is false where its `when` says no.
func (l Loaded) match(tenant string, t plan.AlertTrigger, id string, a alert.Alert) (m match, applies bool) {
	return l.matchValue(tenant, t, id, a, a.Value())
}

// matchValue is match with what expressions see.
func (l Loaded) matchValue(tenant string, t plan.AlertTrigger, id string, a alert.Alert, value map[string]any) (m match, applies bool) {
	m = match{playbook: l.Plan.Playbook}
	stop := func(verdict string, err error) (match, bool) {
		m.verdict, m.reason = verdict, cut(err.Error())
		return m, true
	}
	sc := expr.Scope{Alert: value, Settings: l.Settings, Now: a.Received}
	if t.When != nil {
		yes, err := l.Set.Bool(*t.When, sc)
		if err != nil {
			return stop(Failed, fmt.Errorf("when: %w", err))
		}
		if !yes {
			return m, false
		}
	}
	values := map[string]any{}
	for _, nv := range t.Inputs {
		v, err := l.Set.Value(nv.Value, sc)
		if err != nil {
			return stop(Refused, fmt.Errorf("input %s: %w", nv.Name, err))
		}
		if v != nil {
			values[nv.Name] = v
		}
	}
	inputs, err := EncodeInputs(l.Plan, values)
	if err != nil {
		return stop(Refused, err)
	}
	sc.Inputs = l.withDefaults(values, sc)
	once, err := l.once(t, sc, a)
	if err != nil {
		return stop(Failed, fmt.Errorf("once_per: %w", err))
	}
	settings, err := kind.Canonical(orEmpty(l.Settings))
	if err != nil {
		return stop(Failed, fmt.Errorf("settings: %w", err))
	}
	m.claim = &runs.Claim{
		Tenant: tenant, Playbook: l.Plan.Playbook, Digest: l.Digest, Plan: l.Raw, OnceValue: once,
		Inputs: inputs, Settings: settings, Bindings: l.Bindings, Mode: l.Mode, Severity: a.Severity,
		Quiet: t.Quiet, Targets: targets(l.Plan, values), Calendars: l.Calendars, Calls: l.Calls,
		Trigger: run.Trigger{Kind: "alert", Actor: "source:" + a.Source, Source: a.Source, Alert: id, Severity: a.Severity},
	}
	if m.claim.Incident, err = l.incident(t, sc); err != nil {
		m.claim = nil
		return stop(Failed, fmt.Errorf("incident: %w", err))
	}
	return m, true
}

// maxIncident bounds the name of an incident, in characters, as the API does.
const maxIncident = 200

// incident is what the trigger says the run belongs to; empty where it says
// nothing. It becomes a key of tickets, so nothing but a short line will do.
func (l Loaded) incident(t plan.AlertTrigger, sc expr.Scope) (string, error) {
	if t.Incident == nil {
		return "", nil
	}
	v, err := l.Set.Eval(*t.Incident, sc)
	if err != nil {
		return "", err
	}
	text := expr.Text(v)
	if n := utf8.RuneCountInString(text); n == 0 || n > maxIncident || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("%q is no name of 1 to %d characters without control characters", cut(text), maxIncident)
	}
	return text, nil
}

// once is the canonical value of what a run is about. A trigger that does not
// say it gets a run per alert.
func (l Loaded) once(t plan.AlertTrigger, sc expr.Scope, a alert.Alert) ([]byte, error) {
	if len(t.OncePer) == 0 {
		return kind.Canonical([]any{"alert", a.Source, a.ID})
	}
	values := make([]any, len(t.OncePer))
	for i, e := range t.OncePer {
		v, err := l.Set.Eval(e, sc)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return kind.Canonical(values)
}

// withDefaults adds the defaults that need nothing of the run; once_per may
// read them. One that needs the run stays absent, and reading it is an error of
// the trigger.
func (l Loaded) withDefaults(values map[string]any, sc expr.Scope) map[string]any {
	out := make(map[string]any, len(l.Plan.Inputs))
	for _, in := range l.Plan.Inputs {
		if v, ok := values[in.Name]; ok {
			out[in.Name] = v
		} else if in.Default != nil {
			if v, err := l.Set.Value(*in.Default, expr.Scope{Settings: sc.Settings, Now: sc.Now}); err == nil && v != nil {
				out[in.Name] = v
			}
		}
	}
	return out
}

// EncodeInputs checks values against the playbook's inputs and writes them as
// canonical JSON. Every input without a default must be there, nothing else may
// be.
func EncodeInputs(p *plan.Plan, values map[string]any) ([]byte, error) {
	known := map[string]bool{}
	for _, in := range p.Inputs {
		known[in.Name] = true
		v, ok := values[in.Name]
		if !ok || v == nil {
			if in.Default == nil {
				return nil, fmt.Errorf("input %s is missing and has no default", in.Name)
			}
			continue
		}
		if err := checkInput(in, v); err != nil {
			return nil, fmt.Errorf("input %s: %w", in.Name, err)
		}
	}
	for name := range values {
		if !known[name] {
			return nil, fmt.Errorf("the playbook has no input %s", strconv.Quote(cut(name)))
		}
	}
	return kind.Canonical(values)
}

func checkInput(in plan.Input, v any) error {
	if holds(in.Type, kind.Handled) {
		return errors.New("a handle comes only from a find action, never from outside")
	}
	if holds(in.Type, kind.Secret) {
		return errors.New("a secret is named in the configuration and never given from outside: it would stand in the record")
	}
	if err := kind.Check(in.Type, v); err != nil {
		return err
	}
	var form *regexp.Regexp
	if in.Pattern != "" {
		var err error
		if form, err = regexp.Compile(`\A(?:` + in.Pattern + `)\z`); err != nil {
			return fmt.Errorf("its pattern does not compile: %w", err)
		}
	}
	if l, ok := v.([]any); ok {
		if in.Max > 0 && len(l) > in.Max {
			return fmt.Errorf("%d elements, more than %d", len(l), in.Max)
		}
		for i, e := range l {
			if s, ok := e.(string); ok && form != nil && !form.MatchString(s) {
				return fmt.Errorf("element %d does not have the playbook's pattern", i)
			}
		}
		return nil
	}
	if s, ok := v.(string); ok {
		if in.Max > 0 && utf8.RuneCountInString(s) > in.Max {
			return fmt.Errorf("longer than %d characters", in.Max)
		}
		if form != nil && !form.MatchString(s) {
			return errors.New("it does not have the playbook's pattern")
		}
	}
	return nil
}

// holds reports whether a type is of kind k or has one within.
func holds(t kind.Type, k kind.Kind) bool {
	if t.Kind == k || (t.Elem != nil && holds(*t.Elem, k)) {
		return true
	}
	return slices.ContainsFunc(t.Fields, func(f kind.Field) bool { return holds(f.Type, k) })
}

// targets lists what the inputs name that a run could act on, as name=value.
// Free text does not count: it differs from alert to alert and would end every
// quiet time.
func targets(p *plan.Plan, values map[string]any) []string {
	var out []string
	for _, in := range p.Inputs {
		t := in.Type
		if t.Kind == kind.List {
			t = *t.Elem
		}
		switch t.Kind {
		case kind.Hostname, kind.IP, kind.CIDR, kind.Domain, kind.URL, kind.Email, kind.Username, kind.Hash, kind.Path, kind.MessageID, kind.Artifact:
		default:
			continue
		}
		l, ok := values[in.Name].([]any)
		if !ok {
			l = []any{values[in.Name]}
		}
		for _, v := range l {
			if s, ok := v.(string); ok {
				out = append(out, in.Name+"="+s)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// cut bounds a reason that may quote a hostile text.
func cut(s string) string {
	const most = 500
	if len(s) <= most {
		return s
	}
	s = s[:most]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
