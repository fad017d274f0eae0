package diff

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// columns is how wide the text is, at most; a long value goes on in further lines.
const columns = 80

// Text writes a diff for people.
func (d *Diff) Text(w io.Writer) error {
	var b strings.Builder
	if d.Same {
		fmt.Fprintf(&b, "%s: both versions do the same\n", clean(d.Playbook))
		_, err := io.WriteString(w, b.String())
		return err
	}
	fmt.Fprintf(&b, "%s  %s -> %s\n", clean(d.Playbook), short(d.Before), short(d.After))
	if d.Renamed != "" {
		fmt.Fprintf(&b, "  renamed from %s\n", clean(d.Renamed))
	}
	if len(d.Changes) > 0 {
		b.WriteString("\nAround the steps\n")
		changes(&b, "  ", d.Changes)
	}
	if len(d.Steps) > 0 {
		b.WriteString("\nSteps\n")
	}
	for _, s := range d.Steps {
		s.text(&b)
	}
	if len(d.Reach) > 0 {
		b.WriteString("\nBlast radius: targets that one run can reach\n")
	}
	for _, r := range d.Reach {
		fmt.Fprintf(&b, "  %-40s %s -> %s\n", clean(r.Action), r.Before.words(), r.After.words())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var signs = map[string]string{Added: "+", Removed: "-", Changed: "~", Moved: ">"}

func (s Step) text(b *strings.Builder) {
	what := s.Kind
	if s.Action != "" {
		what = s.Action
	}
	if s.Effect {
		what += " (effect)"
	}
	fmt.Fprintf(b, "  %s %s  %s", signs[s.What], clean(s.Path), clean(what))
	switch {
	case s.From != "":
		fmt.Fprintf(b, "  moved from %s", clean(s.From))
	case s.What == Moved:
		b.WriteString("  in another place of its list")
	}
	b.WriteString("\n")
	if s.What == Added || s.What == Removed {
		return // the sign says it; the parts stand in the JSON
	}
	changes(b, "      ", s.Changes)
}

func changes(b *strings.Builder, margin string, list []Change) {
	for _, c := range list {
		if len(margin)+len(c.Part)+len(c.Before)+len(c.After)+len(":  -> ") <= columns && c.Before != "" && c.After != "" {
			fmt.Fprintf(b, "%s%s: %s -> %s\n", margin, clean(c.Part), clean(c.Before), clean(c.After))
			continue
		}
		fmt.Fprintf(b, "%s%s\n", margin, clean(c.Part))
		if c.Before != "" {
			folded(b, margin+"  - ", c.Before)
		}
		if c.After != "" {
			folded(b, margin+"  + ", c.After)
		}
	}
}

// folded writes a value in lines of at most columns characters, at words.
func folded(b *strings.Builder, margin, text string) {
	line, rest := margin, strings.Repeat(" ", len(margin))
	empty := true
	for word := range strings.FieldsSeq(clean(text)) {
		if !empty && len(line)+1+len(word) > columns {
			b.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(line + "\n")
}

func (r *Reach) words() string {
	switch {
	case r == nil:
		return "none"
	case r.Most() == 0:
		return "no bound"
	}
	return strconv.Itoa(r.Most())
}

// clean leaves out what a terminal would obey: texts may come from anywhere.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf) {
			return ' '
		}
		return r
	}, s)
}
