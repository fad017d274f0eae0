package parse

import (
	"regexp"
	"strings"
)

// fits closes what the line's indentation ends, and reports where it fits to
// nothing.
func (s *scanner) fits(text string, indent int) bool {
	dash := isDash(text[indent:])
	around := s.open
	for len(s.open) > 0 && s.top().indent > indent {
		s.open = s.open[:len(s.open)-1]
	}
	closed := len(s.open) < len(around)
	switch {
	case len(s.open) == 0:
		if closed {
			return s.misplaced(around, text, indent, "this line stands further left than everything above it")
		}
		return true
	case s.top().indent == indent && s.top().list && !dash:
		// Keys of a map may stand where the dashes of its last key's list do.
		s.open = s.open[:len(s.open)-1]
		if len(s.open) == 0 || s.top().indent != indent {
			return s.noDash(around, text, indent)
		}
		return true
	case s.top().indent == indent && !s.top().list && dash:
		if !s.fresh {
			return s.misplaced(around, text, indent, "a list item stands among the keys of a map")
		}
		return true
	case s.top().indent == indent:
		return true
	case closed || !s.fresh:
		return s.misplaced(around, text, indent, "the indentation of this line matches none above it")
	}
	return true
}

func (s *scanner) top() level { return s.open[len(s.open)-1] }

// misplaced reports a line in a wrong column. It goes with what stands deeper to
// the nearest level of its sort; a line that is no key and no item goes away.
func (s *scanner) misplaced(around []level, text string, indent int, message string) bool {
	s.tell(s.line, indent, len(text), "bad-indentation", "begin it in the column of the line that it belongs with", message)
	s.open = around
	dash := isDash(text[indent:])
	to := -1
	for _, l := range around {
		if l.list == dash && l.indent != indent && (to < 0 || distance(l.indent, indent) <= distance(to, indent)) {
			to = l.indent
		}
	}
	if to < 0 || (!dash && s.key(text, indent) < 0) || s.text.moves[s.line] != nil {
		s.drop(s.line, s.deeper(s.line, indent))
		return false
	}
	s.move(indent, to)
	return false
}

func distance(a, b int) int { return max(a-b, b-a) }

// move puts the current line into another column, with those behind it that
// stand as deep or deeper.
func (s *scanner) move(from, to int) {
	first := s.line
	last, dash := first, isDash(s.text.line(first)[from:])
	end := len(s.text.lines)
	if s.alone(from, to) {
		end = first
	}
	// children is the column of the lines below a key that has its value there.
	children, opens := -1, false
	for n := first; n <= end && s.going(); n++ {
		text := strings.TrimRight(s.at(n), " \t")
		if text == "" {
			continue
		}
		indent := indentOf(text)
		switch {
		case opens && indent > from:
			children = indent
		case indent < children:
			children = -1
		}
		opens = strings.HasSuffix(text, ":")
		other := isDash(text[indent:]) != dash
		if n > first && children < 0 && (indent < from || (indent == from && other) || (indent == to && to > from && !other)) {
			break
		}
		s.text.shift(n, to-from)
		last = n
	}
	s.text.moved(first, last)
}

// alone reports whether the current line, which goes from one column to another,
// stood wrong without what belongs to it: the next line stands where it should.
func (s *scanner) alone(column, to int) bool {
	text := strings.TrimRight(s.at(s.line), " \t")
	next := s.line + 1
	for next < len(s.text.lines) && strings.TrimSpace(s.at(next)) == "" {
		next++
	}
	below := indentOf(s.text.line(next))
	if rest := text[column:]; isDash(rest) {
		inside := len(text) - len(strings.TrimLeft(rest[1:], " "))
		return below < inside || (below > inside && below == inside+to-column)
	}
	return strings.HasSuffix(text, ":") && below == column
}

var (
	gluedDash    = regexp.MustCompile(`^-[^\s-]`)
	gluedKeyItem = regexp.MustCompile(`^-[a-z_]+:(\s|$)`)
)

// noDash reports a line among list items that is none.
func (s *scanner) noDash(around []level, text string, indent int) bool {
	if strings.IndexByte("]}", text[indent]) >= 0 {
		s.open = around
		s.unopened(text, indent)
		return false
	}
	if gluedDash.MatchString(text[indent:]) {
		s.open = around
		s.spaceBehind(s.line, indent, "write `- item`", "a list item needs a space behind its dash")
		return false
	}
	return s.misplaced(around, text, indent, "the lines above are list items; this line is none")
}
