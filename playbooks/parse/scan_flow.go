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
	// last is the line and the place of the last word.
	last [2]int
	// told says that something was told that explains an open bracket.
	told bool
}

// flow reads a value in [ ] or { }, over lines.
func (s *scanner) flow(at, parent int) {
	f := &flowScan{s: s, parent: parent, first: s.line, from: at, text: s.at(s.line), at: at, fresh: true}
	for s.going() {
		if f.at >= len(f.text) {
			s.line++
			if s.line > len(s.text.lines) || outside(s.at(s.line), parent) {
				f.ends()
				return
			}
			f.text, f.at = s.text.line(s.line), 0
			continue
		}
		if f.step() {
			f.behind()
			return
		}
	}
}

// tell reports bytes of the current line.
func (f *flowScan) tell(from, to int, code, help, message string) {
	f.s.tell(f.s.line, from, to, code, help, message)
}

// reread takes the current line anew, which was mended.
func (f *flowScan) reread() { f.text = f.s.at(f.s.line) }

// unclosed reports the innermost bracket that is open.
func (f *flowScan) unclosed() {
	if f.told {
		return
	}
	f.told = true
	p := f.places[len(f.places)-1]
	f.s.tell(p[0], p[1], p[1]+1, "unclosed-bracket", "close it, or write the entries on lines of their own", "the bracket is not closed")
}

// ends closes the brackets that are open where the value is over.
func (f *flowScan) ends() {
	f.unclosed()
	n := f.s.line - 1
	for n > f.first && strings.TrimSpace(cutComment(f.s.at(n))) == "" {
		n--
	}
	closing := ""
	for _, b := range f.open {
		closing = string(closer(b)) + closing
	}
	f.s.text.insert(n, len(cutComment(f.s.at(n))), closing)
}

func closer(open byte) byte {
	if open == '[' {
		return ']'
	}
	return '}'
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
		f.braces()
	case (c == '[' || c == '{') && !f.fresh:
		f.behindWord()
	case c == '[' || c == '{':
		f.open, f.places = append(f.open, c), append(f.places, [2]int{f.s.line, f.at})
		f.at++
		f.fresh, f.keyed = true, false
	case c == ']' || c == '}':
		return f.close(c)
	case c == ',':
		f.comma()
	case c == ':':
		f.at++
		f.fresh, f.keyed = true, true
	case !f.fresh:
		f.missingComma(f.at, f.at+1)
	case c == '"' || c == '\'':
		f.quote()
	default:
		f.word()
	}
	return false
}

// braces reports an expression without quotes, and takes it for a text.
func (f *flowScan) braces() {
	f.tell(f.at, f.at+3, "flow-braces", "quote the value: \"${{ … }}\", or write the map on lines of its own",
		"inside { } or [ ] the braces of an expression end the map")
	end := expressionEnd(f.text, f.at)
	if end < 0 { // up to the brackets at the end of the line
		end = len(strings.TrimRight(cutComment(f.text), " \t]}"))
		f.s.text.unclear(f.s.line, f.at, end)
		f.told = true
	}
	f.s.text.quote(f.s.line, f.at, max(end, f.at+3))
	f.reread()
}

