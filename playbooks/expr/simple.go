package expr

import (
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// simple types an expression that is nothing but a chain of names that are all
// there: inputs.hostname, steps.host.device. Most expressions of a playbook are,
// and CEL's parser takes longer than everything else. It gives exactly what the
// whole way gives, and false for whatever needs a second look, mistakes first of
// all.
func (c *Checker) simple(text string, env Env) (Checked, bool) {
	names := strings.Split(strings.TrimSpace(text), ".")
	for _, n := range names {
		if !isName(n) {
			return Checked{}, false
		}
	}
	out := Checked{}
	t, ok := local(env, names[0])
	if ok {
		out.Flow = Flow{Paths: [][]string{{names[0]}}}
		if f, known := env.Flows[names[0]]; known {
			out.Flow = f
		}
	} else {
		if t, ok = c.reg.scope[names[0]]; !ok || !mayRead(env, names[0]) || enumTypes[names[0]].Kind != "" {
			return Checked{}, false
		}
		out.Paths = [][]string{names}
		out.Uses = []string{strings.Join(names[:min(2, len(names))], ".")}
		out.Flow = Flow{Paths: [][]string{{names[0]}}}
	}
	for i, n := range names[1:] {
		if t = readable(t); t.Kind != kind.Record {
			return Checked{}, false
		}
		f, ok := t.Field(n)
		if !ok || n == "ok" || (f.Optional && !slices.Contains(env.Present, strings.Join(names[:i+2], "."))) {
			return Checked{}, false
		}
		t = f.Type
		out.Flow = out.Flow.below(n)
	}
	if len(names) > 1 && t.Kind == kind.List {
		out.Most = c.bounds[strings.Join(names, ".")]
	}
	out.Type = t
	return out, whole(t)
}

// whole reports whether a type is known in all its parts.
func whole(t kind.Type) bool {
	switch t.Kind {
	case "":
		return false
	case kind.List, kind.Map:
		return t.Elem != nil && whole(*t.Elem)
	case kind.Record:
		for _, f := range t.Fields {
			if !whole(f.Type) {
				return false
			}
		}
	default: // other types
	}
	return true
}

func local(env Env, name string) (kind.Type, bool) {
	for _, f := range slices.Backward(env.Locals) {
		if f.Name == name {
			return f.Type, true
		}
	}
	return kind.Type{}, false
}

func mayRead(env Env, root string) bool {
	return len(env.OnlyRoots) == 0 || slices.Contains(env.OnlyRoots, root)
}

// isName reports whether a text is a name, and none of CEL's words.
func isName(s string) bool {
	if s == "" || digit(rune(s[0])) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := rune(s[i]); c == '@' || (!letter(c) && !digit(c)) {
			return false
		}
	}
	switch s {
	case "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
		"import", "let", "loop", "package", "namespace", "return", "var", "void", "while":
		return false
	}
	return true
}
