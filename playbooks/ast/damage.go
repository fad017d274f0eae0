package ast

import (
	"regexp"
	"slices"

	"github.com/quell-soar/quell/playbooks/source"
)

// Damage says where a tree says less than the text, or something else: it was
// made of a text with mistakes of YAML, as its author most likely meant it. A
// mistake that follows from that is none.
type Damage struct {
	// Lost are places that say nothing in the tree.
	Lost []source.Span
	// Moved are lines that were put where they seem to belong.
	Moved []source.Span
	// Unclear are values that are in the tree as they are written, and wrong.
	Unclear []source.Span
}

// whole are the codes of what is true only of a text that is there as a whole:
// something is missing, never used, not held, or has no name.
var whole = []string{
	"missing-key", "missing-input", "missing-case", "no-steps", "no-foreach", "empty-block", "empty-value", "wrong-shape",
	"unused", "unused-silence", "unreachable", "unreachable-default", "constant-condition", "maybe-absent",
	"containment-without-release", "irreversible", "unconfirmed-target", "unbounded-effect", "unbounded-loop", "limit-exceeded",
	"too-many-events", "nothing-to-undo", "nobody-can", "veto-window", "untrusted-answer", "hostile-text", "preview", "first-acts",
	"repeat-needs-do", "bad-hold", "bad-limit", "bad-wait", "bad-undo-with", "bad-silence",
}

// placed are the codes of what is true only of a line in its right place.
var placed = []string{
	"unknown-key", "duplicate-key", "duplicate-id", "two-kinds", "two-loops", "phase-order", "unknown-action-input", "unknown-input",
	"bad-id", "bad-name", "bad-value", "unknown-type", "wrong-type",
}

// named are the codes of names that nothing has.
var named = []string{"unknown-step", "unknown-name", "unknown-input", "unknown-setting", "unknown-field", "unknown-playbook", "unknown-choice"}

// Partial reports whether the tree may lack something that the text has.
func (d *Damage) Partial() bool { return d != nil && len(d.Lost)+len(d.Moved) > 0 }

// Hides reports whether a finding may follow from the damage alone: such a one is
// not told.
func (d *Damage) Hides(f *source.File, code string, at source.Span) bool {
	switch {
	case d == nil:
		return false
	case touches(d.Lost, at), touches(d.Unclear, at):
		return true
	case touches(d.Moved, at) && slices.Contains(placed, code):
		return true
	}
	if !d.Partial() {
		return false
	}
	return slices.Contains(whole, code) || (slices.Contains(named, code) && d.mentions(f, f.Text(at)))
}

var identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// mentions reports whether what is lost names one of the words of a text.
func (d *Damage) mentions(f *source.File, text string) bool {
	words := identifier.FindAllString(text, -1)
	for _, s := range d.Lost {
		for _, w := range identifier.FindAllString(f.Text(s), -1) {
			if slices.Contains(words, w) {
				return true
			}
		}
	}
	return false
}

func touches(spans []source.Span, at source.Span) bool {
	return slices.ContainsFunc(spans, func(s source.Span) bool {
		return at.Start.Offset <= s.End.Offset && s.Start.Offset <= at.End.Offset
	})
}
