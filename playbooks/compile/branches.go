package compile

import (
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/plan"
)

// parallel drafts the branches of a parallel. What one of them proves present is
// known in it only.
func (u *unit) parallel(st *ast.Step, p *place, out *plan.Step) {
	body := &plan.ParallelBody{First: u.oneOf(st.First, "first", "false", "true", "false") == "true"}
	out.Fork = body
	if len(st.Branches) < 2 {
		u.report("empty-block", st.Kind.Span(), "write two branches or more: parallel: { a: [ … ], b: [ … ] }", "parallel has fewer than two branches")
	}
	for _, b := range st.Branches {
		if problem, help := badID(b.Name.String()); problem != "" {
			u.report("bad-id", b.Name.Span(), help, "%s %s", b.Name, problem)
		}
		body.Branches = append(body.Branches, plan.Branch{Name: b.Name.String(), Steps: u.block(b.Steps, b.Name, "the branch", p)})
	}
	if body.First {
		u.onlyReads(st)
	}
}

// onlyReads refuses in a parallel that ends with its first branch whatever is
// more than looking and waiting: nobody could say how far the others came.
func (u *unit) onlyReads(st *ast.Step) {
	for _, list := range st.Inside() {
		for _, s := range list {
			in := u.infos[s]
			switch s.Kind.String() {
			case "uses":
				if in.action != nil && in.action.Effect() {
					u.report("first-acts", s.Body.Span(), "leave first out, or act behind the parallel",
						"a branch of a parallel with first may be cut short, and %s is an effect", in.action.Name)
				}
			case "do", "switch", "parallel", "set", "wait", "":
				u.onlyReads(s)
			default:
				u.report("first-acts", s.Kind.Span(), "leave first out, or write the step behind the parallel",
					"a branch of a parallel with first may be cut short, and holds only reads and waits")
			}
		}
	}
}

// choose types a switch: its keys must be values that it can have, and cover
// all of them where there is no default.
func (u *unit) choose(st *ast.Step, p *place, out *plan.Step) {
	body := &plan.SwitchBody{HasDefault: st.DefaultKey.Given()}
	out.Choose = body
	ref, checked := u.bare(st.Body, u.env(p), kind.Type{})
	if ref != nil {
		body.On = *ref
	}
	names, closed := checked.Type.Enum()
	if checked.Type.Kind == kind.Boolean {
		names, closed = []string{"true", "false"}, true
	}
	switch checked.Type.Kind {
	case kind.List, kind.Map, kind.Record, kind.Handled, kind.Secret:
		u.report("wrong-type", st.Body.Span(), "switch over one of its fields, or over a condition", "switch takes a text, a number or a boolean; this is %s", a(checked.Type))
	default: // other types
	}
	seen := map[string]bool{}
	strange := false
	for _, c := range st.Cases {
		pc := plan.Case{Steps: u.block(c.Steps, c.Key, "the case", p)}
		for key := range strings.SplitSeq(c.Key.String(), ",") {
			key = strings.TrimSpace(key)
			pc.Keys = append(pc.Keys, key)
			switch {
			case seen[key]:
				u.report("unreachable", c.Key.Span(), "remove one of the two", "the case %s stands twice", key)
			case closed && !slices.Contains(names, key):
				strange = true
				u.unknownCase(c.Key, key, names)
			}
			seen[key] = true
		}
		body.Cases = append(body.Cases, pc)
	}
	if st.DefaultKey.Given() {
		body.Default = u.steps(st.Default, p)
	}
	u.covers(st, names, seen, closed && !strange)
}

func (u *unit) unknownCase(t ast.Text, key string, names []string) {
	help := "it is one of " + strings.Join(names, ", ")
	if near := diag.Near(key, names); near != "" {
		help = "did you mean " + near + "?"
	}
	u.report("unknown-choice", t.Span(), help, "the value is never %s", key)
}

// covers compares the cases with the values that there can be.
func (u *unit) covers(st *ast.Step, names []string, seen map[string]bool, closed bool) {
	if !closed || len(st.Cases) == 0 {
		return
	}
	var missing []string
	for _, n := range names {
		if !seen[n] {
			missing = append(missing, n)
		}
	}
	switch {
	case len(missing) > 0 && !st.DefaultKey.Given():
		u.report("missing-case", st.Body.Part(0, len(strings.TrimRight(st.Body.String(), "\n"))), "add cases for them, or a default",
			"no case covers %s", strings.Join(missing, ", "))
	case len(missing) == 0 && st.DefaultKey.Given():
		u.warn("unreachable-default", st.DefaultKey.Span(), "remove it", "the cases cover every value; default never runs")
	}
}
