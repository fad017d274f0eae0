package graph

import (
	"fmt"
	"html"
	"strings"
	"unicode"

	"github.com/quell-soar/quell/playbooks/plan"
)

// The measures of the drawing, in pixels. A phone of 390 shows it unscaled.
const (
	total    = 374
	margin   = 8
	pad      = 9
	gap      = 16
	lineHigh = 15
	headHigh = 17
	// A character is at most about so wide: in the heads' font, in the lines'.
	// Measured with a wide font, as systems without others have it.
	headWide = 8.2
	boldWide = 7.0
	lineWide = 6.3
	maxLines = 8
)

const style = `
:root{color-scheme:light dark}
svg{--ink:#1b1f24;--soft:#57606a;--page:#ffffff;--band:#f3f5f7;--box:#ffffff;--edge:#8c959f;
--read:#0550ae;--effect:#b3261e;--people:#7d4e00;--peoplebox:#fff6dc;--pause:#6639ba;--back:#116329;--other:#57606a;--end:#1b1f24;
max-width:100%;height:auto;display:block;margin:0 auto}
@media (prefers-color-scheme:dark){svg{--ink:#e6edf3;--soft:#a3adb8;--page:#0d1117;--band:#161b22;--box:#1c2128;--edge:#6e7681;
--read:#79c0ff;--effect:#ff9492;--people:#f0c674;--peoplebox:#332a14;--pause:#d2a8ff;--back:#7ee787;--other:#a3adb8;--end:#e6edf3}}
text{font:11px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--soft)}
.h{font-size:13px;font-weight:600;fill:var(--ink)}.t{font-size:16px;font-weight:700;fill:var(--ink)}
.p{font-size:12px;font-weight:700;letter-spacing:.08em;fill:var(--ink)}.g{font-weight:600}.i{text-anchor:end}
.page{fill:var(--page)}.band{fill:var(--band)}.box{fill:var(--box);stroke:var(--edge)}.block{stroke-dasharray:4 3}
.ask{fill:var(--peoplebox);stroke:var(--people)}.line{stroke:var(--edge);fill:none}.tip{fill:var(--edge)}
.read{fill:var(--read)}.effect{fill:var(--effect)}.people{fill:var(--people)}.pause{fill:var(--pause)}.back{fill:var(--back)}
.other{fill:var(--other)}.end{fill:var(--end)}.blk{fill:var(--soft)}`

