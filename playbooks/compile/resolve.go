package compile

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// name is an id of a step as expressions know it.
type name struct {
	id   string
	step *ast.Step
	info *info
	// place counts steps in document order.
	place int
	// typ is the type of steps.ID, set by the stage types.
	typ kind.Type
	// hasResult is false for steps that have only an outcome.
	hasResult bool
	// done is set once the walk of types is past the step.
	done bool
}

// info is what the compiler knows of a step besides what was written.
type info struct {
	path   string
	phase  plan.PhaseName
	counts plan.PhaseName
	parent *info
	step   *ast.Step
	action *spec.Action
	// child is the playbook that a call runs; nil where it does not compile.
	child *child
	// undoWith is the action of undo_with.
	undoWith *spec.Action
	// drafted is the step of the plan draft; safety reads it.
	drafted *plan.Step
	// branch tells the cases of a switch and the branches of a parallel apart:
	// steps of one share it.
	branch int
}

// loops reports whether the step repeats what is in it.
func (i *info) loops() bool { return i.step.Foreach.Given() || i.step.Repeat != nil }

// loop is the innermost loop around a step, nil at the top.
func (i *info) loop() *info {
	for p := i.parent; p != nil; p = p.parent {
		if p.loops() {
			return p
		}
	}
	return nil
}

// within reports whether the step stands inside another.
func (i *info) within(o *info) bool {
	for p := i; p != nil; p = p.parent {
		if p == o {
			return true
		}
	}
	return false
}

var (
	idForm       = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	playbookForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
)

// reserved are CEL's own words.
var reserved = []string{
	"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let",
	"loop", "namespace", "null", "package", "return", "true", "var", "void", "while",
}

// celWords cannot be ids: CEL reads them otherwise.
var celWords = []string{
	"list", "bytes", "uint", "dyn", "null_type", "bool", "severity", "criticality", "cidr", "domain", "hash", "json",
}

// roundFields stand in the record of a round beside the ids in it.
var roundFields = []string{"item", "index", "ok", "error", "out", "effect"}

// badField says why a text cannot name an input or a field of a value, which
// expressions read behind a dot.
func badField(s string) (problem, help string) {
	if idForm.MatchString(s) && len(s) <= 64 && !slices.Contains(reserved, s) {
		return "", ""
	}
	return badID(s)
}

// badID says why a text cannot name a step or a variable.
func badID(s string) (problem, help string) {
	switch {
	case !idForm.MatchString(s):
		return "is not a name", "names are small letters, digits and _, and begin with a letter"
	case slices.Contains(reserved, s) || slices.Contains(celWords, s) || slices.Contains(expr.Roots(), s):
		return "is a word of the language", "choose another name"
	case len(s) > 64:
		return "is longer than 64 characters", "choose a shorter name"
	}
	return "", ""
}

func (u *unit) resolve() {
	u.header()
	for _, ph := range u.tree.Phases {
		phase := plan.PhaseName(ph.Name.String())
		u.resolveSteps(ph.Steps, string(phase), phase, nil, 0)
	}
}

func (u *unit) header() {
	t := u.tree
	u.required("quell", t.Version)
	if t.Version.Given() && t.Version.String() != strconv.Itoa(Language) {
		u.report("language-version", t.Version.Span(), "this build reads `quell: 1`", "there is no version %s of the language", t.Version)
	}
	u.required("playbook", t.Name)
	if s := t.Name.String(); t.Name.Given() && (!playbookForm.MatchString(s) || len(s) > 64) {
		u.report("bad-name", t.Name.Span(), "write small letters, digits and single dashes, at most 64", "%s is not a name of a playbook", s)
	}
	u.draft.Playbook, u.draft.Title, u.draft.Owner = t.Name.String(), t.Title.String(), t.Owner.String()
	if u.draft.Title == "" {
		u.draft.Title = u.draft.Playbook
	}
	for _, tag := range t.Tags {
		u.draft.Tags = append(u.draft.Tags, tag.String())
	}
	if len(t.Phases) == 0 {
		u.report("no-steps", t.Span, "write at least one of triage, contain, eradicate, recover, review", "the playbook has no steps")
	}
}

