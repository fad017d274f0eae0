package parse

import (
	"regexp"
	"strings"

	"github.com/quell-soar/quell/playbooks/source"
)

// scanner reads a text that YAML refused and looks for the usual mistakes of
// people who write YAML. It knows only the YAML that a playbook may have: block
// maps and lists, the five styles of scalars, { } and [ ]. It stops at the first
// mistake; of a text that YAML accepts it says nothing.
type scanner struct {
	file *source.File
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
	found  *mistake
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
}

// mistake is what was found: a code, its words and its place in bytes.
type mistake struct {
	code, message, help string
	from, to            int
}

// usual looks for a usual mistake; nil where it finds none.
func usual(f *source.File) *mistake {
	s := &scanner{file: f, line: 1, fresh: true}
	for s.line <= f.Lines() && s.found == nil {
		s.next()
	}
	return s.found
}

func (s *scanner) start(line int) int { return s.file.Offset(line, 1) }

// tell notes a mistake at bytes of a line.
func (s *scanner) tell(line, from, to int, code, help, message string) {
	if s.found == nil {
		at := s.start(line)
		s.found = &mistake{code: code, message: message, help: help, from: at + from, to: at + max(from, to)}
	}
}

// next reads one line and what goes on behind it.
func (s *scanner) next() {
	text := strings.TrimRight(s.file.Line(s.line), " \t")
	indent := len(text) - len(strings.TrimLeft(text, " "))
	rest := text[indent:]
	switch {
	case rest == "" || rest[0] == '#':
		if rest != "" {
			s.plain = nil
		}
		s.line++
		return
	case conflict.MatchString(text):
		s.tell(s.line, 0, len(text), "merge-conflict", "take one of the two sides and remove the marks", "a mark of a merge conflict was left in the file")
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

var conflict = regexp.MustCompile(`^\s?(<{7}|={7}|>{7})( |$)`)

var keyForm = regexp.MustCompile(`^[A-Za-z_][\w.-]*:(\s|$)`)

// goesOn reads a line that continues a scalar without quotes.
func (s *scanner) goesOn(text string, indent int) {
	p := s.plain
	rest := cutComment(text[indent:])
	colon := colonIn(rest)
	switch {
	case colon >= 0 && s.glued(p):
	case colon >= 0 && keyForm.MatchString(rest):
		s.tell(s.line, indent, indent+colon, "bad-indentation", "move it below the key that it belongs with",
			"this line stands deeper than the one above, so that YAML takes it for more of its value")
	case colon >= 0:
		s.colon(s.line, indent+colon)
	}
	s.line++
}

func (s *scanner) colon(line, at int) {
	s.tell(line, at, at+1, "colon-in-value", "quote the value, or write it in a | block",
		"YAML takes `: ` inside a value without quotes for the end of a key")
}

var gluedKey = regexp.MustCompile(`^[a-z_][a-z_0-9]*:[^\s:/]`)

// glued reports a key without a space behind its colon.
func (s *scanner) glued(p *plainText) bool {
	text := s.file.Line(p.line)[p.from:]
	if !gluedKey.MatchString(text) {
		return false
	}
	at := p.from + strings.IndexByte(text, ':')
	s.tell(p.line, at, at+1, "missing-space", "write `key: value`", "a key needs a space behind its colon")
	return true
}

// fits closes what the line's indentation ends, and reports where it fits to
// nothing.
func (s *scanner) fits(text string, indent int) bool {
	dash := isDash(text[indent:])
	closed := false
	for len(s.open) > 0 && s.top().indent > indent {
		s.open = s.open[:len(s.open)-1]
		closed = true
	}
	switch {
	case len(s.open) == 0:
		if closed {
			return s.misplaced(indent, len(text), "this line stands further left than everything above it")
		}
		return true
	case s.top().indent == indent && s.top().list && !dash:
		// Keys of a map may stand where the dashes of its last key's list do.
		s.open = s.open[:len(s.open)-1]
		if len(s.open) == 0 || s.top().indent != indent {
			return s.noDash(text, indent)
		}
		return true
	case s.top().indent == indent && !s.top().list && dash:
		if !s.fresh {
			return s.misplaced(indent, len(text), "a list item stands among the keys of a map")
		}
		return true
	case s.top().indent == indent:
		return true
	case closed || !s.fresh:
		return s.misplaced(indent, len(text), "the indentation of this line matches none above it")
	}
	return true
}

func (s *scanner) top() level { return s.open[len(s.open)-1] }

func (s *scanner) misplaced(indent, end int, message string) bool {
	s.tell(s.line, indent, end, "bad-indentation", "begin it in the column of the line that it belongs with", message)
	return false
}

var (
	gluedDash    = regexp.MustCompile(`^-[^\s-]`)
	gluedKeyItem = regexp.MustCompile(`^-[a-z_]+:(\s|$)`)
)

// noDash reports a line among list items that is none.
func (s *scanner) noDash(text string, indent int) bool {
	if strings.IndexByte("]}", text[indent]) >= 0 {
		s.unopened(text, indent)
		return false
	}
	if gluedDash.MatchString(text[indent:]) {
		s.tell(s.line, indent, indent+1, "missing-space", "write `- item`", "a list item needs a space behind its dash")
		return false
	}
	return s.misplaced(indent, len(text), "the lines above are list items; this line is none")
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
		s.noDash(text, at)
		return
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
		s.noDash(text, at)
		return
	}
	parent := -1
	if len(s.open) > 0 {
		parent = s.top().indent
	}
	s.scalar(text, at, parent)
}

// enter opens a collection in a column unless it is open.
func (s *scanner) enter(at int, list bool) {
	if n := len(s.open); n == 0 || s.top().indent != at || s.top().list != list {
		s.open = append(s.open, level{at, list})
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

// noColon reports a line among the keys of a map that is none.
func (s *scanner) noColon(text string, at int) {
	end := strings.IndexAny(text[at:], " \t")
	if end < 0 {
		end = len(text) - at
	}
	if gluedKey.MatchString(text[at:]) {
		i := at + strings.IndexByte(text[at:], ':')
		s.tell(s.line, i, i+1, "missing-space", "write `key: value`", "a key needs a space behind its colon")
		return
	}
	if gluedDash.MatchString(text[at:]) {
		s.noDash(text, at)
		return
	}
	if strings.IndexByte("]}", text[at]) >= 0 {
		s.unopened(text, at)
		return
	}
	if s.hollow == s.line {
		s.tell(s.line, at, len(text), "bad-indentation", "indent it", "the text of the block above must stand deeper than its key")
		return
	}
	s.tell(s.line, at, at+end, "missing-colon", "write `key: value`", "the lines around are keys with values; this line has no colon")
}

func (s *scanner) unopened(text string, at int) {
	s.tell(s.line, at, at+1, "unclosed-bracket", "remove it, or open it before", "the bracket "+text[at:at+1]+" was never opened")
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
		return
	}
	s.scalar(text, at, parent)
}
