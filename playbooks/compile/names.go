package compile

import (
	"slices"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
)

// typeNames lists what a playbook may write as a type.
func typeNames() []string {
	var out []string
	for _, k := range kind.Scalars() {
		out = append(out, string(k))
	}
	return slices.Concat(out, kind.Handles())
}

// handleNames lists the handles that a playbook may write as a type: those of the
// vocabulary, and of the actions that there are.
func (u *unit) handleNames() []string {
	if u.handles != nil {
		return u.handles
	}
	found := map[string]bool{}
	for _, h := range kind.Handles() {
		found[h] = true
	}
	for _, n := range u.actions.Names() {
		a, _ := u.action(n)
		for _, f := range slices.Concat(a.Inputs, a.Outputs) {
			if t := innermost(&f.Type); t.Kind == kind.Handled {
				found[t.Name] = true
			}
		}
	}
	u.handles = sortedKeys(found)
	return u.handles
}

func nearType(s string) string {
	known := typeNames()
	for _, n := range typeNames() {
		known = append(known, "list<"+n+">")
	}
	switch s {
	case "bool":
		return "boolean"
	case "integer", "number":
		return "int"
	case "text", "str":
		return "string"
	case "list", "array":
		return "list<string>"
	}
	return diag.Near(s, known)
}

// meantField is the field that a name which there is not most likely means: a near
// one that is not given beside it. So a slip is told once, and not again as a
// field that is missing.
func meantField(name string, t kind.Type, list []ast.Named) (kind.Field, bool) {
	var known []string
	for _, f := range t.Fields {
		if !slices.ContainsFunc(list, func(n ast.Named) bool { return n.Name.String() == f.Name }) {
			known = append(known, f.Name)
		}
	}
	return t.Field(diag.Near(name, known))
}

// nearField proposes a field of a record.
func nearField(name string, t kind.Type) string {
	var known []string
	for _, f := range t.Fields {
		known = append(known, f.Name)
	}
	if near := diag.Near(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}
