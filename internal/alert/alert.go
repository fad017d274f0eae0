package alert

import (
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Alert is one normalised alert.
type Alert struct {
	// ID is the source's own id of the alert, unique within Source.
	ID string
	// Source is the configured source that sent it.
	Source string
	// Kind is what it reports: detection, user_report, sign_in …
	Kind     string
	Title    string
	Severity string
	// Occurred is when the source says that it happened; Received is ours.
	Occurred time.Time
	Received time.Time

	Hosts  []Host
	Users  []User
	Files  []File
	IPs    []string
	URLs   []string
	Emails []Email

	// Dropped says which parts did not have the form of their kind, and why.
	Dropped []string
	// Raw is the body as it came, kept for evidence; it is not visible to
	// expressions.
	Raw []byte
}

// Host is a machine that the alert names.
type Host struct{ Name, IP, DeviceID string }

// User is an account that the alert names.
type User struct{ Name, Domain string }

// File is a file that the alert names.
type File struct{ Path, Name, SHA256, MD5 string }

// Email is a message that the alert names.
type Email struct {
	MessageID, Sender, Reporter, Subject string
	Attachments                          []string
}

// Type is the type of `alert` in expressions.
func Type() kind.Type {
	str := func(name string, k kind.Kind) kind.Field {
		return kind.Field{Name: name, Type: kind.Of(k), Optional: true}
	}
	must := func(name string, k kind.Kind) kind.Field { return kind.Field{Name: name, Type: kind.Of(k)} }
	list := func(name string, t kind.Type) kind.Field { return kind.Field{Name: name, Type: kind.ListOf(t)} }
	return kind.RecordOf(
		must("id", kind.String),
		must("source", kind.String),
		must("kind", kind.String),
		must("title", kind.String),
		must("severity", kind.Severity),
		must("occurred", kind.Timestamp),
		must("received", kind.Timestamp),
		list("hosts", kind.RecordOf(must("name", kind.Hostname), str("ip", kind.IP), str("device_id", kind.String))),
		list("users", kind.RecordOf(must("name", kind.Username), str("domain", kind.String))),
		list("files", kind.RecordOf(must("path", kind.Path), str("name", kind.String), must("sha256", kind.Hash), str("md5", kind.Hash))),
		list("ips", kind.Of(kind.IP)),
		list("urls", kind.Of(kind.URL)),
		list("emails", kind.RecordOf(
			must("message_id", kind.MessageID), str("sender", kind.Email), must("reporter", kind.Email), str("subject", kind.String),
			list("attachments", kind.Of(kind.Artifact)))),
	)
}

// Value returns the alert as a canonical value of Type. Empty optional texts
// are absent.
func (a Alert) Value() map[string]any {
	return map[string]any{
		"id": a.ID, "source": a.Source, "kind": a.Kind, "title": a.Title, "severity": a.Severity,
		"occurred": a.Occurred.UTC(), "received": a.Received.UTC(),
		"hosts": each(a.Hosts, func(h Host) any {
			return present("name", h.Name, "ip", h.IP, "device_id", h.DeviceID)
		}),
		"users": each(a.Users, func(u User) any { return present("name", u.Name, "domain", u.Domain) }),
		"files": each(a.Files, func(f File) any {
			return present("path", f.Path, "name", f.Name, "sha256", f.SHA256, "md5", f.MD5)
		}),
		"ips":  each(a.IPs, func(s string) any { return s }),
		"urls": each(a.URLs, func(s string) any { return s }),
		"emails": each(a.Emails, func(m Email) any {
			v := present("message_id", m.MessageID, "sender", m.Sender, "reporter", m.Reporter, "subject", m.Subject)
			v["attachments"] = each(m.Attachments, func(s string) any { return s })
			return v
		}),
	}
}

func each[T any](in []T, f func(T) any) []any {
	out := make([]any, len(in))
	for i, e := range in {
		out[i] = f(e)
	}
	return out
}

// present builds a record of the pairs whose value is not empty.
func present(pairs ...string) map[string]any {
	m := make(map[string]any, len(pairs)/2+1)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}
