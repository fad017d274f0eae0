package parse

import (
	"regexp"
	"strings"

	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// scanner reads a text that YAML refused and looks for the usual mistakes of
// people who write YAML. It knows only the YAML that a playbook may have: block
// maps and lists, the five styles of scalars, { } and [ ]. Behind a mistake it
// mends the text and goes on, so that one run tells them all; of a text that YAML
// accepts it says nothing.
type scanner struct {
	// text is the file as it was meant, as far as the scanner has read.
	text *mended
	// open are the block maps and lists around the current line, outermost first.
	open []level
	// line is the current one, from 1; lines of a scalar are skipped by it.
	line int
	// plain is the scalar without quotes that the next line may go on with.
	plain *plainText
	// fresh says that what stands deeper may begin: a key or a dash without a
	// value stands before.
	fresh bool
	// hollow is the line at which a block scalar ended that has no text; 0 where
	// there is none.
	hollow int
	// misread is the last line that was told to stand wrong, told the last whose
	// value was told: one mistake of a sort is told once for a line.
	misread, told int
	// read is how much was looked at.
	read  int
	found []mistake
}

// level is an open block collection: the column of its keys or dashes, from 0.
type level struct {
	indent int
	list   bool
}

type plainText struct {
	line, from, to int
	// parent is the column above which a line goes on with the text.
	parent int
	// item says that it is an entry of a list, told that it was told to need quotes.
	item, told bool
}

// mistake is what was found: a code, its words and its place in bytes.
type mistake struct {
	code, message, help string
	from, to            int
}

// maxRead is how much the scanner looks at, a line of usual length counting as
// one; a text in which it looks again and again for the end of something is not
// worth more.
const (
	maxRead = 4 * MaxLines
	usually = 80
)

// scan looks for the usual mistakes, and mends the text around them. It may end
// before the text does, where there are too many.
func scan(m *mended) []mistake {
	s := &scanner{text: m, line: 1, fresh: true}
	for s.line <= len(m.lines) && s.going() {
		s.next()
	}
	return s.found
}

// usual looks for the usual mistakes of a file.
func usual(f *source.File) []mistake { return scan(newMended(f)) }

// going reports whether more mistakes help anybody.
func (s *scanner) going() bool { return s.read < maxRead && len(s.found) < diag.MaxShown }

// at reads a line.
func (s *scanner) at(line int) string {
	text := s.text.line(line)
	s.read += 1 + len(text)/usually
	return text
}

// tell notes a mistake at bytes of a line.
func (s *scanner) tell(line, from, to int, code, help, message string) {
	switch code {
	case "bad-indentation", "missing-colon":
		if s.misread == line {
			return
		}
		s.misread = line
	}
	s.found = append(s.found, mistake{
		code: code, message: message, help: help,
		from: s.text.offset(line, from), to: s.text.offset(line, max(from, to)),
	})
}

// again reads a line anew that was mended.
func (s *scanner) again(line int) { s.line, s.plain, s.fresh = line, nil, true }

// next reads one line and what goes on behind it.
func (s *scanner) next() {
	text := strings.TrimRight(s.at(s.line), " \t")
	indent := indentOf(text)
	rest := text[indent:]
	switch {
	case rest == "" || rest[0] == '#':
		if rest != "" {
			s.plain = nil
		}
		s.line++
		return
	case conflict.MatchString(text):
		s.conflict(text)
		return
	case indent == 0 && (strings.HasPrefix(rest, "---") || strings.HasPrefix(rest, "...")) && strings.TrimLeft(rest[3:], " ") == "":
		s.open, s.plain, s.fresh = nil, nil, true
		s.line++
		return
	}
	if s.plain != nil && indent > s.plain.parent {
		s.goesOn(text, indent)
		return
	}
	s.plain = nil
	if s.fits(text, indent) {
		s.content(text, indent)
	}
}

func indentOf(text string) int { return len(text) - len(strings.TrimLeft(text, " ")) }

var conflict = regexp.MustCompile(`^\s?(<{7}|={7}|>{7})( |$)`)

// conflict reports the marks of a merge, and keeps the first side of the two.
func (s *scanner) conflict(text string) {
	s.tell(s.line, 0, len(text), "merge-conflict", "take one of the two sides and remove the marks", "a mark of a merge conflict was left in the file")
	s.text.cut(s.line, 0)
	if !strings.HasPrefix(strings.TrimSpace(text), "<") {
		return
	}
	middle := 0
	for n := s.line + 1; n <= len(s.text.lines) && s.going(); n++ {
		line := s.at(n)
		if !conflict.MatchString(line) {
			continue
		}
		switch strings.TrimSpace(line)[0] {
		case '=':
			if middle == 0 {
				middle = n
			}
		case '>':
			if middle > 0 {
				s.drop(middle, n)
			}
			return
		case '<':
			return
		}
	}
}

// drop takes lines away.
func (s *scanner) drop(first, last int) {
	s.text.lost(first, last)
	for n := first; n <= last; n++ {
		s.text.cut(n, 0)
	}
}

// deeper is the last line of those behind one that stand deeper than a column.
func (s *scanner) deeper(line, column int) int {
	last := line
	for n := line + 1; n <= len(s.text.lines) && s.going(); n++ {
		text := s.at(n)
		if strings.TrimSpace(text) == "" {
			continue
		}
		if indentOf(text) <= column {
			break
		}
		last = n
	}
	return last
}

var keyForm = regexp.MustCompile(`^[A-Za-z_][\w.-]*:(\s|$)`)

// goesOn reads a line that continues a scalar without quotes.
func (s *scanner) goesOn(text string, indent int) {
	p := s.plain
	rest := cutComment(text[indent:])
	colon := colonIn(rest)
	switch {
	case colon < 0:
	case s.glued(p), indent == p.from && keyForm.MatchString(rest) && s.firstWithoutColon(p):
		return
	case p.told:
		s.text.quote(s.line, indent, indent+len(rest))
	case keyForm.MatchString(rest) && p.parent >= 0 && !p.item:
		s.tell(s.line, indent, indent+colon, "bad-indentation", "move it below the key that it belongs with",
			"this line stands deeper than the one above, so that YAML takes it for more of its value")
		s.move(indent, p.parent)
		s.again(s.line)
		return
	default:
		p.told = true
		s.colon(s.line, indent+colon, indent, indent+len(rest))
	}
	s.line++
}

// colon reports a colon in a value without quotes, and quotes the value.
func (s *scanner) colon(line, at, from, to int) {
	s.tell(line, at, at+1, "colon-in-value", "quote the value, or write it in a | block",
		"YAML takes `: ` inside a value without quotes for the end of a key")
	s.text.quote(line, from, to)
}

var gluedKey = regexp.MustCompile(`^[a-z_][a-z_0-9]*:[^\s:/]`)

// glued reports a key without a space behind its colon.
func (s *scanner) glued(p *plainText) bool {
	text := s.at(p.line)[p.from:]
	if !gluedKey.MatchString(text) {
		return false
	}
	s.spaceBehind(p.line, p.from+strings.IndexByte(text, ':'), "write `key: value`", "a key needs a space behind its colon")
	return true
}

// firstWithoutColon reports the first key of a map that has no colon, seen by the
// key below it.
func (s *scanner) firstWithoutColon(p *plainText) bool {
	first, _, _ := strings.Cut(s.at(p.line)[p.from:], " ")
	if !p.item || !bareKey.MatchString(first) {
		return false
	}
	s.withoutColon(p.line, p.from, p.from+len(first))
	return true
}

// withoutColon reports a key that has no colon, and gives it one.
func (s *scanner) withoutColon(line, from, to int) {
	s.tell(line, from, to, "missing-colon", "write `key: value`", "the lines around are keys with values; this line has no colon")
	s.text.unclear(line, from, to)
	s.text.insert(line, to, ":")
	s.again(line)
}

// spaceBehind reports a colon or a dash that lacks a space, and gives it one.
func (s *scanner) spaceBehind(line, at int, help, message string) {
	s.tell(line, at, at+1, "missing-space", help, message)
	s.text.insert(line, at+1, " ")
	s.again(line)
}

func isDash(s string) bool { return s == "-" || strings.HasPrefix(s, "- ") }

// content reads dashes, a key and a value.
func (s *scanner) content(text string, at int) {
	s.fresh = false
	for isDash(text[at:]) {
		s.enter(at, true)
		at++
		for at < len(text) && text[at] == ' ' {
			at++
		}
		if at == len(text) || text[at] == '#' {
			s.fresh = true
			s.line++
			return
		}
	}
	if gluedKeyItem.MatchString(text[at:]) {
		s.noDash(s.open, text, at)
		return
	}
	if strings.Contains(text, "{ ") {
		if m := bracesBehindWord.FindStringSubmatchIndex(text[at:]); m != nil {
			s.withoutColon(s.line, at, at+m[3])
			return
		}
	}
	if end := s.key(text, at); end >= 0 {
		s.enter(at, false)
		s.value(text, end, at)
		return
	}
	if len(s.open) > 0 && !s.top().list && s.top().indent == at {
		s.noColon(text, at)
		return
	}
	if gluedDash.MatchString(text[at:]) && len(s.open) > 0 {
		s.noDash(s.open, text, at)
		return
	}
	parent := -1
	if len(s.open) > 0 {
		parent = s.top().indent
	}
	s.scalar(text, at, parent)
	if s.plain != nil {
		s.plain.item = true
	}
}

// enter opens a collection in a column unless it is open.
func (s *scanner) enter(at int, list bool) {
	if n := len(s.open); n == 0 || s.top().indent != at || s.top().list != list {
		// A copy: what was open before may be needed again.
		s.open = append(s.open[:n:n], level{at, list})
	}
}

// key is the end of a key and its colon, or -1.
func (s *scanner) key(text string, at int) int {
	if c := text[at]; c == '"' || c == '\'' {
		end := quoteEnd(text, at)
		if end < 0 || !strings.HasPrefix(strings.TrimLeft(text[end:], " "), ":") {
			return -1
		}
		return end + strings.IndexByte(text[end:], ':') + 1
	}
	if strings.IndexByte("[{|>!&*@`%#", text[at]) >= 0 {
		return -1
	}
	if i := colonIn(cutComment(text[at:])); i >= 0 {
		return at + i + 1
	}
	return -1
}

// bracesBehindWord is a key without its colon before a map.
var bracesBehindWord = regexp.MustCompile(`^([A-Za-z_][\w.-]*(?:, *[A-Za-z_][\w.-]*)*) +(?:\{.*:.*\}|\[\{.*:.*\}\])\s*(?:#.*)?$`)

var bareKey = regexp.MustCompile(`^[A-Za-z_][\w.-]*$`)

// noColon reports a line among the keys of a map that is none.
func (s *scanner) noColon(text string, at int) {
	end := strings.IndexAny(text[at:], " \t")
	if end < 0 {
		end = len(text) - at
	}
	switch {
	case gluedKey.MatchString(text[at:]):
		s.spaceBehind(s.line, at+strings.IndexByte(text[at:], ':'), "write `key: value`", "a key needs a space behind its colon")
		return
	case gluedDash.MatchString(text[at:]):
		s.noDash(s.open, text, at)
		return
	case strings.IndexByte("]}", text[at]) >= 0:
		s.unopened(text, at)
		return
	case s.hollow == s.line:
		s.shallowBlock(text, at)
		return
	}
	if bareKey.MatchString(text[at : at+end]) {
		s.withoutColon(s.line, at, at+end)
		return
	}
	s.tell(s.line, at, at+end, "missing-colon", "write `key: value`", "the lines around are keys with values; this line has no colon")
	s.drop(s.line, s.line)
}

// shallowBlock reports the text of a block that stands in the column of its key,
// and moves it to the right.
func (s *scanner) shallowBlock(text string, at int) {
	s.tell(s.line, at, len(text), "bad-indentation", "indent it", "the text of the block above must stand deeper than its key")
	for first := s.line; s.line <= len(s.text.lines) && s.going(); s.line++ {
		line := s.at(s.line)
		if rest := line[min(indentOf(line), at):]; strings.TrimSpace(line) != "" && s.line > first &&
			(indentOf(line) < at || isDash(rest) || keyForm.MatchString(rest)) {
			return
		}
		s.text.shift(s.line, 2)
	}
}

func (s *scanner) unopened(text string, at int) {
	s.tell(s.line, at, at+1, "unclosed-bracket", "remove it, or open it before", "the bracket "+text[at:at+1]+" was never opened")
	s.text.replace(s.line, at, " ")
}

// value reads what stands behind a key on its line. parent is the column of the
// map.
func (s *scanner) value(text string, at, parent int) {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	if at == len(text) || text[at] == '#' {
		s.fresh = true
		s.line++
		return
	}
	if isDash(text[at:]) {
		s.tell(s.line, at, at+1, "bad-indentation", "write the dash on the next line, deeper than the key", "a list cannot begin behind its key")
		last := s.deeper(s.line, parent)
		s.text.lost(s.line, last)
		s.text.quote(s.line, at, len(text))
		for n := s.line + 1; n <= last; n++ {
			s.text.cut(n, 0)
		}
		s.line = last + 1
		return
	}
	s.scalar(text, at, parent)
}
