package compile

import (
	"slices"
	"strings"

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
)

// Installation is where a playbook shall run. Its checks come on top of those
// that hold everywhere, when a playbook is published.
type Installation struct {
	// Roles are the roles that somebody has, and OnCall the names of the on-call
	// lists.
	Roles  []string
	OnCall []string
	// Bound reports whether exactly one connector instance would serve an action,
	// or a handle among its inputs says which.
	Bound func(action string) bool
}

// installable asks what only an installation can answer.
func (u *unit) installable() {
	in := u.installed
	if in == nil {
		return
	}
	told := map[string]bool{}
	u.eachStep(func(st *ast.Step, i *info) {
		if a := i.action; a != nil && in.Bound != nil && !told[a.Name] && !in.Bound(a.Name) {
			told[a.Name] = true
			u.report("action-not-bound", st.Body.Span(), "bind one in the configuration: bindings: { "+a.Name+": INSTANCE }",
				"no connector instance, or more than one, serves %s", a.Name)
		}
		if st.Approve != nil {
			u.reachable(st.Approve.From, "approve")
		}
		u.reachable(st.From, "answer")
	})
}

// reachable wants every rung of a chain to have somebody on it.
func (u *unit) reachable(levels []*ast.Level, what string) {
	for _, l := range levels {
		somebody := len(l.Who) == 0
		for _, w := range l.Who {
			name, oncall := strings.CutPrefix(w.String(), "oncall.")
			known := u.installed.Roles
			if oncall {
				known = u.installed.OnCall
			}
			somebody = somebody || slices.Contains(known, name)
		}
		if somebody {
			continue
		}
		t := l.Who[0]
		var known []string
		for _, r := range u.installed.Roles {
			known = append(known, r)
		}
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
