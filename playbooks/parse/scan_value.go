package parse

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// cutComment cuts a comment off, and the spaces before it.
func cutComment(text string) string {
	for i := range len(text) {
		if text[i] == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
			return strings.TrimRight(text[:i], " \t")
		}
	}
	return text
}

// colonIn is the first colon that ends a key: one before a space or at the end.
func colonIn(text string) int {
	for i := range len(text) {
		if text[i] == ':' && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t') {
			return i
		}
	}
	return -1
}

// quoteEnd is the place behind the quote that closes the one at a place, on the
// same line, or -1.
func quoteEnd(text string, at int) int {
	quote := text[at]
	for i := at + 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] == quote && quote == '\'' && i+1 < len(text) && text[i+1] == quote:
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return -1
}

var headerForm = regexp.MustCompile(`^[|>][-+0-9]*\s*(#.*)?$`)

// scalar reads a value that begins at a place: a block, quotes, brackets or
// plain text.
func (s *scanner) scalar(text string, at, parent int) {
	switch c := text[at]; {
	case c == '|' || c == '>':
		if !headerForm.MatchString(text[at:]) {
			s.tell(s.line, at+1, len(text), "text-after-block", "write the text on the next lines, deeper than the key, or quote it",
				"text stands behind "+string(c)+", which begins a block on the next line")
			return
		}
		s.block(text[at+1:], parent)
	case c == '"' || c == '\'':
		s.quoted(at, parent)
	case strings.HasPrefix(text[at:], "{{"):
		s.tell(s.line, at, at+2, "flow-braces", "write ${{ … }}", "an expression begins with ${{")
	case strings.HasPrefix(text[at:], "```"):
		s.tell(s.line, at, at+3, "reserved-character", "remove it", "this is the fence of a code block, and no YAML")
	case c == '[' || c == '{':
		s.flow(at, parent)
	case c == ']' || c == '}':
		s.unopened(text, at)
	case c == '@' || c == '`' || c == '%':
		s.tell(s.line, at, at+1, "reserved-character", "quote the value", "a value without quotes cannot begin with "+string(c))
	case c == '!':
		s.tell(s.line, at, len(cutComment(text)), "tag", "quote the expression, or write it in a | block", "YAML reads a value that begins with ! as a tag and drops it")
	case c == '&':
		s.tell(s.line, at, wordEnd(text, at), "anchor", "quote the value; anchors are not part of the language", "YAML reads a value that begins with & as an anchor")
	case c == '*':
		s.tell(s.line, at, wordEnd(text, at), "alias", "quote the value; aliases are not part of the language", "YAML reads a value that begins with * as an alias")
	default:
		end := at + len(cutComment(text[at:]))
		if i := colonIn(text[at:end]); i >= 0 {
			s.colon(s.line, at+i)
			return
		}
		s.plain = &plainText{line: s.line, from: at, to: end, parent: parent}
		if end < len(text) { // a comment ends it
			s.plain = nil
		}
		s.line++
	}
}

func wordEnd(text string, at int) int {
	if i := strings.IndexAny(text[at:], " \t,]}"); i > 0 {
		return at + i
	}
	return len(text)
}

// block skips the lines of a | or > block.
func (s *scanner) block(header string, parent int) {
	own := -1
	if i := strings.IndexAny(header, "123456789"); i >= 0 && !strings.Contains(header[:i], "#") {
		own = max(parent, 0) + int(header[i]-'0')
	}
	for s.line++; s.line <= s.file.Lines(); s.line++ {
		line := s.file.Line(s.line)
		rest := strings.TrimLeft(line, " ")
		indent := len(line) - len(rest)
		if strings.TrimSpace(rest) == "" {
			continue
		}
		if own < 0 && indent > parent {
			own = indent
		}
		if own >= 0 && indent >= own {
			continue
		}
		if indent > parent && rest[0] != '#' {
			s.tell(s.line, indent, len(strings.TrimRight(line, " \t")), "bad-indentation", "begin it in the column of the block's first line",
				"this line stands further left than the block that it seems to belong to")
		}
		if own < 0 {
			s.hollow = s.line
		}
		return
	}
}

// outside reports whether a line looks like a key or an item that is no part of
// a value begun deeper in: the sign of a quote or bracket left open.
func (s *scanner) outside(line string, parent int) bool {
	rest := strings.TrimLeft(line, " ")
	if len(line)-len(rest) > parent {
		return false
	}
	return keyForm.MatchString(rest) || isDash(rest)
}

// quoted reads a value in quotes, over lines.
func (s *scanner) quoted(at, parent int) {
	first, from := s.line, at
	text := s.file.Line(s.line)
	mark := text[at : at+1]
	open := func() {
		s.tell(first, from, len(strings.TrimRight(s.file.Line(first), " \t")), "unclosed-quote",
			"close it, or write the value in a | block", "the quote is not closed")
	}
	end := quoteEnd(text, at)
	s.escapes(text, mark, at+1, end)
	for end < 0 {
		s.line++
		if s.line > s.file.Lines() || s.outside(s.file.Line(s.line), parent) {
			open()
			return
		}
		// The line stands within the quote: read it as if it began with one.
		text = s.file.Line(s.line)
		if end = quoteEnd(mark+text, 0); end >= 0 {
			end -= len(mark)
		}
		s.escapes(text, mark, 0, end)
	}
	rest := cutComment(strings.TrimRight(text[end:], " \t"))
	if strings.TrimSpace(rest) != "" {
		if s.line > first {
			open()
			return
		}
		lead := len(rest) - len(strings.TrimLeft(rest, " \t"))
		s.tell(s.line, end+lead, end+len(rest), "text-after-quote",
			"put the whole value in quotes of the other sort, or write it in a | block", "there is text behind the closing quote")
		return
	}
	s.line++
}

// escaped are the characters that may stand behind a backslash in double
// quotes.
const escaped = "0abt\tnvfre \"\\N_LPxuU'"

// escapes looks for a backslash in double quotes that escapes nothing. end is
// -1 where the quote goes on behind the line.
func (s *scanner) escapes(text, mark string, from, end int) {
	if mark != `"` {
		return
	}
	if end < 0 {
		end = len(text)
	}
	for i := from; i < end-1; i++ {
		if text[i] != '\\' {
			continue
		}
		if i++; strings.IndexByte(escaped, text[i]) < 0 {
			_, size := utf8.DecodeRuneInString(text[i:])
			s.tell(s.line, i-1, i+size, "bad-escape", "put the value in single quotes, where a backslash is itself, or double the backslash",
				"in double quotes this is no escape")
			return
		}
	}
}
