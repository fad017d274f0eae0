package format

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/quell-soar/quell/playbooks/ast"
)

const (
	// width is how long a line may get before brackets are written in lines.
	width = 100
	// commentColumn is where comments behind short lines begin, from 0.
	commentColumn = 40
)

// settle orders the entries of maps with fixed keys and decides which brackets
// become lines.
func (e *entry) settle() {
	for _, in := range e.inside {
		in.settle()
	}
	if e.value.Flow {
		lines := e.value.Span.End.Line > e.value.Span.Start.Line
		e.spread = len(e.inside) > 0 && (slices.ContainsFunc(e.inside, (*entry).commented) ||
			(lines && e.indent()+utf8.RuneCountInString(e.prefix()+e.inBrackets()) > width))
	}
	e.order()
	if e.key == nil && e.parent != nil && !e.inline() {
		e.hoist()
	}
}

// hoist puts above a dash what has no line of its own behind it: the comments of
// what the dash leads, and the one behind brackets that became lines.
func (e *entry) hoist() {
	if first := e.inside[0]; len(trimmed(first.above)) > 0 {
		e.above, first.above = append(e.above, first.above...), nil
	}
	if e.beside != "" {
		e.above, e.beside = append(e.above, e.beside), ""
	}
}

// commented reports whether comments or lines stand in an entry.
func (e *entry) commented() bool {
	return e.beside != "" || len(e.foot) > 0 || slices.ContainsFunc(e.above, func(s string) bool { return s != "" }) ||
		slices.ContainsFunc(e.inside, (*entry).commented)
}

// order sorts a map's entries as its shape lists them; unknown keys stand last,
// as they were.
func (e *entry) order() {
	if e.shape == nil || e.shape.Form != ast.Object || !e.value.IsMap {
		return
	}
	slices.SortStableFunc(e.inside, func(a, b *entry) int { return e.rank(a) - e.rank(b) })
}

func (e *entry) rank(in *entry) int {
	i := slices.IndexFunc(e.shape.Keys, func(k ast.Key) bool { return k.Name == in.key.Value })
	if i < 0 {
		return len(e.shape.Keys)
	}
	return i
}

// leads is the entry that will stand first.
func (e *entry) leads() *entry {
	first := e.inside[0]
	if e.shape == nil || e.shape.Form != ast.Object {
		return first
	}
	for _, in := range e.inside[1:] {
		if e.rank(in) < e.rank(first) {
			first = in
		}
	}
	return first
}

// inline reports whether a value is written behind its key on one line.
func (e *entry) inline() bool {
	return e.value.Scalar != nil || len(e.inside) == 0 || (e.value.Flow && !e.spread)
}

// indent is how far an entry stands in: two for each collection around it.
func (e *entry) indent() int {
	n := 0
	for p := e.parent; p != nil && p.parent != nil; p = p.parent {
		n += 2
	}
	return n
}

func (e *entry) prefix() string {
	if e.key == nil {
		return "- "
	}
	return keyText(e.key, false) + ": "
}

// printer writes lines.
type printer struct{ out strings.Builder }

func (d *document) print() []byte {
	p := &printer{}
	head := trimmed(d.head)
	for _, line := range head {
		p.line(0, line, "")
	}
	if len(head) > 0 && d.head[len(d.head)-1] == "" {
		p.line(0, "", "")
	}
	p.entries(d.root, 0)
	return []byte(strings.TrimRight(p.out.String(), "\n") + "\n")
}