// expressionEnd is the place behind the }} of the expression that begins at a
// place of a line, or -1.
func expressionEnd(text string, at int) int {
	depth := 0
	for i := at + 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '\'':
			end := quoteEnd(text, i)
			if end < 0 {
				return -1
			}
			i = end - 1
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// behindWord reports a bracket behind a word: of a map it is a key without its
// colon, otherwise a comma is missing.
func (f *flowScan) behindWord() {
	if f.keyed || f.open[len(f.open)-1] != '{' || f.last[0] != f.s.line {
		f.missingComma(f.at, f.at+1)
		return
	}
	from := f.last[1]
	to := from + len(strings.TrimRight(f.text[from:f.at], " "))
	f.tell(from, to, "missing-colon", "write `key: value`", "a key needs a colon before its value")
	f.s.text.insert(f.s.line, to, ":")
	f.reread()
	f.at, f.fresh = from, true
}

func (f *flowScan) close(c byte) bool {
	last := f.open[len(f.open)-1]
	if (c == ']') != (last == '[') {
		f.unclosed()
		if len(f.open) > 1 && closer(f.open[len(f.open)-2]) == c {
			f.s.text.insert(f.s.line, f.at, string(closer(last)))
		} else {
			f.s.text.replace(f.s.line, f.at, string(closer(last)))
		}
		f.reread()
		return false
	}
	f.open, f.places = f.open[:len(f.open)-1], f.places[:len(f.places)-1]
	f.at++
	f.fresh = false
	return len(f.open) == 0
}

// comma ends an entry.
func (f *flowScan) comma() {
	if f.fresh && !f.keyed {
		f.tell(f.at, f.at+1, "empty-value", "remove the comma, or write the entry", "there is nothing before this comma")
		f.s.text.replace(f.s.line, f.at, " ")
		f.reread()
	}
	f.at++
	f.fresh, f.keyed = true, false
}

// missingComma reports a place at which an entry begins behind another, and
// writes the comma.
func (f *flowScan) missingComma(at, to int) {
	if !f.told {
		f.tell(at, to, "missing-comma", "write a comma between the entries", "a comma is missing before this")
	}
	f.told = true
	from := 0
	if f.s.line == f.first {
		from = f.from
	}
	f.s.text.unclear(f.s.line, from, len(f.text))
	f.s.text.insert(f.s.line, at, ",")
	f.reread()
}

func (f *flowScan) quote() {
	end := quoteEnd(f.text, f.at)
	if end < 0 {
		// A quote over lines inside brackets: nobody writes it on purpose.
		to := len(strings.TrimRight(f.text, " \t"))
		f.tell(f.at, to, "unclosed-quote", "close it", "the quote is not closed")
		f.told = true
		f.s.spoil(f.s.line, f.at, to)
		f.reread()
		return
	}
	mark := f.text[f.at : f.at+1]
	if f.s.escapes(mark, f.at+1, end) {
		f.reread()
		end = quoteEnd(f.text, f.at)
	}
	f.at, f.fresh = end, false
}

// word takes text without quotes up to what ends it.
func (f *flowScan) word() {
	from := f.at
	f.last = [2]int{f.s.line, from}
	if strings.IndexByte("@`%", f.text[from]) >= 0 {
		f.reserved("quote the value", "a value without quotes cannot begin with "+f.text[from:from+1])
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
			f.reserved("quote the value, or write the map on lines of its own", "inside { } or [ ] a ? before a space has a meaning of its own in YAML")
			continue
		}
		if c == ':' && (f.at+1 == len(f.text) || strings.IndexByte(" \t,[]{}", f.text[f.at+1]) >= 0) {
			if words := strings.Fields(f.text[from:f.at]); f.keyed && len(words) > prose {
				f.colon()
				continue
			}
			if f.keyed {
				at := from + strings.LastIndexByte(strings.TrimRight(f.text[from:f.at], " "), ' ') + 1
				f.missingComma(at, f.at)
				f.at = from
				return
			}
			break
		}
		f.at++
	}
	f.fresh = false
}

// prose is how many words a value may have before one that a colon follows: more
// are a sentence, and no two entries.
const prose = 2

// colon reports a colon within a value, and takes it for text.
func (f *flowScan) colon() {
	f.tell(f.at, f.at+1, "colon-in-value", "quote the value, or write the map on lines of its own",
		"YAML takes `: ` inside a value without quotes for the end of a key")
	f.s.text.quote(f.s.line, f.at, f.at+1)
	f.reread()
}

// reserved reports a character that a value in brackets cannot have without
// quotes.
func (f *flowScan) reserved(help, message string) {
	f.tell(f.at, f.at+1, "reserved-character", help, message)
	f.s.text.unclear(f.s.line, f.at, f.at+1)
	f.s.text.quote(f.s.line, f.at, f.at+1)
	f.reread()
}

// behind looks at what follows the last bracket.
func (f *flowScan) behind() {
	rest := cutComment(strings.TrimRight(f.text[f.at:], " \t"))
	t := strings.TrimLeft(rest, " \t")
	if t == "" {
		f.s.line++
		return
	}
	from, to := f.at+len(rest)-len(t), f.at+len(rest)
	f.tell(from, to, "text-after-bracket", "quote the whole value, or write it in a | block", "there is text behind the closing bracket")
	if f.s.line > f.first {
		f.s.text.lost(f.first, f.s.line)
		f.s.text.cut(f.s.line, f.at)
		f.s.line++
		return
	}
	f.s.text.quote(f.s.line, f.from, to)
	f.s.told = f.s.line
	f.s.again(f.s.line)
}
