package diag

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Render writes the list for a terminal, one block per diagnostic: the line
// that editors can follow, the excerpt with carets, related places, the cure.
func Render(w io.Writer, l List) error {
	var b strings.Builder
	for _, d := range l {
		fmt.Fprintln(&b, clean(d.Error()))
		if d.File != nil {
			b.WriteString(indent(d.File.Excerpt(d.Span)))
		}
		for _, r := range d.Related {
			name := ""
			if d.File != nil {
				name = d.File.Name
			}
			fmt.Fprintf(&b, "  %s:%s: %s\n", clean(name), r.Span.Start, clean(r.Message))
		}
		if d.Help != "" {
			fmt.Fprintf(&b, "  help: %s\n", strings.ReplaceAll(lines(d.Help), "\n", "\n        "))
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("render diagnostics: %w", err)
	}
	return nil
}

// clean makes a text fit for one line of a terminal. Messages quote playbooks,
// and a playbook may come from anybody: control characters and marks that turn
// the direction of writing become dots.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar {
			return '·'
		}
		return r
	}, s)
}

// lines is clean for a text of several lines.
func lines(s string) string {
	parts := strings.Split(s, "\n")
	for i := range parts {
		parts[i] = clean(parts[i])
	}
	return strings.Join(parts, "\n")
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("  " + line)
	}
	return b.String()
}

// record is a diagnostic as JSON.
type record struct {
	File     string          `json:"file"`
	Line     int             `json:"line"`
	Column   int             `json:"column"`
	EndLine  int             `json:"end_line"`
	EndCol   int             `json:"end_column"`
	Severity Severity        `json:"severity"`
	Code     string          `json:"code"`
	Message  string          `json:"message"`
	Help     string          `json:"help,omitempty"`
	Related  []relatedRecord `json:"related,omitempty"`
}

type relatedRecord struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

// JSON writes the list as one JSON array, for editors and other programs.
func JSON(w io.Writer, l List) error {
	out := make([]record, 0, len(l))
	for _, d := range l {
		r := record{
			Line: d.Span.Start.Line, Column: d.Span.Start.Column, EndLine: d.Span.End.Line, EndCol: d.Span.End.Column,
			Severity: d.Severity, Code: d.Code, Message: d.Message, Help: d.Help,
		}
		if d.File != nil {
			r.File = d.File.Name
		}
		for _, rel := range d.Related {
			r.Related = append(r.Related, relatedRecord{rel.Span.Start.Line, rel.Span.Start.Column, rel.Message})
		}
		out = append(out, r)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	return nil
}

// Near proposes the name that was probably meant: the closest of the known ones
// within a third of its length (at least one letter), or else the one that the
// name begins; "" where there is none. Two names of one letter have nothing in
// common.
func Near(name string, known []string) string {
	length := len([]rune(name))
	best, least := "", min(max(1, length/3), length-1)+1
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return k
		}
		if d := distance(strings.ToLower(name), strings.ToLower(k), least); d < least {
			best, least = k, d
		}
	}
	if best != "" || length < minPrefix {
		return best
	}
	for _, k := range known {
		if strings.HasPrefix(strings.ToLower(k), strings.ToLower(name)) {
			if best != "" {
				return "" // more than one: a guess
			}
			best = k
		}
	}
	return best
}

// minPrefix is how much of a name must be there for the rest to be proposed.
const minPrefix = 4

// distance is the edit distance with swaps of neighbours, cut off above limit.
func distance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > limit || len(y)-len(x) > limit || len(x) > 128 || len(y) > 128 {
		return limit + 1
	}
	older, prev, cur := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		cur[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				cur[j] = min(cur[j], older[j-2]+1)
			}
		}
		older, prev, cur = prev, cur, older
	}
	return prev[len(y)]
}
