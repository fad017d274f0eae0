package compile

import (
	"slices"

	"github.com/quell-soar/quell/playbooks/ast"
)

// eachStep visits every step in document order.
func (u *unit) eachStep(f func(*ast.Step, *info)) {
	var walk func([]*ast.Step)
	walk = func(steps []*ast.Step) {
		for _, st := range steps {
			if in := u.infos[st]; in != nil {
				f(st, in)
			}
			for _, inside := range st.Inside() {
				walk(inside)
			}
		}
	}
	for _, ph := range u.tree.Phases {
		walk(ph.Steps)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
