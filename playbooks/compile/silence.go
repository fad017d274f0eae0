package compile

import (
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
)

// unusedSilence is the warning about a silence; it cannot be silenced itself.
const unusedSilence = "unused-silence"

// silenced is what was found without the warnings that a comment allows, and
// with what is wrong with such comments. Errors are never silenced.
func (u *unit) silenced() diag.List {
	if u.tree == nil || len(u.tree.Silences) == 0 {
		return u.list
	}
	failed := u.list.HasErrors()
	for _, s := range u.tree.Silences {
		held := u.hold(s)
		switch {
		case u.badSilence(s):
		case held == 0 && !failed:
			// Where there are errors, not every warning was looked for.
			u.warn(unusedSilence, s.Span, "remove the comment", "this line has no warning %s", s.Code)
		}
	}
	return u.list
}

// hold takes the warnings that a comment names out of the list and counts them.
func (u *unit) hold(s *ast.Silence) int {
	var kept diag.List
	for _, d := range u.list {
		line := d.Span.Start.Line
		if d.Severity != diag.Warning || d.Code != s.Code || d.Code == unusedSilence || line < s.First || line > s.Last {
			kept = append(kept, d)
		}
	}
	n := len(u.list) - len(kept)
	u.list = kept
	return n
}

// badSilence reports a comment that does not say what it allows and why.
func (u *unit) badSilence(s *ast.Silence) bool {
	const form = "write `# quell: allow CODE because REASON`"
	c, known := diag.Lookup(s.Code)
	switch {
	case s.Code == "":
		u.report("bad-silence", s.Span, form, "a comment that begins with quell: allows a warning")
	case !known:
		help := form
		if near := diag.Near(s.Code, warnings()); near != "" {
			help = "did you mean " + near + "?"
		}
		u.report("bad-silence", s.CodeSpan, help, "there is no diagnostic %s", s.Code)
	case c.Severity != diag.Warning || s.Code == unusedSilence:
		u.report("bad-silence", s.CodeSpan, "mend it; only warnings can be allowed", "%s cannot be silenced", s.Code)
	case s.Reason == "":
		u.report("bad-silence", s.Span, form, "the comment does not say why %s is allowed", s.Code)
	case s.First == 0:
		u.report("bad-silence", s.Span, "put it on the line that it is about, or above it", "nothing follows the comment")
	default:
		return false
	}
	return true
}

func warnings() []string {
	all, err := diag.Codes()
	if err != nil {
		return nil
	}
	var out []string
	for _, c := range all {
		if c.Severity == diag.Warning {
			out = append(out, c.Name)
		}
	}
	return out
}
