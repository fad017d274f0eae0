package compile

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// duration reads a duration that must be above zero; 0 where the text is absent
// or wrong.
func (u *unit) duration(t ast.Text, key string) time.Duration {
	if !t.Given() {
		return 0
	}
	d, err := kind.ParseDuration(t.String())
	if err != nil || d <= 0 {
		u.report("bad-value", t.Span(), "write 90s, 15m, 24h, 7d or 2w", "%s is not a duration: %s", key, t)
		return 0
	}
	return d
}

// count reads a whole number from 1 up to most; 0 where the text is absent or
// wrong.
func (u *unit) count(t ast.Text, key string, most int) int {
	if !t.Given() {
		return 0
	}
	n, err := strconv.Atoi(t.String())
	if err != nil || n < 1 || n > most {
		u.report("bad-value", t.Span(), "write it in digits", "%s must be a whole number from 1 to %d; found %s", key, most, t)
		return 0
	}
	return n
}

// oneOf reads one of a closed set of words, def where the text is absent.
func (u *unit) oneOf(t ast.Text, key, def string, words ...string) string {
	if !t.Given() {
		return def
	}
	if !slices.Contains(words, t.String()) {
		u.enumProblem(t, key, words...)
		return def
	}
	return t.String()
}

func (u *unit) enumProblem(t ast.Text, key string, words ...string) {
	help := "write " + strings.Join(words, ", ")
	if near := diag.Near(t.String(), words); near != "" {
		help = "did you mean " + near + "?"
	}
	u.report("bad-value", t.Span(), help, "%s cannot be %s", key, t)
}

// need reports a key that is missing from a map.
func (u *unit) need(t ast.Text, at source.Span, what, key string) bool {
	if !t.Given() {
		u.report("missing-key", head(u.file, at), "write `"+key+": …`", "%s needs %s", what, key)
		return false
	}
	return true
}

// head is the first line of a span.
func head(f *source.File, s source.Span) source.Span {
	end := f.Offset(s.Start.Line, 1<<30)
	return f.Span(s.Start.Offset, min(end, max(s.End.Offset, s.Start.Offset)))
}
