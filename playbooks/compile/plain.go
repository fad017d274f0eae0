package compile

import (
	"regexp"
	"strings"

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/plan"
)

// plain types a text without an expression. One that reads like an expression of
// something that is there was most likely meant as one.
func (u *unit) plain(t ast.Text, lit string, to target) plan.Value {
	told := len(u.list)
	v := u.literal(t, lit, to)
	from, end, path := u.unbraced(t.String())
	switch {
	case path == "" && len(u.list) > told && strings.Contains(lit, "{{"):
		u.list[told].Help = "an expression is written ${{ … }}"
	case path == "":
	case len(u.list) > told:
		u.list[told].Help = "write ${{ " + path + " }}"
	default:
		u.warn("no-braces", t.Part(from, end), "write ${{ "+path+" }}", "this is a text; %s is not read", path)
	}
	return v
}

var (
	// pathForm is a name that an expression may read.
	pathForm = regexp.MustCompile(`^([a-z]+)\.([a-z][a-z0-9_]*)(?:\.\??[a-z][a-z0-9_]*|\[[0-9]+\])*$`)
	// braceForms are how other tools write an expression in a text.
	braceForms = regexp.MustCompile(`\$?\{\{?\s*([a-z]+\.[^{}\s]+)\s*\}\}?|\$([a-z]+\.\S+)`)
)

// unbraced finds a path to an input, a setting or a step in a text: as the whole
// of it, or in the braces of another tool. path is "" where there is none.
func (u *unit) unbraced(text string) (from, to int, path string) {
	if !strings.Contains(text, ".") {
		return 0, 0, ""
	}
	if whole := strings.TrimSpace(text); u.isPath(whole) {
		at := strings.Index(text, whole)
		return at, at + len(whole), whole
	}
	if !strings.ContainsAny(text, "{$") {
		return 0, 0, ""
	}
	for _, m := range braceForms.FindAllStringSubmatchIndex(text, -1) {
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 && u.isPath(text[m[g]:m[g+1]]) {
				return m[0], m[1], text[m[g]:m[g+1]]
			}
		}
	}
	return 0, 0, ""
}

// isPath reports whether a text is a path to something that the playbook has.
func (u *unit) isPath(text string) bool {
	root, _, _ := strings.Cut(text, ".")
	switch root {
	case "inputs", "settings", "steps", "outcome", "errors":
	default:
		return false
	}
	m := pathForm.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	ok := false
	switch root {
	case "inputs":
		_, ok = u.inputs.Inputs.Field(m[2])
	case "settings":
		_, ok = u.inputs.Settings.Field(m[2])
	default:
		_, ok = u.ids[m[2]]
	}
	return ok
}