// trimmed is without empty lines at both ends.
func trimmed(lines []string) []string {
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// line writes a line with a comment behind it.
func (p *printer) line(indent int, text, comment string) {
	text = strings.Repeat(" ", indent) + text
	if comment != "" {
		text += strings.Repeat(" ", max(1, commentColumn-utf8.RuneCountInString(text))) + comment
	}
	p.out.WriteString(strings.TrimRight(text, " ") + "\n")
}

// sections are the keys of a file that an empty line stands above where they
// take several.
var sections = []string{"inputs", "settings", "on", "limits", "triage", "contain", "eradicate", "recover", "review", "outputs"}

// entries writes the entries of a collection as lines.
func (p *printer) entries(e *entry, indent int) {
	if len(e.inside) == 0 && e.parent == nil {
		p.line(indent, emptyOf(e), "")
	}
	for i, in := range e.inside {
		p.above(in, indent, i == 0)
		p.entry(in, indent, "")
	}
	for i, line := range e.foot {
		if line == "" && i > 0 && e.foot[i-1] == "" {
			continue
		}
		p.line(lineIndent(line, indent), line, "")
	}
}

func lineIndent(line string, indent int) int {
	if line == "" {
		return 0
	}
	return indent
}

// above writes the lines of comments above an entry.
func (p *printer) above(e *entry, indent int, first bool) {
	lines := e.above
	if first {
		for len(lines) > 0 && lines[0] == "" {
			lines = lines[1:]
		}
	} else if e.parent.parent == nil && e.key != nil && slices.Contains(sections, e.key.Value) && !e.inline() && (len(lines) == 0 || lines[0] != "") {
		lines = append([]string{""}, lines...)
	}
	for i, line := range lines {
		if line == "" && i > 0 && lines[i-1] == "" {
			continue
		}
		p.line(lineIndent(line, indent), line, "")
	}
}

// entry writes one entry. lead is what stands on its first line already.
func (p *printer) entry(e *entry, indent int, lead string) {
	if e.key == nil {
		p.item(e, indent, lead+"- ")
		return
	}
	key := lead + keyText(e.key, false) + ":"
	at := indent - len(lead)
	switch {
	case e.value.Scalar != nil:
		p.scalar(e, key, at, indent)
	case e.inline():
		p.line(at, key+" "+e.inBrackets(), e.beside)
	default:
		p.line(at, key, e.beside)
		p.entries(e, indent+2)
	}
}

// item writes an entry of a list. The first entry of what it holds stands on
// the dash's line.
func (p *printer) item(e *entry, indent int, lead string) {
	at := indent + 2 - len(lead)
	switch {
	case e.value.Scalar != nil:
		p.scalar(e, strings.TrimRight(lead, " "), at, indent)
	case e.inline():
		p.line(at, lead+e.inBrackets(), e.beside)
	default:
		p.entry(e.inside[0], indent+2, lead)
		for _, in := range e.inside[1:] {
			p.above(in, indent+2, false)
			p.entry(in, indent+2, "")
		}
		for _, line := range e.foot {
			p.line(lineIndent(line, indent+2), line, "")
		}
	}
}

// scalar writes a text behind a key or a dash: on the line, or as a block below.
func (p *printer) scalar(e *entry, key string, at, indent int) {
	head, block := scalarText(e)
	if head != "" {
		key += " " + head
	}
	p.line(at, key, e.beside)
	for _, line := range block {
		n := indent + 2
		if line == "" {
			n = 0
		}
		// What stands behind a text in a block belongs to it.
		p.out.WriteString(strings.Repeat(" ", n) + line + "\n")
	}
}

func emptyOf(e *entry) string {
	if e.value.IsMap {
		return "{}"
	}
	return "[]"
}

// inBrackets writes a value on one line.
func (e *entry) inBrackets() string {
	switch {
	case e.value.Scalar != nil:
		return flowText(e.value.Scalar)
	case len(e.inside) == 0:
		return emptyOf(e)
	}
	e.order()
	parts := make([]string, len(e.inside))
	for i, in := range e.inside {
		parts[i] = in.inBrackets()
		if in.key != nil && parts[i] == "" { // a colon before a comma would belong to the key
			parts[i] = keyText(in.key, true)
		} else if in.key != nil {
			parts[i] = keyText(in.key, true) + ": " + parts[i]
		}
	}
	if e.value.IsMap {
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
