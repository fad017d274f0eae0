package parse

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/source"
)

// mended is a text as its author most likely meant it: the scanner writes it
// while it looks for mistakes, so that YAML can read what stands around them. It
// has the lines of the file, and knows for each column where it stands there.
type mended struct {
	file  *source.File
	lines []string
	// moves are the columns that came or went, by line, in the order in which
	// that was done.
	moves map[int][]move
	// damage is where the text says less than its author meant.
	damage ast.Damage
	// opaque says that the file itself has the characters of stand-ins.
	opaque bool
}

// move says that from a column on (1-based) a line stands further right, or left
// where by is negative.
type move struct{ column, by int }

func newMended(f *source.File) *mended {
	m := &mended{file: f, lines: make([]string, f.Lines()), moves: map[int][]move{}}
	m.opaque = bytes.Contains(f.Bytes, []byte("\xee\x80")) || bytes.Contains(f.Bytes, []byte("\xee\x81"))
	for n := range m.lines {
		m.lines[n] = f.Line(n + 1)
	}
	return m
}

// clone is a text of its own that says the same.
func (m *mended) clone() *mended {
	c := &mended{file: m.file, lines: slices.Clone(m.lines), moves: make(map[int][]move, len(m.moves)), damage: m.damage, opaque: m.opaque}
	for n, v := range m.moves {
		c.moves[n] = slices.Clone(v)
	}
	return c
}

// line returns a line by its number from 1; "" where there is none.
func (m *mended) line(n int) string {
	if n < 1 || n > len(m.lines) {
		return ""
	}
	return m.lines[n-1]
}

// bytes is the whole text.
func (m *mended) bytes() []byte { return []byte(strings.Join(m.lines, "\n") + "\n") }

// column is where a column of a line stands in the file.
func (m *mended) column(line, column int) int {
	for _, v := range slices.Backward(m.moves[line]) {
		switch {
		case v.by < 0 && column < v.column, v.by > 0 && column <= v.column:
		case v.by > 0 && column < v.column+v.by: // what came
			column = v.column
		default:
			column -= v.by
		}
	}
	return column
}

// offset is where a byte of a line stands in the file.
func (m *mended) offset(line, at int) int {
	text := m.line(line)
	return m.file.Offset(line, m.column(line, utf8.RuneCountInString(text[:min(at, len(text))])+1))
}

// insert puts text before a byte of a line.
func (m *mended) insert(line, at int, text string) {
	old := m.lines[line-1]
	m.moves[line] = append(m.moves[line], move{utf8.RuneCountInString(old[:at]) + 1, utf8.RuneCountInString(text)})
	m.lines[line-1] = old[:at] + text + old[at:]
}

// shift moves a line by columns; it has the spaces to go left.
func (m *mended) shift(line, by int) {
	if by >= 0 {
		m.insert(line, 0, strings.Repeat(" ", by))
		return
	}
	m.moves[line] = append(m.moves[line], move{1, by})
	m.lines[line-1] = m.lines[line-1][-by:]
}

// cut takes the rest of a line away.
func (m *mended) cut(line, at int) { m.lines[line-1] = strings.TrimRight(m.lines[line-1][:at], " \t") }

// replace writes other characters over as many.
func (m *mended) replace(line, at int, text string) {
	old := m.lines[line-1]
	m.lines[line-1] = old[:at] + text + old[at+len(text):]
}

// A character that YAML would take for its own is written as one of a private
// range, and read back when YAML is done: so it stands for itself, in its column.
const (
	standIn  = '\uE000'
	meanings = ":#{}[],&*!|>'\"%@`?\\-"
)

// expand writes spaces for the tabs that a line begins with.
func (m *mended) expand(line, width int) {
	for at := 0; at < len(m.line(line)); at++ {
		switch m.line(line)[at] {
		case ' ':
		case '\t':
			m.replace(line, at, " ")
			m.insert(line, at+1, strings.Repeat(" ", width-1))
		default:
			return
		}
	}
}

// drop takes a line away, with what stands deeper below it; false where there is
// none.
func (m *mended) drop(line int) bool {
	line = min(line, len(m.lines))
	for line > 0 && strings.TrimSpace(m.line(line)) == "" {
		line--
	}
	if line < 1 {
		return false
	}
	last, indent := line, indentOf(m.line(line))
	for n := line + 1; n <= len(m.lines); n++ {
		text := m.line(n)
		if strings.TrimSpace(text) != "" && indentOf(text) <= indent {
			break
		}
		last = n
	}
	m.lost(line, last)
	for n := line; n <= last; n++ {
		m.cut(n, 0)
	}
	return true
}

// restore puts the nodes of YAML where they stand in the file, and says what they
// say there.
func (m *mended) restore(n *yaml.Node) {
	n.Column = m.column(n.Line, n.Column)
	if !m.opaque {
		n.Value = plain(n.Value)
	}
	for _, c := range n.Content {
		m.restore(c)
	}
}

// stand writes stand-ins for the characters at bytes of a line, which are ASCII and
// in order.
func (m *mended) stand(line int, places []int) {
	var b strings.Builder
	done, old := 0, m.lines[line-1]
	for _, at := range places {
		b.WriteString(old[done:at])
		b.WriteRune(standIn + rune(old[at]))
		done = at + 1
	}
	m.lines[line-1] = b.String() + old[done:]
}

// quote makes a part of a line plain text.
func (m *mended) quote(line, from, to int) {
	old := m.lines[line-1]
	part := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && strings.ContainsRune(meanings, r) {
			return standIn + r
		}
		return r
	}, old[from:to])
	m.lines[line-1] = old[:from] + part + old[to:]
}

// plain is a text with the characters that stand-ins stand for.
func plain(text string) string {
	if !strings.Contains(text, "\xee") {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r >= standIn && r < standIn+utf8.RuneSelf {
			return r - standIn
		}
		return r
	}, text)
}

// lost notes lines whose meaning is gone, moved lines that were put where they
// seem to belong, and unclear a part of a line that is kept, though it cannot be
// what was meant.
func (m *mended) lost(first, last int) {
	m.damage.Lost = append(m.damage.Lost, m.file.Span(m.file.Offset(first, 1), m.file.Offset(last, 1<<30)))
}

func (m *mended) moved(first, last int) {
	m.damage.Moved = append(m.damage.Moved, m.file.Span(m.file.Offset(first, 1), m.file.Offset(last, 1<<30)))
}

func (m *mended) unclear(line, from, to int) {
	m.damage.Unclear = append(m.damage.Unclear, m.file.Span(m.offset(line, from), m.offset(line, to)))
}
