package playtest

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/plan"
)

// inverse is the spec of an action that takes an action of the plan back.
func inverse(p *plan.Plan, name string) (spec.Action, bool) {
	for _, a := range p.Actions {
		if a.Spec.Inverse == name {
			return vocabulary.Lookup(name)
		}
	}
	return spec.Action{}, false
}

// test reads one test over the defaults of the file. What a test says of an
// action or of people replaces what the defaults say.
func (r *reader) test(v *ast.Value, base Case, defaults bool) Case {
	c := base
	c.Line = v.Span.Start.Line
	c.Answers = maps.Clone(base.Answers)
	if c.Answers == nil {
		c.Answers = map[string][]Answer{}
	}
	keys := []string{"alert", "inputs", "settings", "mode", "actor", "now", "opens", "answers", "people"}
	if !defaults {
		keys = append(keys, "name", "expect")
	}
	m := r.object(v, "a test", keys...)
	c.Name = r.text(m["name"])
	if m["mode"] != nil {
		c.Mode = r.oneOf(m["mode"], "act", "ask", "observe")
	}
	if m["actor"] != nil {
		c.Actor = r.text(m["actor"])
	}
	if m["now"] != nil {
		c.Now, _ = r.typed(m["now"], kind.Of(kind.Timestamp)).(time.Time)
	}
	if m["opens"] != nil {
		c.Opens, _ = r.typed(m["opens"], kind.Of(kind.Timestamp)).(time.Time)
	}
	if a := m["alert"]; a != nil {
		c.Alert, c.Inputs = r.alert(a, c.Now), nil
	}
	if in := m["inputs"]; in != nil {
		c.Alert, c.Inputs = nil, r.record(in, inputFields(r.plan), true)
	}
	if s := m["settings"]; s != nil {
		c.Settings = r.record(s, settingFields(r.plan), true)
	}
	if a := m["answers"]; a != nil {
		r.answers(a, c.Answers)
	}
	if p := m["people"]; p != nil {
		c.People = r.people(p)
	}
	if e := m["expect"]; e != nil {
		c.Expect = r.expect(e)
	} else if !defaults {
		r.bad("missing-key", v.Span, "say what shall come of it:\n  expect:\n    closing: completed", "the test expects nothing")
	}
	return c
}

// people reads what people say: a list, since who is asked twice may say two
// things. A map of steps is a usual mistake.
func (r *reader) people(v *ast.Value) []Say {
	if v.IsMap && (len(v.Map) == 0 || !slices.ContainsFunc(v.Map, func(n ast.Named) bool { return slices.Contains(sayKeys, n.Name.String()) })) {
		said := "step: lock, says: approve"
		if len(v.Map) > 0 {
			said = r.saying(v.Map[0].Name.String())
		}
		r.bad("wrong-shape", v.Span, "write a line for each step that asks:\n  people:\n    - { "+said+" }",
			"people must be a list; found a map")
		return nil
	}
	var out []Say
	for _, e := range list(v) {
		out = append(out, r.say(e))
	}
	return out
}

// saying is how a person answers what a step asks.
func (r *reader) saying(id string) string {
	says := "says: approve"
	walk(r.plan, func(st *plan.Step) {
		if st.ID != id || st.People == nil {
			return
		}
		says = "says: done"
		if f := st.People.Fields; len(f) > 0 {
			says = "answer: { " + f[0].Name + ": … }"
		}
	})
	return "step: " + id + ", " + says
}

func list(v *ast.Value) []*ast.Value {
	if v.IsList {
		return v.List
	}
	return []*ast.Value{v}
}

func inputFields(p *plan.Plan) []kind.Field {
	var out []kind.Field
	for _, i := range p.Inputs {
		out = append(out, kind.Field{Name: i.Name, Type: i.Type, Optional: i.Default != nil})
	}
	return out
}

func settingFields(p *plan.Plan) []kind.Field {
	var out []kind.Field
	for _, s := range p.Settings {
		out = append(out, kind.Field{Name: s.Name, Type: s.Type, Optional: true})
	}
	return out
}

// alert reads an alert; what is left out of its frame is filled in.
func (r *reader) alert(v *ast.Value, now time.Time) map[string]any {
	if now.IsZero() {
		now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	}
	m := r.record(v, alert.Type().Fields, true)
	for name, x := range map[string]any{"id": "alert-1", "source": "test", "kind": "detection", "title": "test", "severity": "high", "occurred": now, "received": now} {
		if _, ok := m[name]; !ok {
			m[name] = x
		}
	}
	for _, f := range alert.Type().Fields {
		if _, ok := m[f.Name]; !ok && f.Type.Kind == kind.List {
			m[f.Name] = []any{}
		}
	}
	return m
}

