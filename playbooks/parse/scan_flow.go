package parse

import "strings"

// flowScan reads one value in brackets.
type flowScan struct {
	s            *scanner
	parent       int
	first, from  int
	text         string
	at           int
	open         []byte
	places       [][2]int
	fresh, keyed bool
}

// flow reads a value in [ ] or { }, over lines.
func (s *scanner) flow(at, parent int) {
	f := &flowScan{s: s, parent: parent, first: s.line, from: at, text: s.file.Line(s.line), at: at, fresh: true}
	for s.found == nil {
		if f.at >= len(f.text) {
			s.line++
			if s.line > s.file.Lines() || s.outside(s.file.Line(s.line), parent) {
				f.unclosed()
				return
			}
			f.text, f.at = s.file.Line(s.line), 0
			continue
		}
		if f.step() {
			f.behind()
			return
		}
	}
}

// unclosed reports the innermost bracket that is open.
func (f *flowScan) unclosed() {
	p := f.places[len(f.places)-1]
	f.s.tell(p[0], p[1], p[1]+1, "unclosed-bracket", "close it, or write the entries on lines of their own", "the bracket is not closed")
}

// step takes one token; it reports true behind the last bracket.
func (f *flowScan) step() bool {
	c := f.text[f.at]
	switch {
	case c == ' ' || c == '\t':
		f.at++
	case c == '#' && (f.at == 0 || f.text[f.at-1] == ' '):
		f.at = len(f.text)
	case strings.HasPrefix(f.text[f.at:], "${{"):
		f.s.tell(f.s.line, f.at, f.at+3, "flow-braces", "quote the value: \"${{ … }}\", or write the map on lines of its own",
			"inside { } or [ ] the braces of an expression end the map")
	case c == '[' || c == '{':
		f.open, f.places = append(f.open, c), append(f.places, [2]int{f.s.line, f.at})
		f.at++
		f.fresh, f.keyed = true, false
	case c == ']' || c == '}':
		return f.close(c)
	case c == ',':
		if f.fresh && !f.keyed {
			f.s.tell(f.s.line, f.at, f.at+1, "empty-value", "remove the comma, or write the entry", "there is nothing before this comma")
		}
		f.at++
		f.fresh, f.keyed = true, false
	case c == ':':
		f.at++
		f.fresh, f.keyed = true, true
	case !f.fresh:
		f.s.tell(f.s.line, f.at, f.at+1, "missing-comma", "write a comma between the entries", "a comma is missing before this")
	case c == '"' || c == '\'':
		f.quote()
	default:
		f.word()
	}
	return false
}

func (f *flowScan) close(c byte) bool {
	last := f.open[len(f.open)-1]
	if (c == ']') != (last == '[') {
		f.unclosed()
		return false
	}
	f.open, f.places = f.open[:len(f.open)-1], f.places[:len(f.places)-1]
	f.at++
	f.fresh = false
	return len(f.open) == 0
}

func (f *flowScan) quote() {
	end := quoteEnd(f.text, f.at)
	if end < 0 {
		// A quote over lines inside brackets: nobody writes it on purpose.
		f.s.tell(f.s.line, f.at, len(strings.TrimRight(f.text, " \t")), "unclosed-quote", "close it", "the quote is not closed")
		return
	}
	f.s.escapes(f.text, f.text[f.at:f.at+1], f.at+1, end)
	f.at, f.fresh = end, false
}

// word takes text without quotes up to what ends it.
func (f *flowScan) word() {
	from := f.at
	if strings.IndexByte("@`%", f.text[from]) >= 0 {
		f.s.tell(f.s.line, from, from+1, "reserved-character", "quote the value", "a value without quotes cannot begin with "+f.text[from:from+1])
		return
	}
	for f.at < len(f.text) {
		c := f.text[f.at]
		if strings.IndexByte(",[]{}", c) >= 0 || (c == '#' && f.text[f.at-1] == ' ') {
			if strings.HasPrefix(f.text[f.at-1:], "${{") {
				f.at--
				f.fresh = true
				return
			}
			break
		}
		if c == '?' && (f.at+1 == len(f.text) || f.text[f.at+1] == ' ') {
			f.s.tell(f.s.line, f.at, f.at+1, "reserved-character", "quote the value, or write the map on lines of its own",
				"inside { } or [ ] a ? before a space has a meaning of its own in YAML")
			return
		}
		if c == ':' && (f.at+1 == len(f.text) || strings.IndexByte(" \t,[]{}", f.text[f.at+1]) >= 0) {
			if f.keyed {
				at := from + strings.LastIndexByte(strings.TrimRight(f.text[from:f.at], " "), ' ') + 1
				f.s.tell(f.s.line, at, f.at, "missing-comma", "write a comma between the entries", "a comma is missing before this")
				return
			}
			break
		}
		f.at++
	}
	f.fresh = false
}

// behind looks at what follows the last bracket.
func (f *flowScan) behind() {
	rest := cutComment(strings.TrimRight(f.text[f.at:], " \t"))
	if t := strings.TrimLeft(rest, " \t"); t != "" {
		from := f.at + len(rest) - len(t)
		f.s.tell(f.s.line, from, f.at+len(rest), "text-after-bracket", "quote the whole value, or write it in a | block", "there is text behind the closing bracket")
		return
	}
	f.s.line++
}