func (u *unit) required(key string, t ast.Text) {
	if !t.Given() {
		at := u.file.Span(u.tree.Span.Start.Offset, u.tree.Span.Start.Offset)
		u.report("missing-key", at, "write `"+key+": …`", "the playbook has no key %s", key)
	}
}

// resolveSteps gives steps their paths: the phase and the ids on the way, an
// index where there is no id.
func (u *unit) resolveSteps(steps []*ast.Step, prefix string, phase plan.PhaseName, parent *info, branch int) {
	for i, st := range steps {
		in := &info{phase: phase, counts: phase, parent: parent, step: st, branch: branch}
		own := strconv.Itoa(i)
		if st.ID.Given() && u.claim(st, in) {
			own = st.ID.String()
		}
		if st.Phase.Given() {
			in.counts = u.phaseOf(st)
		} else if parent != nil {
			in.counts = parent.counts
		}
		in.path = prefix + "." + own
		u.infos[st] = in
		switch {
		case st.Kind.String() == "uses" && st.Body.Given():
			in.action = u.resolveAction(st.Body)
		case st.Kind.String() == "call" && st.Body.Given():
			in.child = u.resolveCall(st)
		}
		u.resolveSteps(st.Do, in.path, phase, in, 0)
		for n, b := range st.Branches {
			u.resolveSteps(b.Steps, in.path+"."+b.Name.String(), phase, in, n+1)
		}
		for n, c := range st.Cases {
			u.resolveSteps(c.Steps, in.path+".case"+strconv.Itoa(n), phase, in, n+1)
		}
		u.resolveSteps(st.Default, in.path+".default", phase, in, -1)
	}
}

func (u *unit) phaseOf(st *ast.Step) plan.PhaseName {
	name := plan.PhaseName(st.Phase.String())
	if !slices.Contains(plan.PhaseOrder(), name) {
		u.enumProblem(st.Phase, "phase", "triage", "contain", "eradicate", "recover", "review")
	}
	return name
}

// claim registers an id; it reports false where the id cannot be used.
func (u *unit) claim(st *ast.Step, in *info) bool {
	id := st.ID.String()
	if problem, help := badID(id); problem != "" {
		u.report("bad-id", st.ID.Span(), help, "%s %s", id, problem)
		return false
	}
	if slices.Contains(roundFields, id) && in.loop() != nil {
		u.report("bad-id", st.ID.Span(), "choose another name", "%s is a field of every round of the loop around it", id)
		return false
	}
	if first, ok := u.ids[id]; ok {
		u.list = append(u.list, diag.Diagnostic{
			Code: "duplicate-id", Severity: diag.Error, File: u.file, Span: st.ID.Span(),
			Message: "the id " + id + " stands twice", Help: "ids are unique in the file",
			Related: []diag.Related{{Span: first.step.ID.Span(), Message: "it stands here first"}},
		})
		return false
	}
	n := &name{id: id, step: st, info: in, place: len(u.order)}
	u.ids[id] = n
	u.order = append(u.order, n)
	return true
}

// resolveAction finds an action by its name; nil where there is none.
func (u *unit) resolveAction(t ast.Text) *spec.Action {
	action, ok := u.action(t.String())
	if !ok {
		help := "see `quell connector actions` for what there is"
		if near := diag.Near(t.String(), u.actions.Names()); near != "" {
			help = "did you mean " + near + "?"
		}
		u.report("unknown-action", t.Span(), help, "there is no action %s", t)
		return nil
	}
	return &action
}

// action looks an action up once.
func (u *unit) action(name string) (spec.Action, bool) {
	if a, ok := u.known[name]; ok {
		return *a, true
	}
	a, ok := u.actions.Action(name)
	if ok {
		u.known[name] = &a
	}
	return a, ok
}
