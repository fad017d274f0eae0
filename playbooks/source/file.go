package source

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"
)

// File is one text with an index of its lines.
type File struct {
	// Name is how messages call the file.
	Name string
	// Bytes is the text as it came; a byte order mark belongs to it.
	Bytes []byte
	lines []int
	// starts counts the characters before every chunk of the text, so that a
	// place in a long line is found without reading the line again.
	starts []int
}

// chunk is how many bytes of the text a count in starts covers.
const chunk = 256

// Position is one place. The zero Position is nowhere.
type Position struct {
	// Offset counts bytes from 0.
	Offset int `json:"offset"`
	// Line and Column are 1-based; Column counts characters.
	Line   int `json:"line"`
	Column int `json:"column"`
}

// Span is the text from Start up to and without End.
type Span struct {
	Start Position `json:"start"`
	End   Position `json:"end"`
}

// bom is UTF-8's byte order mark. It takes no column.
var bom = []byte("\xef\xbb\xbf")

// NewFile indexes the lines of a text.
func NewFile(name string, text []byte) *File {
	f := &File{Name: name, Bytes: text, lines: []int{0}, starts: make([]int, 0, len(text)/chunk+1)}
	n := 0
	for i, b := range text {
		if i%chunk == 0 {
			f.starts = append(f.starts, n)
		}
		if utf8.RuneStart(b) {
			n++
		}
		if b == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	return f
}

// runes is how many characters begin before a byte offset.
func (f *File) runes(offset int) int {
	if len(f.starts) == 0 {
		return 0
	}
	c := min(offset/chunk, len(f.starts)-1)
	n := f.starts[c]
	if c+1 < len(f.starts) && f.starts[c+1]-n == chunk { // each byte is a character
		return n + offset - c*chunk
	}
	for _, b := range f.Bytes[c*chunk : offset] {
		if utf8.RuneStart(b) {
			n++
		}
	}
	return n
}

// Lines is the number of lines; an empty text has one.
func (f *File) Lines() int { return len(f.lines) }

// Line returns the text of a line without its line end; "" where there is none.
func (f *File) Line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	return string(f.Bytes[f.lineStart(n):f.lineEnd(n)])
}

// lineEnd is the offset of a line's end, before its LF or CRLF.
func (f *File) lineEnd(n int) int {
	start, end := f.lineStart(n), len(f.Bytes)
	if n < len(f.lines) {
		end = f.lines[n] - 1
	}
	if end > start && f.Bytes[end-1] == '\r' {
		end--
	}
	return max(start, end)
}

func (f *File) lineStart(n int) int {
	start := f.lines[n-1]
	if n == 1 && bytes.HasPrefix(f.Bytes, bom) {
		start += len(bom)
	}
	return start
}

// At returns the position of a byte offset. Offsets out of the text are moved to
// its ends.
func (f *File) At(offset int) Position {
	offset = min(max(offset, 0), len(f.Bytes))
	n, exact := slices.BinarySearch(f.lines, offset)
	if exact {
		n++
	}
	start := f.lineStart(n)
	return Position{Offset: offset, Line: n, Column: f.runes(offset) - f.runes(min(start, offset)) + 1}
}

// Offset is the inverse of At for a line and a column. Columns behind the line's
// end are its end.
func (f *File) Offset(line, column int) int {
	if line < 1 {
		return 0
	}
	if line > len(f.lines) {
		return len(f.Bytes)
	}
	at, end := f.lineStart(line), f.lineEnd(line)
	if f.runes(end)-f.runes(at) == end-at { // each byte is a character
		return min(at+max(column-1, 0), end)
	}
	// Skip the chunks that lie before the column.
	want := f.runes(at) + column - 1
	if c, _ := slices.BinarySearch(f.starts, want); c-1 > at/chunk {
		at = min((c-1)*chunk, end)
	}
	n := f.runes(at)
	for at < end && (!utf8.RuneStart(f.Bytes[at]) || n < want) {
		if utf8.RuneStart(f.Bytes[at]) {
			n++
		}
		at++
	}
	return at
}

// Span returns the span between two byte offsets.
func (f *File) Span(start, end int) Span {
	return Span{Start: f.At(start), End: f.At(max(start, end))}
}

// Text returns the text that a span covers.
func (f *File) Text(s Span) string {
	start := min(max(s.Start.Offset, 0), len(f.Bytes))
	return string(f.Bytes[start:min(max(s.End.Offset, start), len(f.Bytes))])
}

// String writes a position as line:column.
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// Before reports whether p stands before o.
func (p Position) Before(o Position) bool { return p.Offset < o.Offset }

// IsZero reports whether the span is nowhere.
func (s Span) IsZero() bool { return s == Span{} }
