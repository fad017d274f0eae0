package playtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/parse"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/server/api"
)

// Case is one test of a playbook.
type Case struct {
	Name string
	Line int
	// Alert is what starts the run, as a value of alert.Type; nil where Inputs do.
	Alert    map[string]any
	Inputs   map[string]any
	Settings map[string]any
	// Mode is act, ask or observe.
	Mode  string
	Actor string
	// Now is when the run begins.
	Now time.Time
	// Opens is when calendars open; zero means that they are open.
	Opens time.Time
	// Answers are the scripted answers per action, in order; the last one stays.
	Answers map[string][]Answer
	People  []Say
	Expect  Expect
	// recorded are recorded answers, in place of Answers.
	recorded []api.RecordedAnswer
}

// Answer is one scripted answer of an action.
type Answer struct {
	// When limits it to calls with these inputs, as canonical JSON per name.
	When map[string]string
	// Value is the output; nil where the call fails or the output is made up.
	Value map[string]any
	// Error is the kind of a failure, Message its text.
	Error, Message string
	// Lost says of an effect that it happened and its answer did not come.
	Lost bool
	// Outcome is done, already, partial or refused; empty means done.
	Outcome string
	// After is how long the call takes in playbook time.
	After time.Duration
	// Times is how often it is given; 0 means once, and for the last one always.
	Times int
}

// Say is what a person says to a request, or that nobody does.
type Say struct {
	// Step is the id or path of the step that asks.
	Step string
	// Kind is approval, question, failure; empty means any.
	Kind string
	// Who says it; empty means the first who is asked.
	Who string
	// Says is approve, deny, silent, answer or one of the choices of a failure.
	Says   string
	Answer []byte
	After  time.Duration
	Why    string
}

// Asked is a request that a test expects.
type Asked struct {
	Step, Kind, Decided string
	Who                 []string
	Line                int
}

// Deed is an effect that a test expects: an action and its targets. Targets is nil
// where any will do.
type Deed struct {
	Action  string
	Targets []string
}

func (d Deed) String() string {
	switch len(d.Targets) {
	case 0:
		return d.Action
	case 1:
		return "{ " + d.Action + ": " + d.Targets[0] + " }"
	}
	return "{ " + d.Action + ": [" + strings.Join(d.Targets, ", ") + "] }"
}

// Expect is what a test expects; a nil part is not looked at.
type Expect struct {
	Line     int
	Closing  string
	Reason   string
	Effects  []Deed
	InForce  []Deed
	Never    []string
	Asked    []Asked
	Outcomes map[string]string
	Calls    map[string]int
	Reports  []string
	Notes    []string
	Outputs  map[string]any
	Holds    []string
	AtLeast  time.Duration
	AtMost   time.Duration
	has      map[string]bool
}

// reader reads a test file against the plan that it tests.
type reader struct {
	file *source.File
	plan *plan.Plan
	list diag.List
	ids  map[string]string // id or path to path
	// known are the handles with facts of the answers read so far, by type and id:
	// people name them by their id.
	known map[string]kind.Handle
}

// Read reads the tests of a playbook. The list holds mistakes at line and
// column; where it has errors the cases are not to be played. The map gives the
// mutants that need not be noticed, by name, and why.
func Read(f *source.File, p *plan.Plan) ([]Case, map[string]string, diag.List) {
	root, list := parse.Data(f)
	r := &reader{file: f, plan: p, list: list, ids: map[string]string{}, known: map[string]kind.Handle{}}
	walk(p, func(st *plan.Step) {
		r.ids[st.Path] = st.Path
		if st.ID != "" {
			r.ids[st.ID] = st.Path
		}
	})
	if root == nil {
		return nil, nil, r.list
	}
	top := r.object(root, "a test file", "defaults", "accepted", "tests")
	var base Case
	if d := top["defaults"]; d != nil {
		base = r.test(d, Case{Mode: "act"}, true)
	} else {
		base = Case{Mode: "act"}
	}
	if base.Now.IsZero() {
		base.Now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	}
	if base.Actor == "" {
		base.Actor = "ann"
	}
	tests := top["tests"]
	if tests == nil || !tests.IsList {
		r.bad("missing-key", root.Span, "a test file has a list\n  tests:\n    - name: …", "the file has no list of tests")
		return nil, nil, r.list
	}
	var out []Case
	names := map[string]bool{}
	for _, t := range tests.List {
		c := r.test(t, base, false)
		if c.Name == "" {
			r.bad("missing-key", t.Span, "give it a name:", "a test has no name")
		} else if names[c.Name] {
			r.bad("duplicate-id", t.Span, "choose another name", "two tests are named %s", c.Name)
		}
		names[c.Name] = true
		out = append(out, c)
	}
	return out, r.accepted(top["accepted"]), r.list
}