// SVG draws a plan as one SVG document. It stands alone: no script, no font and
// no picture from elsewhere.
func SVG(p *plan.Plan) []byte {
	d := model(p)
	c := &canvas{}
	y := float64(margin)
	y += c.text(margin+2, y, "t", wrap(d.title, total-2*margin, 9.2), 20) + 2
	for _, s := range d.starts {
		y += c.text(margin+2, y, "", wrap(s, total-2*margin, lineWide), lineHigh)
	}
	for i, b := range d.bands {
		if y += gap / 2; i > 0 {
			c.arrow(total/2, y-gap/2, y+gap/2)
			y += gap / 2
		}
		y = c.band(b, y)
	}
	y += margin
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="%d" height="%.0f" viewBox="0 0 %d %.0f">`, total, y, total, y)
	fmt.Fprintf(&out, "<title>%s</title><style>%s</style>\n<rect class=\"page\" width=\"%d\" height=\"%.0f\"/>\n", escape(d.title), style, total, y)
	out.WriteString(strings.Join(c.parts, "\n") + "\n</svg>\n")
	return []byte(out.String())
}

// canvas collects what is drawn.
type canvas struct{ parts []string }

func (c *canvas) add(format string, args ...any) {
	c.parts = append(c.parts, fmt.Sprintf(format, args...))
}

// behind keeps a place for what is drawn before its content but measured after.
func (c *canvas) behind() int {
	c.parts = append(c.parts, "")
	return len(c.parts) - 1
}

func (c *canvas) rect(at int, class string, x, y, w, h float64) {
	c.parts[at] = fmt.Sprintf(`<rect class="%s" x="%.0f" y="%.0f" width="%.0f" height="%.0f" rx="6"/>`, class, x, y, w, h)
}

// text writes lines below y and returns how high they are.
func (c *canvas) text(x, y float64, class string, lines []string, high float64) float64 {
	for i, line := range lines {
		attr := ""
		if class != "" {
			attr = ` class="` + class + `"`
		}
		c.add(`<text%s x="%.0f" y="%.0f">%s</text>`, attr, x, y+high*float64(i+1)-4, escape(line))
	}
	return high * float64(len(lines))
}

func (c *canvas) arrow(x, from, to float64) {
	c.add(`<path class="line" d="M%.0f %.0fV%.0f"/><path class="tip" d="M%.0f %.0fl-4 -6h8z"/>`, x, from, to-5, x, to)
}

func (c *canvas) band(b band, y float64) float64 {
	at, start := c.behind(), y
	y += 4 + c.text(margin+pad, y+4, "p", []string{strings.ToUpper(b.name)}, 18) + 4
	y = c.list(b.nodes, margin+pad-2, y, total-2*margin-2*pad+4) + pad
	c.rect(at, "band", margin, start, total-2*margin, y-start)
	return y
}

// list draws steps one below the other and returns where they end.
func (c *canvas) list(nodes []node, x, y, w float64) float64 {
	for i, n := range nodes {
		if i > 0 {
			if !nodes[i-1].ends || nodes[i-1].conditional {
				c.arrow(x+w/2, y, y+gap)
			}
			y += gap
		}
		y = c.node(n, x, y, w)
	}
	return y
}

func (c *canvas) node(n node, x, y, w float64) float64 {
	at, bar, start := c.behind(), c.behind(), y
	class := string(n.class)
	if n.class == block {
		class = "blk"
	}
	inner := w - 2*pad
	y += 5
	tag := n.tag
	switch room := inner / (lineWide + 0.5); {
	case n.id == "":
	case float64(cells(n.tag)+cells(n.id)+2) <= room:
		c.text(x+w-pad, y, "i", []string{n.id}, lineHigh)
	default:
		tag += " " + n.id
	}
	y += c.text(x+pad, y, "g "+class, wrap(tag, inner, boldWide), lineHigh)
	y += c.text(x+pad, y, "h", wrap(n.head, inner, headWide), headHigh)
	for _, line := range n.when {
		y += c.text(x+pad, y, "", wrap(line, inner, lineWide), lineHigh)
	}
	if n.approve != nil {
		y = c.approval(n.approve, x+pad-3, y+4, inner+6)
	}
	for i, g := range n.groups {
		y += 5
		if g.label != "" {
			label := "branch " + g.label
			if n.choice {
				label = "case " + g.label
			}
			y += c.text(x+pad, y, "g", wrap(label, inner, boldWide), lineHigh) + 2
		}
		y = c.list(g.nodes, x+pad-3, y, w-2*pad+6)
		if i < len(n.groups)-1 {
			y += 4
		}
	}
	if len(n.groups) > 0 && len(n.after) > 0 {
		y += 4
	}
	for _, line := range n.after {
		y += c.text(x+pad, y, follows(line), wrap(line, inner, boldWide), lineHigh)
	}
	y += 7
	box := "box"
	if n.class == block {
		box = "box block"
	}
	c.rect(at, box, x, start, w, y-start)
	c.parts[bar] = fmt.Sprintf(`<rect class="%s" x="%.0f" y="%.0f" width="3" height="%.0f"/>`, class, x, start+6, y-start-12)
	return y
}

// follows colours what follows from a step.
func follows(line string) string {
	switch {
	case strings.HasPrefix(line, "held"):
		return "g pause"
	case strings.HasPrefix(line, "taken back"):
		return "g back"
	case strings.HasPrefix(line, "cannot"):
		return "g effect"
	}
	return ""
}

func (c *canvas) approval(lines []string, x, y, w float64) float64 {
	at, start := c.behind(), y
	y += 3
	for i, line := range lines {
		class := ""
		wide := lineWide
		if i == 0 {
			class, wide = "g people", boldWide
		}
		y += c.text(x+6, y, class, wrap(line, w-12, wide), lineHigh)
	}
	y += 5
	c.rect(at, "ask", x, start, w, y-start)
	return y + 2
}

// wrap breaks a text into lines of a width; words that are longer are cut, and
// so is what goes over maxLines.
func wrap(text string, width, wide float64) []string {
	most := max(8, int(width/wide))
	var out []string
	line, used := "", 0
	for word := range strings.FieldsSeq(printable(text)) {
		for n := cells(word); n > 0; n = cells(word) {
			if used > 0 && used+1+n <= most {
				line, used = line+" "+word, used+1+n
				break
			}
			if used > 0 {
				out, line, used = append(out, line), "", 0
			}
			if n <= most {
				line, used = word, n
				break
			}
			head := cutCells(word, most)
			out, word = append(out, head), word[len(head):]
		}
	}
	if used > 0 {
		out = append(out, line)
	}
	if len(out) > maxLines {
		out = append(out[:maxLines-1], cutCells(out[maxLines-1], most-1)+"…")
	}
	return out
}

// cells is how wide a text is: characters of East Asian scripts and pictures
// take two.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += cell(r)
	}
	return n
}

func cell(r rune) int {
	if r >= 0x1100 && (r <= 0x115f || r >= 0x2e80) {
		return 2
	}
	return 1
}

func cutCells(s string, most int) string {
	n := 0
	for i, r := range s {
		if n += cell(r); n > most {
			if i == 0 {
				return string(r)
			}
			return s[:i]
		}
	}
	return s
}

// printable replaces what is no visible character, so that nothing hides or
// turns round what is drawn.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func escape(s string) string { return html.EscapeString(printable(s)) }