func (r *reader) answers(v *ast.Value, into map[string][]Answer) {
	if !v.IsMap {
		r.bad("wrong-shape", v.Span, "", "answers must be a map of actions")
		return
	}
	for _, n := range v.Map {
		a, ok := r.action(n.Name)
		if !ok {
			continue
		}
		var all []Answer
		for _, e := range list(n.Value) {
			all = append(all, r.answer(e, a))
		}
		into[a.Name] = all
	}
}

// errorKinds are the kinds in which a call can fail.
func errorKinds() []string {
	var out []string
	for _, k := range []spec.ErrorKind{spec.Auth, spec.Permission, spec.NotFound, spec.Ambiguous, spec.Invalid, spec.Conflict, spec.RateLimited, spec.Transient, spec.Unavailable, spec.Uncertain, spec.Internal} {
		out = append(out, string(k))
	}
	return append(out, "timeout")
}

// answerKeys are the keys of an answer; what the action gives stands under value.
var answerKeys = []string{"when", "value", "error", "message", "lost", "outcome", "after", "times"}

// bareValue reports an answer that is the action's result itself, which stands
// under value: one finding, whatever fields it has.
func (r *reader) bareValue(v *ast.Value, a spec.Action) bool {
	for _, n := range v.Map {
		name := n.Name.String()
		if slices.Contains(answerKeys, name) || !slices.ContainsFunc(a.Outputs, func(f kind.Field) bool { return f.Name == name }) {
			continue
		}
		help := "write value: { " + name + ": … }"
		if strings.Contains(r.file.Text(v.Span), "\n") {
			help = "write it deeper, below `value:`"
		}
		r.bad("unknown-key", n.Name.Span(), help, "%s is what %s gives: it belongs under value", name, a.Name)
		return true
	}
	return false
}

func (r *reader) answer(v *ast.Value, a spec.Action) Answer {
	if r.bareValue(v, a) {
		return Answer{}
	}
	m := r.object(v, "an answer", answerKeys...)
	out := Answer{Message: r.text(m["message"]), After: r.duration(m["after"])}
	if w := m["when"]; w != nil {
		out.When = map[string]string{}
		for name, x := range r.record(w, a.Inputs, true) {
			out.When[name] = comparable(x)
		}
	}
	if x := m["value"]; x != nil {
		out.Value = r.record(x, a.Outputs, true)
	}
	if m["error"] != nil {
		out.Error = r.oneOf(m["error"], errorKinds()...)
	}
	out.Lost = m["lost"] != nil && r.oneOf(m["lost"], "true", "false") == "true"
	if m["outcome"] != nil {
		out.Outcome = r.oneOf(m["outcome"], "done", "already", "partial", "refused")
	}
	if (out.Lost || out.Outcome != "") && !a.Effect() {
		r.bad("bad-value", v.Span, "a read has a value or an error", "%s is a read", a.Name)
	}
	if t := m["times"]; t != nil {
		out.Times, _ = strconv.Atoi(r.text(t))
		if out.Times < 1 {
			r.bad("bad-value", t.Span, "", "times must be a number from 1")
		}
	}
	return out
}

