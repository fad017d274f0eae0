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
			s.behindHeader(text, at, parent)
			return
		}
		s.block(text[at+1:], parent)
	case c == '"' || c == '\'':
		s.quoted(at, parent)
	case strings.HasPrefix(text[at:], "{{"):
		s.wholly(text, at, at+2, "flow-braces", "write ${{ … }}", "an expression begins with ${{")
	case strings.HasPrefix(text[at:], "```"):
		s.tell(s.line, at, at+3, "reserved-character", "remove it", "this is the fence of a code block, and no YAML")
		s.text.cut(s.line, at)
	case c == '[' || c == '{':
		s.flow(at, parent)
	case c == ']' || c == '}':
		s.unopened(text, at)
	case c == '%' && at == 0: // a directive: all of its line is YAML's own
		s.tell(s.line, at, at+1, "reserved-character", "quote the value", "a value without quotes cannot begin with "+string(c))
		s.drop(s.line, s.line)
	case c == '@' || c == '`' || c == '%':
		s.wholly(text, at, at+1, "reserved-character", "quote the value", "a value without quotes cannot begin with "+string(c))
	case c == '!':
		s.tell(s.line, at, len(cutComment(text)), "tag", "quote the expression, or write it in a | block", "YAML reads a value that begins with ! as a tag and drops it")
		s.text.quote(s.line, at, len(cutComment(text)))
		s.again(s.line)
	case c == '&':
		s.wholly(text, at, wordEnd(text, at), "anchor", "quote the value; anchors are not part of the language", "YAML reads a value that begins with & as an anchor")
	case c == '*':
		s.wholly(text, at, wordEnd(text, at), "alias", "quote the value; aliases are not part of the language", "YAML reads a value that begins with * as an alias")
	default:
		s.plainText(text, at, parent)
	}
}

// wholly reports what a value begins with, and takes all of it for plain text.
func (s *scanner) wholly(text string, at, to int, code, help, message string) {
	s.tell(s.line, at, to, code, help, message)
	s.spoil(s.line, at, len(cutComment(text)))
	s.again(s.line)
}

// spoil makes a part of a line plain text, which is not what was meant.
func (s *scanner) spoil(line, from, to int) {
	s.text.unclear(line, from, to)
	s.text.quote(line, from, to)
	s.told = line
}

// plainText reads a value without quotes; more of its lines may follow.
func (s *scanner) plainText(text string, at, parent int) {
	end := at + len(cutComment(text[at:]))
	p := &plainText{line: s.line, from: at, to: end, parent: parent, told: s.told == s.line}
	if i := colonIn(text[at:end]); i >= 0 {
		s.colon(s.line, at+i, at, end)
		p.told = true
	}
	if s.plain = p; end < len(text) { // a comment ends it
		s.plain = nil
	}
	s.line++
}

func wordEnd(text string, at int) int {
	if i := strings.IndexAny(text[at:], " \t,]}"); i > 0 {
		return at + i
	}
	return len(text)
}

// behindHeader reports text behind | or >, which stays a block where lines of one
// follow.
func (s *scanner) behindHeader(text string, at, parent int) {
	s.tell(s.line, at+1, len(text), "text-after-block", "write the text on the next lines, deeper than the key, or quote it",
		"text stands behind "+text[at:at+1]+", which begins a block on the next line")
	last := s.deeper(s.line, parent)
	if last == s.line {
		s.spoil(s.line, at, len(text))
	} else {
		s.text.lost(s.line, last)
		s.text.cut(s.line, at+1)
	}
	s.again(s.line)
}

// block skips the lines of a | or > block.
func (s *scanner) block(header string, parent int) {
	own := -1
	if i := strings.IndexAny(header, "123456789"); i >= 0 && !strings.Contains(header[:i], "#") {
		own = max(parent, 0) + int(header[i]-'0')
	}
	for s.line++; s.line <= len(s.text.lines) && s.going(); s.line++ {
		line := s.at(s.line)
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
			s.text.moved(s.line, s.line)
			s.text.shift(s.line, own-indent)
			continue
		}
		if own < 0 {
			s.hollow = s.line
		}
		return
	}
}

