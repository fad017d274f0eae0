package intake

import (
	"fmt"
	"slices"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
)

// Ceiling bounds what a source's alerts may say and cause. A nil list bounds
// nothing, an empty one lets nothing through. What its runs may do is bounded at
// their admission; see package guard.
type Ceiling struct {
	// Severity is the highest that is believed; empty is any.
	Severity string
	// Fields are those parts of an alert that can name targets and are believed:
	// hosts, users, files, ips, urls, emails.
	Fields []string
	// Playbooks are those that it may start.
	Playbooks []string
}

// lower takes from an alert what its source may not say, and notes it. Raw keeps
// what was sent.
func (c Ceiling) lower(a *alert.Alert) {
	s := &sheet{dropped: a.Dropped}
	if rank := kind.Of(kind.Severity).Rank; c.Severity != "" && rank(a.Severity) > rank(c.Severity) {
		s.drop("severity", "%s is above the source's ceiling; taken as %s", a.Severity, c.Severity)
		a.Severity = c.Severity
	}
	for _, f := range []struct {
		name  string
		n     int
		empty func()
	}{
		{"hosts", len(a.Hosts), func() { a.Hosts = nil }},
		{"users", len(a.Users), func() { a.Users = nil }},
		{"files", len(a.Files), func() { a.Files = nil }},
		{"ips", len(a.IPs), func() { a.IPs = nil }},
		{"urls", len(a.URLs), func() { a.URLs = nil }},
		{"emails", len(a.Emails), func() { a.Emails = nil }},
	} {
		if c.Fields == nil || f.n == 0 || slices.Contains(c.Fields, f.name) {
			continue
		}
		s.drop(f.name, "the source may not name any (sources.%s.ceiling.fields); %d left out", a.Source, f.n)
		f.empty()
	}
	a.Dropped = s.dropped
}

// bars says why the source may not start a playbook, or "".
func (c Ceiling) bars(source, playbook string) string {
	if c.Playbooks == nil || slices.Contains(c.Playbooks, playbook) {
		return ""
	}
	return fmt.Sprintf("the source may not start it (sources.%s.ceiling.playbooks)", source)
}