// comparable is a value as text, the same for equal values; a handle counts by
// its id.
func comparable(x any) string {
	if h, ok := x.(kind.Handle); ok {
		return h.ID
	}
	raw, err := kind.Canonical(x)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

var sayKeys = []string{"step", "kind", "who", "says", "answer", "after", "why"}

func (r *reader) say(v *ast.Value) Say {
	if !v.IsMap {
		r.bad("wrong-shape", v.Span, "write { step: ID, says: approve }, or answer: { … }", "what a person says must be a map of keys and values")
		return Say{}
	}
	m := r.object(v, "what a person says", sayKeys...)
	s := Say{Step: r.step(m["step"]), Who: r.text(m["who"]), After: r.duration(m["after"]), Why: r.text(m["why"])}
	if m["kind"] != nil {
		s.Kind = r.oneOf(m["kind"], "approval", "question", "failure")
	}
	if m["step"] == nil {
		r.bad("missing-key", v.Span, "", "the step that asks is missing")
	}
	switch {
	case m["answer"] != nil:
		s.Says = "answer"
		s.Answer = r.fields(m["answer"], s.Step)
	case m["says"] != nil:
		s.Says = r.oneOf(m["says"], "approve", "deny", "silent", "retry", "skip", "by_hand", "stop", "done", "not_done")
	default:
		r.bad("missing-key", v.Span, "write says: approve, deny, silent, or answer: {…}", "it is missing what they say")
	}
	return s
}

// fields reads an answer by the fields that the step asks for.
func (r *reader) fields(v *ast.Value, path string) []byte {
	var rec []kind.Field
	walk(r.plan, func(st *plan.Step) {
		if st.Path != path || st.People == nil {
			return
		}
		for _, f := range st.People.Fields {
			rec = append(rec, kind.Field{Name: f.Name, Type: f.Type, Optional: f.Default != nil})
		}
		if len(rec) == 0 {
			rec = []kind.Field{{Name: "done", Type: kind.Of(kind.Boolean), Optional: true}, {Name: "why", Type: kind.Of(kind.String), Optional: true}}
		}
	})
	raw, err := kind.Canonical(r.record(v, rec, true))
	if err != nil {
		r.bad("wrong-type", v.Span, "", "%v", err)
	}
	return raw
}

// Closings are the ways in which a run ends as its author declared.
var closings = []string{"completed", "true_positive", "benign", "false_positive", "duplicate", "failed", "denied", "cancelled"}

func (r *reader) expect(v *ast.Value) Expect {
	m := r.object(v, "expect", "closing", "reason", "effects", "in_force", "never", "asked", "outcomes", "calls", "reports", "notes", "outputs", "holds", "takes")
	e := Expect{Line: v.Span.Start.Line, Reason: r.text(m["reason"]), has: map[string]bool{}}
	for k := range m {
		e.has[k] = true
	}
	if len(m) == 0 && v.IsMap {
		r.bad("empty-value", v.Span, "", "the test expects nothing")
	}
	if m["closing"] != nil {
		e.Closing = r.oneOf(m["closing"], closings...)
	}
	e.Effects, e.InForce = r.deeds(m["effects"]), r.deeds(m["in_force"])
	if n := m["never"]; n != nil {
		for _, a := range list(n) {
			r.action(a.Text)
			e.Never = append(e.Never, r.text(a))
		}
	}
	if a := m["asked"]; a != nil {
		for _, q := range list(a) {
			e.Asked = append(e.Asked, r.asked(q))
		}
	}
	if o := m["outcomes"]; o != nil {
		e.Outcomes = map[string]string{}
		for _, n := range o.Map {
			e.Outcomes[r.step(&ast.Value{Text: n.Name, Span: n.Name.Span()})] = r.text(n.Value)
		}
	}
	if c := m["calls"]; c != nil {
		e.Calls = map[string]int{}
		for _, n := range c.Map {
			r.action(n.Name)
			e.Calls[n.Name.String()] = int(asInt(r.typed(n.Value, kind.Of(kind.Int))))
		}
	}
	e.Reports, e.Notes = r.texts(m["reports"]), r.texts(m["notes"])
	if h := m["holds"]; h != nil {
		for _, x := range list(h) {
			e.Holds = append(e.Holds, r.hold(x))
		}
	}
	if o := m["outputs"]; o != nil {
		var fields []kind.Field
		for _, x := range r.plan.Outputs {
			fields = append(fields, kind.Field{Name: x.Name, Type: x.Value.Type, Optional: true})
		}
		e.Outputs = r.record(o, fields, true)
	}
	if t := m["takes"]; t != nil {
		b := r.object(t, "takes", "at_least", "at_most")
		e.AtLeast, e.AtMost = r.duration(b["at_least"]), r.duration(b["at_most"])
	}
	return e
}

// hold reads "isolate 24h ask" and writes the time in its one form.
func (r *reader) hold(v *ast.Value) string {
	parts := strings.Fields(r.text(v))
	if len(parts) != 3 {
		r.bad("bad-value", v.Span, "write the step, the time and what then: isolate 24h ask", "a hold has three words")
		return ""
	}
	d, err := kind.ParseDuration(parts[1])
	if err != nil {
		r.bad("wrong-type", v.Span, "", "%v", err)
	}
	return parts[0] + " " + kind.FormatDuration(d) + " " + parts[2]
}

func asInt(x any) int64 { n, _ := x.(int64); return n }

// deeds reads a list of effects: an action's name, or {action: target or list}.
func (r *reader) deeds(v *ast.Value) []Deed {
	if v == nil {
		return nil
	}
	out := []Deed{}
	for _, e := range list(v) {
		if !e.IsMap {
			r.action(e.Text)
			out = append(out, Deed{Action: r.text(e)})
			continue
		}
		for _, n := range e.Map {
			r.action(n.Name)
			out = append(out, Deed{Action: n.Name.String(), Targets: r.texts(n.Value)})
		}
	}
	return out
}

func (r *reader) asked(v *ast.Value) Asked {
	if !v.IsMap {
		step := "lock"
		if v.Text.Given() {
			step = v.Text.String()
		}
		r.bad("wrong-shape", v.Span, "write { step: "+step+" }, and if it matters kind, who, decided", "a request that is expected must be a map")
		return Asked{}
	}
	m := r.object(v, "a request", "step", "kind", "who", "decided")
	a := Asked{Step: r.step(m["step"]), Who: r.texts(m["who"]), Line: v.Span.Start.Line}
	if m["kind"] != nil {
		a.Kind = r.oneOf(m["kind"], "approval", "question", "failure")
	}
	if m["decided"] != nil {
		a.Decided = r.oneOf(m["decided"], "approved", "denied", "expired", "withdrawn")
	}
	return a
}

func joined(list []string) string { return strings.Join(list, ", ") }
