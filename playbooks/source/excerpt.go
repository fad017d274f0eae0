package source

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// maxExcerpt is how many characters of a long line an excerpt shows.
const maxExcerpt = 160

// Excerpt shows the first line of a span with carets under it:
//
//	12 |     hostname: ${{ inputs.hostnme }}
//	   |                   ^^^^^^^^^^^^^^^
//
// Tabs become spaces, control characters are replaced, wide characters get two
// carets, a long line is cut around the span. The text ends in a newline; it is
// empty for a span that is nowhere.
func (f *File) Excerpt(s Span) string {
	if s.Start.Line < 1 || s.Start.Line > f.Lines() {
		return ""
	}
	line := []rune(f.Line(s.Start.Line))
	from := min(s.Start.Column-1, len(line))
	to := len(line)
	if s.End.Line == s.Start.Line {
		to = min(max(s.End.Column-1, from), len(line))
	}
	cut := 0
	if from > maxExcerpt*3/4 {
		cut = from - maxExcerpt/4
	}
	shown := line[cut:min(len(line), cut+maxExcerpt)]
	var text, carets strings.Builder
	for i, r := range shown {
		out := visible(r)
		text.WriteString(out)
		mark := " "
		if at := i + cut; at >= from && at < to {
			mark = "^"
		}
		carets.WriteString(strings.Repeat(mark, width(out)))
	}
	if to <= from {
		carets.WriteString(strings.Repeat(" ", max(0, from-cut-len(shown))) + "^")
		if from < len(line) {
			carets.Reset()
			for _, r := range line[cut:from] {
				carets.WriteString(strings.Repeat(" ", width(visible(r))))
			}
			carets.WriteByte('^')
		}
	}
	number := strconv.Itoa(s.Start.Line)
	return fmt.Sprintf("%s | %s\n%s | %s\n", number, strings.TrimRight(text.String(), " "),
		strings.Repeat(" ", len(number)), strings.TrimRight(carets.String(), " "))
}

func visible(r rune) string {
	switch {
	case r == '\t':
		return "  "
	case unicode.IsControl(r) || r == unicode.ReplacementChar || unicode.In(r, unicode.Bidi_Control):
		return "·"
	}
	return string(r)
}

// width is the number of terminal cells of a text, as far as carets need it:
// wide East Asian characters and most emoji take two.
func width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3,
			r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60,
			r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
			n += 2
		default:
			n++
		}
	}
	return n
}