// accepted reads the mutants that need not be noticed.
func (r *reader) accepted(v *ast.Value) map[string]string {
	out := map[string]string{}
	if v == nil {
		return out
	}
	for _, e := range list(v) {
		m := r.object(e, "an accepted mutant", "mutant", "because")
		if m["mutant"] == nil || m["because"] == nil {
			r.bad("missing-key", e.Span, "write mutant: and because:", "an accepted mutant has its name and a reason")
			continue
		}
		out[r.text(m["mutant"])] = r.text(m["because"])
	}
	return out
}

// walk visits every step of a plan in the order in which it is written.
func walk(p *plan.Plan, visit func(*plan.Step)) {
	var in func([]plan.Step)
	in = func(steps []plan.Step) {
		for i := range steps {
			visit(&steps[i])
			for _, l := range steps[i].Inside() {
				in(l)
			}
		}
	}
	for i := range p.Phases {
		in(p.Phases[i].Steps)
	}
}

func (r *reader) bad(code string, at source.Span, help, format string, args ...any) {
	r.list = append(r.list, diag.Diagnostic{Code: code, Severity: diag.Error, File: r.file, Span: at, Message: fmt.Sprintf(format, args...), Help: help})
}

// object reads a map with known keys.
func (r *reader) object(v *ast.Value, what string, keys ...string) map[string]*ast.Value {
	out := map[string]*ast.Value{}
	if !v.IsMap {
		r.bad("wrong-shape", v.Span, "", "%s must be a map of keys and values", what)
		return out
	}
	for _, n := range v.Map {
		if !slices.Contains(keys, n.Name.String()) {
			r.unknown("unknown-key", n.Name.Span(), what+" has no key "+n.Name.String(), n.Name.String(), keys)
			continue
		}
		out[n.Name.String()] = n.Value
	}
	return out
}

func (r *reader) unknown(code string, at source.Span, message, name string, known []string) {
	help := "there are " + strings.Join(known, ", ")
	if near := diag.Near(name, known); near != "" {
		help = "did you mean " + near + "?"
	}
	r.bad(code, at, help, "%s", message)
}

func (r *reader) text(v *ast.Value) string {
	if v == nil {
		return ""
	}
	if v.IsList || v.IsMap {
		r.bad("wrong-shape", v.Span, "", "a text must stand here")
		return ""
	}
	return v.Text.String()
}

func (r *reader) oneOf(v *ast.Value, choices ...string) string {
	s := r.text(v)
	if v != nil && !slices.Contains(choices, s) {
		r.unknown("bad-value", v.Span, s+" cannot stand here", s, choices)
	}
	return s
}

func (r *reader) texts(v *ast.Value) []string {
	if v == nil {
		return nil
	}
	if !v.IsList {
		return []string{r.text(v)}
	}
	out := []string{}
	for _, e := range v.List {
		out = append(out, r.text(e))
	}
	return out
}

func (r *reader) duration(v *ast.Value) time.Duration {
	if v == nil {
		return 0
	}
	d, _ := r.typed(v, kind.Of(kind.Duration)).(time.Duration)
	return d
}

func (r *reader) step(v *ast.Value) string {
	s := r.text(v)
	if v == nil {
		return ""
	}
	path, ok := r.ids[s]
	if !ok {
		var known []string
		walk(r.plan, func(st *plan.Step) {
			if st.ID != "" {
				known = append(known, st.ID)
			}
		})
		r.unknown("unknown-step", v.Span, "the playbook has no step "+s, s, known)
	}
	return path
}

