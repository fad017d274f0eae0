package graph

import (
	"fmt"
	"strings"

	"github.com/quell-soar/quell/playbooks/plan"
)

// writer is one of the two languages of arrows.
type writer interface {
	open(id, label string)
	close()
	node(id string, n node, label string)
	edge(from, to, label string, dotted bool)
}

// tail is a place from which the next step follows.
type tail struct {
	id, label string
	dotted    bool
}

// walker walks a drawing along its arrows.
type walker struct {
	w    writer
	next int
	// stops are the nodes that end what comes before review.
	stops []string
}

func (k *walker) id() string {
	k.next++
	return fmt.Sprintf("n%d", k.next)
}

func walk(d drawing, w writer) {
	k := &walker{w: w}
	start := k.id()
	w.node(start, node{class: other}, "start: "+strings.Join(d.starts, "; "))
	tails := []tail{{id: start}}
	for _, b := range d.bands {
		if b.name == string(plan.Review) {
			for _, s := range k.stops {
				tails = append(tails, tail{id: s, dotted: true})
			}
			k.stops = nil
		}
		w.open(k.id(), b.name)
		tails = k.list(b.nodes, tails)
		w.close()
	}
}

func (k *walker) list(nodes []node, tails []tail) []tail {
	for _, n := range nodes {
		tails = k.step(n, tails)
	}
	return tails
}

// step draws one step behind the tails and returns the tails behind it.
func (k *walker) step(n node, tails []tail) []tail {
	if len(n.groups) == 0 {
		id := k.id()
		k.w.node(id, n, label(n))
		k.join(tails, id)
		if n.ends {
			k.stops = append(k.stops, id)
			return skipped(n, tails)
		}
		return append([]tail{{id: id}}, skipped(n, tails)...)
	}
	k.w.open(k.id(), label(n))
	gate := k.id()
	k.w.node(gate, node{class: block}, gateLabel(n))
	k.join(tails, gate)
	var out []tail
	for _, g := range n.groups {
		out = append(out, k.list(g.nodes, []tail{{id: gate, label: g.label}})...)
	}
	k.w.close()
	if n.open {
		out = append(out, tail{id: gate, label: "else"})
	}
	return append(out, skipped(n, tails)...)
}

// skipped are the tails that go past a step with a condition.
func skipped(n node, tails []tail) []tail {
	if !n.conditional {
		return nil
	}
	out := make([]tail, 0, len(tails))
	for _, t := range tails {
		out = append(out, tail{id: t.id, label: "else", dotted: true})
	}
	return out
}

func (k *walker) join(tails []tail, to string) {
	seen := map[tail]bool{}
	for _, t := range tails {
		if !seen[t] {
			seen[t] = true
			k.w.edge(t.id, to, t.label, t.dotted)
		}
	}
}

// label is a node's text, its lines apart.
func label(n node) string {
	lines := []string{n.tag}
	if n.id != "" {
		lines[0] += " " + n.id
	}
	if n.head != "" {
		lines = append(lines, n.head)
	}
	lines = append(append(append(lines, n.when...), n.approve...), n.after...)
	return strings.Join(lines, "\n")
}

func gateLabel(n node) string {
	if n.approve != nil {
		return n.approve[0]
	}
	return n.tag
}

// short cuts the lines of a label.
func short(label string) []string {
	var out []string
	for line := range strings.SplitSeq(label, "\n") {
		out = append(out, wrap(line, 48, 1)...)
	}
	return out
}

// Mermaid writes a plan as a Mermaid flowchart.
func Mermaid(p *plan.Plan) []byte {
	m := &mermaid{}
	m.line("flowchart TD")
	m.depth++
	walk(model(p), m)
	return []byte(m.out.String())
}

type mermaid struct {
	out   strings.Builder
	depth int
	edges []string
}

func (m *mermaid) line(format string, args ...any) {
	m.out.WriteString(strings.Repeat("  ", m.depth) + fmt.Sprintf(format, args...) + "\n")
}

func (m *mermaid) open(id, label string) {
	m.line(`subgraph %s["%s"]`, id, mermaidText(label))
	m.depth++
}

func (m *mermaid) close() {
	m.depth--
	m.line("end")
	if m.depth > 1 {
		return
	}
	for _, e := range m.edges { // an edge within a subgraph would draw its ends into it
		m.line("%s", e)
	}
	m.edges = nil
}

func (m *mermaid) node(id string, n node, label string) {
	left, right := "[", "]"
	switch n.class {
	case people:
		left, right = "{{", "}}"
	case pause:
		left, right = "([", "])"
	case end:
		left, right = "[[", "]]"
	case block:
		left, right = "{", "}"
	default: // other classes
	}
	m.line(`%s%s"%s"%s`, id, left, mermaidText(label), right)
}

func (m *mermaid) edge(from, to, label string, dotted bool) {
	arrow := "-->"
	if dotted {
		arrow = "-.->"
	}
	if label != "" {
		arrow += `|"` + mermaidText(label) + `"|`
	}
	m.edges = append(m.edges, from+" "+arrow+" "+to)
}

// mermaidText escapes all but letters, digits and a few marks as entities.
func mermaidText(s string) string {
	var b strings.Builder
	for i, line := range short(s) {
		if i > 0 {
			b.WriteString("<br>")
		}
		for _, r := range line {
			if r >= 0x80 || r == ' ' || r == '_' || r == '.' || r == ',' || (r >= '0' && r <= '9') || (r >= 'A' && r <= 'Z') || (r >= 'a' && r <= 'z') {
				b.WriteRune(r)
			} else {
				fmt.Fprintf(&b, "#%d;", r)
			}
		}
	}
	return b.String()
}

// DOT writes a plan in Graphviz' language.
func DOT(p *plan.Plan) []byte {
	d := &dot{}
	d.line("digraph %s {", dotText(p.Playbook))
	d.depth++
	d.line("rankdir=TB; node [shape=box, style=rounded, fontname=sans]; edge [fontname=sans];")
	walk(model(p), d)
	d.depth--
	d.line("}")
	return []byte(d.out.String())
}

type dot struct{ mermaid }

func (d *dot) open(id, label string) {
	d.line("subgraph cluster_%s { label=%s;", id, dotText(label))
	d.depth++
}

func (d *dot) close() {
	d.depth--
	d.line("}")
	if d.depth > 1 {
		return
	}
	for _, e := range d.edges {
		d.line("%s", e)
	}
	d.edges = nil
}

func (d *dot) node(id string, n node, label string) {
	shape := map[class]string{people: "hexagon", pause: "oval", end: "doubleoctagon", block: "diamond"}[n.class]
	if shape != "" {
		shape = ", shape=" + shape
	}
	d.line("%s [label=%s%s];", id, dotText(label), shape)
}

func (d *dot) edge(from, to, label string, dotted bool) {
	var attrs []string
	if label != "" {
		attrs = append(attrs, "label="+dotText(label))
	}
	if dotted {
		attrs = append(attrs, "style=dashed")
	}
	line := from + " -> " + to
	if attrs != nil {
		line += " [" + strings.Join(attrs, ", ") + "]"
	}
	d.edges = append(d.edges, line+";")
}

func dotText(s string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	lines := short(s)
	for i := range lines {
		lines[i] = escaped.Replace(lines[i])
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}
