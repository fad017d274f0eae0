package format

import (
	"bytes"
	"slices"
	"strings"

	"github.com/quell-soar/quell/playbooks/source"
)

// comments finds the comments of a file and gives each to an entry.
type comments struct {
	file *source.File
	doc  *document
	// texts are where scalars stand, in order; a # in one is no comment.
	texts [][2]int
	// starts are the entries in the order of the text, with where they begin.
	starts []anchor
	// marks are the places behind which a comment on the same line belongs to
	// the entry.
	marks []anchor
}

type anchor struct {
	at    int
	entry *entry
}

// comment is one comment, or an empty line between comments.
type comment struct {
	at, line, column int
	text             string
	own              bool
}

func newComments(f *source.File, d *document) *comments {
	c := &comments{file: f, doc: d}
	c.walk(d.root)
	byPlace := func(a, b anchor) int { return a.at - b.at }
	slices.SortStableFunc(c.starts, byPlace)
	slices.SortStableFunc(c.marks, byPlace)
	slices.SortFunc(c.texts, func(a, b [2]int) int { return a[0] - b[0] })
	return c
}

func (c *comments) walk(e *entry) {
	mark := func(at int) { c.marks = append(c.marks, anchor{at, e}) }
	start := e.value.Span.Start.Offset
	if e.key != nil {
		c.text(e.key)
		start = e.key.Span().Start.Offset
		mark(start)
		mark(e.key.End())
	}
	if e.parent != nil {
		c.starts = append(c.starts, anchor{start, e})
	}
	if s := e.value.Scalar; s != nil {
		if c.text(s); s.Value != "" || s.Style != source.Plain {
			mark(s.Span().Start.Offset)
			mark(s.End())
		}
	}
	if e.value.Flow {
		mark(e.value.Span.Start.Offset)
	}
	for _, in := range e.inside {
		c.walk(in)
	}
	if e.value.Flow {
		mark(e.value.Span.End.Offset)
	}
}

func (c *comments) text(s *source.Scalar) {
	start, end := s.Span().Start.Offset, s.End()
	if s.Style == source.Literal || s.Style == source.Folded { // its header may have a comment
		if i := bytes.IndexByte(c.file.Bytes[start:], '\n'); i >= 0 {
			start = min(start+i, end)
		}
	}
	c.texts = append(c.texts, [2]int{start, end})
}

func (c *comments) inText(at int) bool {
	i, exact := slices.BinarySearchFunc(c.texts, at, func(t [2]int, at int) int { return t[0] - at })
	if exact {
		return c.texts[i][1] > at
	}
	return i > 0 && at < c.texts[i-1][1]
}

// all lists the comments and the empty lines, as comments without text.
func (c *comments) all() []comment {
	var out []comment
	for n := 1; n <= c.file.Lines(); n++ {
		line, start := c.file.Line(n), c.file.Offset(n, 1)
		if strings.TrimSpace(line) == "" {
			if !c.inText(start) {
				out = append(out, comment{at: start, line: n, own: true})
			}
			continue
		}
		for i := 0; i < len(line); i++ {
			if line[i] != '#' || (i > 0 && line[i-1] != ' ' && line[i-1] != '\t') || c.inText(start+i) {
				continue
			}
			out = append(out, comment{
				at: start + i, line: n, column: c.file.At(start + i).Column, text: strings.TrimRight(line[i:], " \t"),
				own: strings.Trim(line[:i], " \t") == "",
			})
			break
		}
	}
	return out
}

// attach gives each comment to an entry. Lines of comments above an entry are
// its own; those that stand deeper than the next entry are the foot of what
// ends there.
func (c *comments) attach() {
	var lines []comment
	for _, m := range c.all() {
		if m.text != "" {
			c.doc.count[m.text]++
		}
		if !m.own {
			if e := c.owner(m); e != nil && e.beside == "" && e.parent != nil {
				c.flush(lines, m.at)
				lines, e.beside = nil, m.text
				continue
			} else if e != nil && e.parent != nil {
				e.above = append(e.above, m.text)
				continue
			}
		}
		if len(lines) > 0 && c.between(lines[len(lines)-1].at, m.at) {
			c.flush(lines, m.at)
			lines = nil
		}
		lines = append(lines, m)
	}
	c.flush(lines, len(c.file.Bytes)+1)
}

