package compile

import (
	"regexp"

	"github.com/quell-soar/quell/playbooks/diag"
)

// mentions reports whether a name stands in a text as a word. It may say so of
// a text that only looks like it, which makes a bound larger, never smaller.
func mentions(text, name string) bool {
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).MatchString(text)
}

func nearAction(name string, known []string) string {
	if near := diag.Near(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}
