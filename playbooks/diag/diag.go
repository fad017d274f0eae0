package diag

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/quell-soar/quell/playbooks/source"
)

// Severity says whether a playbook may run in spite of a diagnostic.
type Severity string

// The severities.
const (
	// Error: there is no plan.
	Error Severity = "error"
	// Warning: there is a plan; the author should look.
	Warning Severity = "warning"
)

// Diagnostic is one finding.
type Diagnostic struct {
	// Code is stable: unknown-action. Each code has a page in the documentation.
	Code     string
	Severity Severity
	// Message says what is wrong, in one line.
	Message string
	File    *source.File
	Span    source.Span
	// Related points at other places that matter: the first of two duplicates.
	Related []Related
	// Help says what to do next.
	Help string
}

// Related is another place that a diagnostic is about.
type Related struct {
	Span    source.Span
	Message string
}

// Error writes the diagnostic in one line: file:line:col: severity: message
// [code].
func (d Diagnostic) Error() string {
	name := ""
	if d.File != nil {
		name = d.File.Name
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s [%s]", name, d.Span.Start.Line, d.Span.Start.Column, d.Severity, d.Message, d.Code)
}

// List collects diagnostics.
type List []Diagnostic

// MaxShown is how many diagnostics of one file are kept; what is above is
// counted.
const MaxShown = 100

// CodeMore is the code of the entry that counts what was left out.
const CodeMore = "more"

// HasErrors reports whether one of the diagnostics is an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// Error joins the first finding with the number of the others.
func (l List) Error() string {
	switch len(l) {
	case 0:
		return "no diagnostics"
	case 1:
		return l[0].Error()
	}
	return fmt.Sprintf("%s (and %d more)", l[0].Error(), len(l)-1)
}

// Sorted returns the list by position, errors before warnings at one place,
// without exact repetitions and cut at MaxShown with a last entry that counts
// the rest.
func (l List) Sorted() List {
	out := slices.Clone(l)
	slices.SortStableFunc(out, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.Span.Start.Offset, b.Span.Start.Offset),
			cmp.Compare(a.Severity, b.Severity),
			cmp.Compare(a.Span.End.Offset, b.Span.End.Offset),
			cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Message, b.Message))
	})
	out = slices.CompactFunc(out, func(a, b Diagnostic) bool {
		return a.Span == b.Span && a.Code == b.Code && a.Message == b.Message
	})
	if len(out) <= MaxShown {
		return out
	}
	rest := out[MaxShown:]
	more := Diagnostic{
		Code: CodeMore, Severity: Warning, File: rest[0].File, Span: rest[0].Span,
		Message: fmt.Sprintf("%d more diagnostics are not shown", len(rest)),
	}
	if rest.HasErrors() {
		more.Severity = Error
	}
	return append(out[:MaxShown:MaxShown], more)
}