// outside reports whether a line looks like a key or an item that is no part of
// a value begun deeper in: the sign of a quote or bracket left open.
func outside(line string, parent int) bool {
	rest := strings.TrimLeft(line, " ")
	if len(line)-len(rest) > parent {
		return false
	}
	return keyForm.MatchString(rest) || isDash(rest)
}

// quoted reads a value in quotes, over lines.
func (s *scanner) quoted(at, parent int) {
	first, from := s.line, at
	text := s.at(s.line)
	mark := text[at : at+1]
	end := quoteEnd(text, at)
	if s.escapes(mark, at+1, end) {
		text = s.at(s.line)
		end = quoteEnd(text, at)
	}
	for end < 0 {
		s.line++
		if s.line > len(s.text.lines) || !s.going() || outside(s.at(s.line), parent) {
			s.unclosed(first, from)
			return
		}
		if text, end = s.within(mark); s.escapes(mark, 0, end) {
			text, end = s.within(mark)
		}
	}
	rest := cutComment(strings.TrimRight(text[end:], " \t"))
	if strings.TrimSpace(rest) != "" {
		if s.line > first {
			s.unclosed(first, from)
			return
		}
		lead := len(rest) - len(strings.TrimLeft(rest, " \t"))
		s.tell(s.line, end+lead, end+len(rest), "text-after-quote",
			"put the whole value in quotes of the other sort, or write it in a | block", "there is text behind the closing quote")
		if strings.Contains(text[from+1:end-1], mark) || strings.Contains(text[from:end], `\`) {
			s.text.unclear(s.line, from, end+len(rest)) // it means something else without the quotes
		}
		s.text.quote(s.line, from, end+len(rest))
		s.told = s.line
		s.again(s.line)
		return
	}
	s.line++
}

// within reads the current line, which stands within a quote, as if it began with
// one; end is -1 where it does not close it.
func (s *scanner) within(mark string) (text string, end int) {
	text = s.at(s.line)
	if end = quoteEnd(mark+text, 0); end >= 0 {
		end -= len(mark)
	}
	return text, end
}

// unclosed reports a quote that nothing closes, and takes its first line for the
// value.
func (s *scanner) unclosed(line, from int) {
	to := len(strings.TrimRight(s.at(line), " \t"))
	s.tell(line, from, to, "unclosed-quote", "close it, or write the value in a | block", "the quote is not closed")
	s.spoil(line, from, to)
	s.again(line)
}

// escaped are the characters that may stand behind a backslash in double
// quotes.
const escaped = "0abt\tnvfre \"\\N_LPxuU'"

// hexDigits is how many digits follow an escape of a character by its number.
var hexDigits = map[byte]int{'x': 2, 'u': 4, 'U': 8}

func hexadecimal(text string, digits int) bool {
	if len(text) < digits {
		return false
	}
	for _, c := range []byte(text[:digits]) {
		if strings.IndexByte("0123456789abcdefABCDEF", c) < 0 {
			return false
		}
	}
	return true
}

// escapes looks for a backslash in double quotes of the current line that escapes
// nothing, and makes such ones stand for themselves. end is -1 where the quote
// goes on behind the line. It reports whether it wrote the line anew.
func (s *scanner) escapes(mark string, from, end int) bool {
	if mark != `"` {
		return false
	}
	text := s.at(s.line)
	if end < 0 {
		end = len(text)
	}
	var bad []int
	for i := from; i < end-1; i++ {
		if text[i] == '\\' {
			if i++; strings.IndexByte(escaped, text[i]) < 0 || !hexadecimal(text[i+1:end], hexDigits[text[i]]) {
				bad = append(bad, i-1)
			}
		}
	}
	if len(bad) == 0 {
		return false
	}
	_, size := utf8.DecodeRuneInString(text[bad[0]+1:])
	s.tell(s.line, bad[0], bad[0]+1+size, "bad-escape", "put the value in single quotes, where a backslash is itself, or double the backslash",
		"in double quotes this is no escape")
	s.text.unclear(s.line, from, end)
	s.text.stand(s.line, bad)
	return true
}