// between reports whether an entry begins between two places.
func (c *comments) between(from, to int) bool {
	n := c.next(from)
	return n < len(c.starts) && c.starts[n].at < to
}

// next is the first entry that begins behind a place.
func (c *comments) next(at int) int {
	n, _ := slices.BinarySearchFunc(c.starts, at, func(a anchor, at int) int { return a.at - at })
	return n
}

// owner is the entry that a comment behind something on its line is about.
func (c *comments) owner(m comment) *entry {
	line := c.file.Offset(m.line, 1)
	n, _ := slices.BinarySearchFunc(c.marks, m.at+1, func(a anchor, at int) int { return a.at - at })
	if n == 0 || c.marks[n-1].at < line {
		return nil
	}
	// Of what ends at one place the outermost is written there.
	return c.marks[n-1].entry
}

// flush gives lines of comments to what stands around them.
func (c *comments) flush(lines []comment, _ int) {
	if len(lines) == 0 {
		return
	}
	n := c.next(lines[0].at)
	if n == len(c.starts) {
		c.feet(lines, nil)
		return
	}
	e := c.starts[n].entry
	if n == 0 {
		c.doc.head = append(c.doc.head, texts(lines)...)
		return
	}
	// Directives are about the next line: where another key will stand first
	// there, the directive goes with its own.
	if e.key == nil && e.value.IsMap && !e.value.Flow && len(e.inside) > 0 && slices.ContainsFunc(lines, directive) && e.inside[0] != e.leads() {
		e = e.inside[0]
	}
	e.above = append(e.above, texts(c.feet(lines, e))...)
}

func directive(m comment) bool { return strings.Contains(m.text, "quell:") }

// feet takes the comments that stand deeper than the next entry off a run of
// lines: they end the collection that they are level with.
func (c *comments) feet(lines []comment, next *entry) []comment {
	column := 0
	if next != nil {
		column = c.column(next)
	}
	for len(lines) > 0 {
		end := slices.IndexFunc(lines, func(m comment) bool { return m.text != "" })
		if end < 0 || (next != nil && lines[end].column <= column) {
			return lines
		}
		e := c.ending(lines[end])
		if e == nil || (next != nil && within(next, e)) {
			return lines
		}
		e.foot = append(e.foot, texts(lines[:end+1])...)
		lines = lines[end+1:]
	}
	return lines
}

func within(e, outer *entry) bool {
	for ; e != nil; e = e.parent {
		if e == outer {
			return true
		}
	}
	return false
}

// column is where an entry begins; of a list's entry, where its dash stands.
func (c *comments) column(e *entry) int {
	if e.key != nil {
		return e.key.Span().Start.Column
	}
	line := c.file.Line(e.value.Span.Start.Line)
	before := []rune(line)[:min(e.value.Span.Start.Column-1, len([]rune(line)))]
	if i := strings.LastIndex(string(before), "-"); i >= 0 {
		return i + 1
	}
	return e.value.Span.Start.Column
}

// ending is the innermost block that the text before a comment ends in and whose
// entries begin no deeper than the comment.
func (c *comments) ending(m comment) *entry {
	n := c.next(m.at)
	if n == 0 {
		return c.doc.root
	}
	e := c.starts[n-1].entry.parent
	for ; e.parent != nil; e = e.parent {
		if len(e.inside) > 0 && !e.value.Flow && !inFlow(e) && c.column(e.inside[0]) <= m.column {
			break
		}
	}
	return e
}

func inFlow(e *entry) bool {
	for ; e != nil; e = e.parent {
		if e.value.Flow {
			return true
		}
	}
	return false
}

// texts are the lines, runs of empty ones as one.
func texts(lines []comment) []string {
	var out []string
	for _, m := range lines {
		if m.text == "" && len(out) > 0 && out[len(out)-1] == "" {
			continue
		}
		out = append(out, m.text)
	}
	return out
}
