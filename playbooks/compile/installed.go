package compile

import (
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// Installation is where a playbook shall run. Its checks come on top of those
// that hold everywhere, when a playbook is published.
type Installation struct {
	// Roles are the roles that somebody has, and OnCall the names of the on-call
	// lists. AnyRole and AnyDuty say that they are not known, or not asked.
	Roles            []string
	OnCall           []string
	AnyRole, AnyDuty bool
	// Unbound says why it is not clear which connector instance would serve an
	// action, and what to do; why is empty where one would, or where a handle among
	// the inputs says which.
	Unbound func(action string) (why, cure string)
}

// installable asks what only an installation can answer.
func (u *unit) installable() {
	in := u.installed
	if in == nil {
		return
	}
	told := map[string]bool{}
	served := func(a *spec.Action, at source.Span) {
		if a == nil || in.Unbound == nil || told[a.Name] {
			return
		}
		told[a.Name] = true
		if why, cure := in.Unbound(a.Name); why != "" {
			u.report("action-not-bound", at, cure, "%s", why)
		}
	}
	u.eachStep(func(st *ast.Step, i *info) {
		served(i.action, st.Body.Span())
		if st.UndoWith != nil {
			served(i.undoWith, st.UndoWith.Uses.Span())
		}
		if st.Approve != nil {
			u.reachable(st.Approve.From, "approve")
		}
		u.reachable(st.From, "answer")
	})
}

// has reports whether a role or duty is somebody's.
func (in *Installation) has(who string) bool {
	if name, duty := strings.CutPrefix(who, "oncall."); duty {
		return in.AnyDuty || slices.Contains(in.OnCall, name)
	}
	return in.AnyRole || slices.Contains(in.Roles, who)
}

// reachable wants every rung of a chain to have somebody on it.
func (u *unit) reachable(levels []*ast.Level, what string) {
	for _, l := range levels {
		somebody := len(l.Who) == 0
		for _, w := range l.Who {
			somebody = somebody || u.installed.has(w.String())
		}
		if somebody {
			continue
		}
		t := l.Who[0]
		known := slices.Clone(u.installed.Roles)
		for _, r := range u.installed.OnCall {
			known = append(known, "oncall."+r)
		}
		help := "give somebody the role, or ask others"
		if near := diag.Near(t.String(), known); near != "" {
			help = "did you mean " + near + "?"
		}
		u.report("nobody-can", t.Span(), help, "nobody can %s: no one has the role, and no on-call list has the name", what)
	}
}
