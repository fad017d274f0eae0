package compile

import (
	"fmt"

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

// Options are what a playbook is compiled against.
type Options struct {
	Actions Catalogue
}

// stage is one named step of the compiler. A stage may rely on the stages
// before it having run, not on their having found nothing.
type stage struct {
	name string
	run  func(*unit)
}

// stages lists the compiler's stages in their order.
var stages = []stage{
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
	// lower finishes the draft: what is read of each result, the actions, the
	// order of lists.
	{"lower", (*unit).lower},
}

// unit is one compilation. Stages talk through its fields.
type unit struct {
	file    *source.File
	actions Catalogue
	list    diag.List

	tree    *ast.Playbook
	ids     map[string]*name
	infos   map[*ast.Step]*info
	order   []*name
	vars    map[string]*ast.Step
	checker *expr.Checker
	draft   *plan.Plan
	used    map[string]bool
	paths   [][]string
	inputs  expr.Env
}

// Compile makes a plan of a playbook. The plan is nil exactly where the list
// has an error. It does not panic: a fault of the compiler is a diagnostic with
// the code internal.
func Compile(f *source.File, o Options) (p *plan.Plan, list diag.List) {
	u := &unit{
		file: f, actions: o.Actions, ids: map[string]*name{}, infos: map[*ast.Step]*info{},
		vars: map[string]*ast.Step{}, used: map[string]bool{}, draft: &plan.Plan{Format: plan.Format, Language: Language},
	}
	at := "start"
	defer func() {
		if r := recover(); r != nil {
			u.report("internal", f.Span(0, 0), "please report it with the playbook", "the compiler failed at stage %s: %v", at, r)
			p, list = nil, u.list.Sorted()
		}
	}()
	for _, s := range stages {
		at = s.name
		s.run(u)
		if u.tree == nil {
			break
		}
	}
	list = u.silenced().Sorted()
	if list.HasErrors() {
		return nil, list
	}
	return u.draft, list
}

func (u *unit) parse() {
	tree, list := parse.Parse(u.file)
	u.tree = tree
	u.list = append(u.list, list...)
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
