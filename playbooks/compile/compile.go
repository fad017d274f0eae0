package compile

import (
	"fmt"
	"slices"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/parse"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// Language is the version of the language that this compiler reads: the value
// of the key quell.
const Language = 1

// Catalogue is the set of actions that a playbook may use.
type Catalogue interface {
	// Action returns the action of a name.
	Action(name string) (spec.Action, bool)
	// Names lists all names; they are proposed where an unknown one is used.
	Names() []string
}

// Fixed is a catalogue of actions that do not change. It may be used from several
// goroutines.
type Fixed struct {
	actions map[string]spec.Action
	// relied is what plans keep of the actions.
	relied map[string]plan.Action
	names  []string
}

// NewFixed makes a catalogue. Of two actions of one name the first counts.
func NewFixed(actions ...spec.Action) *Fixed {
	f := &Fixed{actions: make(map[string]spec.Action, len(actions)), relied: make(map[string]plan.Action, len(actions))}
	for _, a := range actions {
		if _, ok := f.actions[a.Name]; !ok {
			f.actions[a.Name], f.relied[a.Name] = a, reliedOn(a)
			f.names = append(f.names, a.Name)
		}
	}
	return f
}

// Action implements Catalogue.
func (f *Fixed) Action(name string) (spec.Action, bool) { a, ok := f.actions[name]; return a, ok }

// Names implements Catalogue.
func (f *Fixed) Names() []string { return slices.Clone(f.names) }

// Options are what a playbook is compiled against.
type Options struct {
	Actions Catalogue
	// Playbooks are those that a call may name; nil where there are none.
	Playbooks Playbooks
	// Installed is where the playbook shall run; nil where it is checked on its
	// own.
	Installed *Installation
}

// stage is one named step of the compiler. A stage may rely on the stages
// before it having run, not on their having found nothing.
type stage struct {
	name string
	run  func(*unit)
}

// stages lists the compiler's stages in their order.
func stages() []stage {
	return []stage{
		// parse makes the tree; without one nothing else runs.
		{"parse", (*unit).parse},
		// resolve gives every step its id, path and action. It runs before types
		// because an expression may name a step in another phase.
		{"resolve", (*unit).resolve},
		// types walks the playbook in the order in which it runs, because what a
		// name means depends on what ran before; it drafts the plan.
		{"types", (*unit).types},
		// flow looks at what can be reached and what is used; it needs to know
		// which names the expressions read.
		{"flow", (*unit).flow},
		// safety looks at effects, holds and approvals in the typed draft.
		{"safety", (*unit).safety},
		// install asks what only an installation can answer, where one is given.
		{"install", (*unit).installable},
		// lower finishes the draft: what is read of each result, the actions, the
		// order of lists.
		{"lower", (*unit).lower},
	}
}

// unit is one compilation. Stages talk through its fields.
type unit struct {
	file    *source.File
	actions Catalogue
	session *session
	list    diag.List
	// installed is where the playbook shall run; nil where that is not asked.
	installed *Installation
	// entered says that the playbook stands on the session's stack.
	entered bool
	// knot is why the playbook's calls do not end.
	knot *knot

	tree *ast.Playbook
	// parsed is how many of the findings are about the text itself.
	parsed  int
	ids     map[string]*name
	infos   map[*ast.Step]*info
	order   []*name
	vars    map[string]*ast.Step
	checker *expr.Checker
	draft   *plan.Plan
	used    map[string]bool
	inputs  expr.Env
	// known are the actions that were looked up.
	known map[string]*spec.Action
	// over counts the ids whose steps the walk is past.
	over int
	// seen is what expressions see at a place, while seenAt ids are over.
	seen   map[sight]visible
	seenAt int
	// checked is what is known of each expression of the draft, by its index.
	checked []expr.Checked
	// loops are the expressions that a foreach goes over: their elements are read
	// through the loop's variable.
	loops map[plan.ExprRef]bool
	// handles are the names of handles that a playbook may write as a type.
	handles []string
	// bounds are the longest lengths of inputs, by path.
	bounds map[string]int
}

func newUnit(f *source.File, c Catalogue, s *session) *unit {
	return &unit{
		file: f, actions: c, session: s, ids: map[string]*name{}, infos: map[*ast.Step]*info{},
		vars: map[string]*ast.Step{}, used: map[string]bool{}, known: map[string]*spec.Action{}, loops: map[plan.ExprRef]bool{}, seen: map[sight]visible{},
		draft:   &plan.Plan{Format: plan.Format, Language: Language, Exprs: make([]plan.Expr, 0, 32)},
		checked: make([]expr.Checked, 0, 32),
	}
}

// Compile makes a plan of a playbook. The plan is nil exactly where the list
// has an error. It does not panic: a fault of the compiler is a diagnostic with
// the code internal.
func Compile(f *source.File, o Options) (*plan.Plan, diag.List) {
	u := newUnit(f, o.Actions, &session{playbooks: o.Playbooks, done: map[string]called{}})
	u.installed = o.Installed
	return u.compile()
}

func (u *unit) compile() (p *plan.Plan, list diag.List) {
	at := "start"
	defer func() {
		if r := recover(); r != nil {
			u.report("internal", u.file.Span(0, 0), "please report it with the playbook", "the compiler failed at stage %s: %v", at, r)
			p, list = nil, u.list.Sorted()
		}
	}()
	defer u.leave()
	for _, s := range stages() {
		at = s.name
		s.run(u)
		if u.tree == nil {
			break
		}
	}
	u.forget()
	list = u.silenced().Sorted()
	if list.HasErrors() {
		return nil, list
	}
	return u.draft, list
}

// forget takes back what may follow only from a mistake of YAML that was told.
func (u *unit) forget() {
	if u.tree == nil || u.tree.Damage == nil {
		return
	}
	found := slices.DeleteFunc(slices.Clone(u.list[u.parsed:]), func(d diag.Diagnostic) bool {
		return d.File == u.file && u.tree.Damage.Hides(u.file, d.Code, d.Span)
	})
	u.list = append(u.list[:u.parsed:u.parsed], found...)
}

func (u *unit) parse() {
	tree, list := parse.Parse(u.file)
	u.tree = tree
	u.list = append(u.list, list...)
	u.parsed = len(u.list)
	if tree != nil {
		u.session.stack, u.entered = append(u.session.stack, tree.Name.String()), true
	}
}

// leave takes the playbook off the session's stack.
func (u *unit) leave() {
	if u.entered {
		u.session.stack = u.session.stack[:len(u.session.stack)-1]
	}
	if u.checker != nil {
		u.checker.Close()
	}
}

func (u *unit) report(code string, at source.Span, help, format string, args ...any) {
	u.add(diag.Error, code, at, help, format, args...)
}

func (u *unit) warn(code string, at source.Span, help, format string, args ...any) {
	u.add(diag.Warning, code, at, help, format, args...)
}

func (u *unit) add(sev diag.Severity, code string, at source.Span, help, format string, args ...any) {
	u.list = append(u.list, diag.Diagnostic{
		Code: code, Severity: sev, File: u.file, Span: at, Help: help, Message: fmt.Sprintf(format, args...),
	})
}
