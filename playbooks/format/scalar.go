package format

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/source"
)

// scalarText is how a scalar of a block is written: what stands behind the key,
// and the lines below it.
func scalarText(e *entry) (head string, block []string) {
	s := e.value.Scalar
	switch {
	case s.Style == source.Folded:
		if lines := folded(s); lines != nil {
			return ">" + chomp(s.Value), lines
		}
	case s.Style == source.Plain && strings.Contains(s.File.Text(s.Span()), "\n"):
		// The author's lines stay.
		if lines := plainLines(s); lines != nil {
			return ">-", lines
		}
	}
	if asLiteral(s) {
		return "|" + chomp(s.Value), strings.Split(strings.TrimSuffix(s.Value, "\n"), "\n")
	}
	if plain(s, false) {
		return s.Value, nil
	}
	if isExpression(e) && !staysQuoted(s) && blockSafe(s.Value) && !ambiguous(s.Value) {
		return "|-", []string{s.Value}
	}
	return quoted(s.Value), nil
}

// staysQuoted reports whether an expression that its author put in quotes reads
// well so: without an escape.
func staysQuoted(s *source.Scalar) bool {
	if s.Style != source.Single && s.Style != source.Double {
		return false
	}
	return !strings.ContainsAny(s.Value, "\n\t") && (!strings.ContainsAny(s.Value, `"\`) || !strings.Contains(s.Value, "'"))
}

// flowText is how a scalar within brackets is written.
func flowText(s *source.Scalar) string {
	if plain(s, true) {
		return s.Value
	}
	return quoted(s.Value)
}

// keyText is how a key is written.
func keyText(s *source.Scalar, flow bool) string {
	if s.Value != "" && plain(s, flow) {
		return s.Value
	}
	return quoted(s.Value)
}

// isExpression reports whether a text is CEL as a whole.
func isExpression(e *entry) bool {
	if e.shape != nil && (e.shape.Form == ast.Expression || e.shape.Form == ast.Expressions) {
		return true
	}
	return strings.HasPrefix(e.value.Scalar.Value, "${{") && strings.HasSuffix(e.value.Scalar.Value, "}}")
}

// asLiteral reports whether a text of lines can be a | block. One line in a
// block is written behind its key where it can be.
func asLiteral(s *source.Scalar) bool {
	v := s.Value
	if !strings.Contains(strings.TrimSuffix(v, "\n"), "\n") && (s.Style != source.Literal || !strings.HasSuffix(v, "\n")) {
		return strings.HasSuffix(v, "\n") && s.Style == source.Folded && blockSafe(v)
	}
	return blockSafe(v)
}

// blockSafe reports whether lines keep their meaning in a block: its first line
// sets the indentation, and nothing ends it early.
func blockSafe(v string) bool {
	if v == "" || v[0] == ' ' || v[0] == '\n' || v[0] == '\t' || strings.HasSuffix(v, "\n\n") || !printable(v) {
		return false
	}
	for line := range strings.Lines(v) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && strings.Trim(line, " \t") == "" {
			return false // its spaces would be taken for indentation
		}
	}
	return true
}

func printable(v string) bool {
	for _, r := range v {
		if r == '\n' || r == '\t' || r == ' ' {
			continue
		}
		if !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == utf8.RuneError {
			return false
		}
	}
	return true
}

func chomp(v string) string {
	if strings.HasSuffix(v, "\n") {
		return ""
	}
	return "-"
}

// folded gives the lines of a > block without their indentation; nil where the
// value is better written anew.
func folded(s *source.Scalar) []string {
	text := strings.ReplaceAll(s.File.Text(s.Span()), "\r\n", "\n")
	head, body, ok := strings.Cut(text, "\n")
	head, _, _ = strings.Cut(head, "#")
	if !ok || strings.ContainsAny(head, "123456789") || !blockSafe(s.Value) {
		return nil
	}
	lines := strings.Split(strings.TrimRight(body, "\n"), "\n")
	indent := -1
	for i, line := range lines {
		lead := len(line) - len(strings.TrimLeft(line, " "))
		if strings.TrimSpace(line) == "" {
			lines[i] = ""
			continue
		}
		if indent < 0 {
			indent = lead
		}
		if lead < indent {
			return nil
		}
		lines[i] = line[indent:]
	}
	if len(lines) < 2 && fits(s) { // nothing is folded
		return nil
	}
	return lines
}

// fits reports whether a text of one line is short enough to stand behind its
// key.
func fits(s *source.Scalar) bool {
	return plain(s, false) && utf8.RuneCountInString(s.Value) <= width-20
}

// plainLines gives the lines of a plain text that goes over several.
func plainLines(s *source.Scalar) []string {
	lines := strings.Split(strings.ReplaceAll(s.File.Text(s.Span()), "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = strings.Trim(lines[i], " \t")
	}
	if !blockSafe(s.Value) {
		return nil
	}
	return lines
}

var (
	// plainStart is what a text may begin with that needs no quotes.
	plainStart = regexp.MustCompile(`^(?:[\p{L}\p{N}_$/.+^(\\;<=~]|-[^ ]|:[^ ])`)
	// guessed are texts that YAML takes for something else than a text.
	guessed = regexp.MustCompile(`^(?i:~|null|true|false|yes|no|on|off|y|n|[-+]?[0-9._][0-9._xoabcdefin+:-]*|[-+]?\.(?:inf|nan)|[0-9]{4}-[0-9].*|=|<<)$`)
)

func ambiguous(v string) bool { return v == "" || guessed.MatchString(v) }

// plain reports whether a scalar may be written without quotes. What stood
// without them stays so where it is safe; what stood in quotes loses them only
// where nobody, and no other reader of YAML, would take it for a number, a date
// or a boolean.
func plain(s *source.Scalar, flow bool) bool {
	v := s.Value
	if s.Style != source.Plain && ambiguous(v) {
		return false
	}
	if v == "" {
		return true
	}
	if v != strings.TrimSpace(v) || strings.ContainsAny(v, "\n\t\r") || !printable(v) || !plainStart.MatchString(v) {
		return false
	}
	if strings.Contains(v, ": ") || strings.Contains(v, " #") || strings.HasSuffix(v, ":") || strings.HasPrefix(v, "---") || strings.HasPrefix(v, "...") {
		return false
	}
	return !flow || !strings.ContainsAny(v, "[]{},:#?")
}

// quoted writes a text in quotes: in double ones, in single ones where that
// spares escapes.
func quoted(v string) string {
	if strings.ContainsAny(v, `"\`) && printable(v) && !strings.ContainsAny(v, "\n\t") {
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range v {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case printable(string(r)):
			b.WriteRune(r)
		case r < 0x100:
			b.WriteString(`\x` + pad(r, 2))
		case r < 0x10000:
			b.WriteString(`\u` + pad(r, 4))
		default:
			b.WriteString(`\U` + pad(r, 8))
		}
	}
	b.WriteByte('"')
	return b.String()
}

func pad(r rune, n int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, n-len(s))) + s
}
