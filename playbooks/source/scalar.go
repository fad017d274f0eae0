package source

import (
	"strings"
	"unicode/utf8"
)

// Style is how a YAML scalar is written.
type Style int

// The styles of YAML scalars.
const (
	Plain Style = iota
	Single
	Double
	Literal
	Folded
)

// Scalar is a YAML scalar: its decoded value and where each byte of the value
// stands in the file.
type Scalar struct {
	File  *File
	Value string
	Style Style
	// start and end are offsets of the scalar in the file, quotes or block
	// header included.
	start, end int
	// at has the file offset of each byte of Value, and of its end. It is nil where
	// Value stands in the file as it is, from the offset as; where decoding did not
	// give Value again either, as is -1 and every place is the start.
	at []int
	as int
}

// NewScalar maps a scalar that starts at a byte offset.
func NewScalar(f *File, start int, style Style, value string) *Scalar {
	s := &Scalar{File: f, Value: value, Style: style, start: start, as: -1}
	if s.asItIs() {
		return s
	}
	d := decoder{src: f.Bytes, pos: start, value: value, at: make([]int, 0, len(value)+1)}
	ok := false
	switch style {
	case Plain:
		ok = d.plain()
	case Single:
		ok = d.quoted('\'')
	case Double:
		ok = d.quoted('"')
	case Literal, Folded:
		ok = d.block()
	}
	s.end = min(max(d.pos, start), len(f.Bytes))
	if ok && len(d.at) == len(value)+1 {
		s.at = d.at
	}
	if !ok {
		at := f.At(start)
		end := max(f.Offset(at.Line, 1<<30), start) // which may stand in the line's end already
		s.end = start + len(strings.TrimRight(string(f.Bytes[start:end]), " "))
	}
	return s
}

// asItIs takes the short way where the file writes the value without an escape and
// on one line, as nearly always.
func (s *Scalar) asItIs() bool {
	quote, from := "", s.start
	switch s.Style {
	case Plain:
	case Single:
		quote = "'"
	case Double:
		quote = `"`
	default:
		return false
	}
	text := s.File.Bytes[min(max(from, 0), len(s.File.Bytes)):]
	n := len(quote)
	if len(text) < 2*n+len(s.Value) || string(text[:n]) != quote ||
		string(text[n:n+len(s.Value)]) != s.Value || string(text[n+len(s.Value):2*n+len(s.Value)]) != quote ||
		strings.ContainsAny(s.Value, "\r\n\\"+quote) || !utf8.ValidString(s.Value) {
		return false
	}
	s.as, s.end = from+n, from+2*n+len(s.Value)
	return true
}

// Exact reports whether places within the value are known.
func (s *Scalar) Exact() bool { return s.at != nil || s.as >= 0 }

// place is the file offset of a byte of the value, or of its end.
func (s *Scalar) place(i int) int {
	if s.at == nil {
		return s.as + i
	}
	return s.at[i]
}

// Span is the whole scalar in the file.
func (s *Scalar) Span() Span { return s.File.Span(s.start, s.end) }

// End is the offset behind the scalar.
func (s *Scalar) End() int { return s.end }

// Part is the span of Value[from:to] in the file.
func (s *Scalar) Part(from, to int) Span {
	if !s.Exact() {
		return s.Span()
	}
	from = min(max(from, 0), len(s.Value))
	to = min(max(to, from), len(s.Value))
	// A line break at the end is nothing that anybody wants to be shown.
	for to > from+1 && s.Value[to-1] == '\n' {
		to--
	}
	end := s.place(to)
	if to > from {
		// The end is where the last character ends: behind a line break or an
		// escaped one the next character stands on another line.
		_, size := utf8.DecodeLastRuneInString(s.Value[:to])
		last := s.place(to - size)
		end = last + s.width(last)
	}
	return s.File.Span(s.place(from), max(end, s.place(from)))
}

// width is how many bytes of the file write the character that begins at a
// place.
func (s *Scalar) width(at int) int {
	text := s.File.Bytes[at:]
	switch {
	case len(text) < 2:
		return len(text)
	case s.Style == Double && text[0] == '\\':
		return min(2+hexLength[text[1]], len(text))
	case s.Style == Single && text[0] == '\'':
		return 2
	}
	_, n := utf8.DecodeRune(text)
	return n
}
