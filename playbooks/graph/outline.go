package graph

import (
	"strings"

	"github.com/quell-soar/quell/playbooks/plan"
)

// outlineWide and tagWide are widths, in cells of a terminal: of a line, and of what
// a step is called.
const (
	outlineWide = 78
	tagWide     = 13
)

// Outline writes a plan for a terminal: phases as headings, a step a line with its
// id, below it what decides about it and what follows, and blocks further in.
func Outline(p *plan.Plan) []byte {
	d, o := model(p), &outline{}
	o.text("", "", d.title)
	for _, s := range d.starts {
		o.text("  ", "    ", s)
	}
	for _, b := range d.bands {
		o.out.WriteByte('\n')
		o.text("", "", strings.ToUpper(b.name))
		o.list("  ", b.nodes)
	}
	return []byte(o.out.String())
}

type outline struct{ out strings.Builder }

// text writes a line behind a margin; what does not fit goes on below, behind then.
func (o *outline) text(margin, then, text string) {
	for _, l := range wrap(text, float64(max(20, outlineWide-cells(then))), 1) {
		o.out.WriteString(margin + l + "\n")
		margin = then
	}
}

func (o *outline) list(margin string, nodes []node) {
	for _, n := range nodes {
		o.node(margin, n)
	}
}

func (o *outline) node(margin string, n node) {
	under := margin + strings.Repeat(" ", tagWide+1)
	lines := append([]string{n.head}, n.when...)
	if n.id != "" {
		lines[0] = strings.TrimSpace(n.head + "  [" + n.id + "]")
	}
	if lines[0] == "" {
		lines = lines[1:]
	}
	first := margin + printable(n.tag)
	if gap := tagWide + 1 - cells(n.tag); gap > 0 && len(lines) > 0 {
		first += strings.Repeat(" ", gap)
		o.text(first, under+"  ", lines[0])
		lines = lines[1:]
	} else {
		o.text(margin, margin, n.tag)
	}
	for _, l := range lines {
		o.text(under, under+"  ", l)
	}
	for i, l := range n.approve {
		in := under
		if i > 0 {
			in += "  "
		}
		o.text(in, in+"  ", l)
	}
	o.groups(margin+"  ", n)
	for _, l := range n.after {
		o.text(under, under+"  ", l)
	}
}

func (o *outline) groups(margin string, n node) {
	for _, g := range n.groups {
		in := margin
		if g.label != "" {
			kind := "branch "
			if n.choice {
				kind = "case "
			}
			o.text(in, in+"  ", kind+g.label)
			in += "  "
		}
		o.list(in, g.nodes)
	}
}