// typed reads a value by a type, as a literal of a playbook is read. A handle is
// written as its label, which is its id too, or as {id, label} with its facts.
func (r *reader) typed(v *ast.Value, t kind.Type) any {
	switch {
	case t.Kind == kind.List && v.IsList:
		out := make([]any, len(v.List))
		for i, e := range v.List {
			out[i] = r.typed(e, *t.Elem)
		}
		return out
	case t.Kind == kind.Map && v.IsMap:
		out := map[string]any{}
		for _, n := range v.Map {
			out[n.Name.String()] = r.typed(n.Value, *t.Elem)
		}
		return out
	case t.Kind == kind.Record && v.IsMap:
		return r.record(v, t.Fields, false)
	case t.Kind == kind.Handled:
		return r.handle(v, t)
	case v.IsList || v.IsMap || t.Kind == kind.List || t.Kind == kind.Map || t.Kind == kind.Record:
		r.bad("wrong-type", v.Span, "", "a value of type %s must stand here", t)
		return nil
	}
	x, err := kind.Parse(t, v.Text.String())
	if err != nil {
		r.bad("wrong-type", v.Span, "", "%v", err)
		return nil
	}
	return x
}

// record reads the fields of a record; some says that required ones may be left
// out.
func (r *reader) record(v *ast.Value, fields []kind.Field, some bool) map[string]any {
	out := map[string]any{}
	if !v.IsMap {
		r.bad("wrong-shape", v.Span, "", "a map of keys and values must stand here")
		return out
	}
	var known []string
	for _, f := range fields {
		known = append(known, f.Name)
	}
	for _, n := range v.Map {
		i := slices.Index(known, n.Name.String())
		if i < 0 {
			r.unknown("unknown-field", n.Name.Span(), "there is no field "+n.Name.String(), n.Name.String(), known)
			continue
		}
		out[n.Name.String()] = r.typed(n.Value, fields[i].Type)
	}
	if !some {
		r.missing(v, fields, out)
	}
	return out
}

// missing reports the fields that a record lacks, in one finding.
func (r *reader) missing(v *ast.Value, fields []kind.Field, given map[string]any) {
	var names, typed []string
	for _, f := range fields {
		if _, ok := given[f.Name]; !ok && !f.Optional {
			names, typed = append(names, f.Name), append(typed, f.Name+": "+f.Type.String())
		}
	}
	switch len(names) {
	case 0:
	case 1:
		r.bad("missing-key", v.Span, "write "+typed[0], "the field %s is missing", names[0])
	default:
		r.bad("missing-key", v.Span, "write "+strings.Join(typed, ", "), "the fields %s are missing", strings.Join(names, ", "))
	}
}

func (r *reader) handle(v *ast.Value, t kind.Type) any {
	h := kind.Handle{Name: t.Name, Instance: Instance}
	if !v.IsMap {
		h.ID = r.text(v)
		h.Label = h.ID
		if k, ok := r.known[t.Name+" "+h.ID]; ok {
			return k
		}
		return h
	}
	facts := kind.Facts(t.Name)
	fields := append([]kind.Field{{Name: "id", Type: kind.Of(kind.String)}, {Name: "label", Type: kind.Of(kind.String), Optional: true}}, facts...)
	told := len(r.list)
	m := r.record(v, fields, false)
	h.ID, _ = m["id"].(string)
	if h.Label, _ = m["label"].(string); h.Label == "" {
		h.Label = h.ID
	}
	delete(m, "id")
	delete(m, "label")
	if len(facts) == 0 || len(r.list) > told {
		return h
	}
	h, err := h.WithFacts(m)
	if err != nil {
		r.bad("wrong-type", v.Span, "", "%v", err)
	}
	r.known[t.Name+" "+h.ID] = h
	return h
}

func (r *reader) action(n ast.Text) (spec.Action, bool) {
	a, ok := r.plan.ActionSpec(n.String())
	if ok {
		return a, true
	}
	if inv, known := inverse(r.plan, n.String()); known {
		return inv, true
	}
	var names []string
	for _, a := range r.plan.Actions {
		names = append(names, a.Name)
	}
	r.unknown("unknown-action", n.Span(), "the playbook does not use "+n.String(), n.String(), names)
	return a, false
}
