package compile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// a puts the article before the name of a type: an int, a hash.
func a(name any) string {
	s := fmt.Sprint(name)
	if s != "" && strings.IndexByte("aeio", s[0]) >= 0 {
		return "an " + s
	}
	return "a " + s
}

// problem says what is wrong with a literal, without the type, which the message
// around it names.
func problem(err error) string {
	var v *kind.ValueError
	if errors.As(err, &v) && v.Path == "" {
		return v.Problem
	}
	return err.Error()
}

// form shows how a value of a type is written.
func form(t kind.Type) string {
	if names, closed := t.Enum(); closed {
		return "write one of " + strings.Join(names, ", ")
	}
	example := map[kind.Kind]string{
		kind.Int: "3", kind.Double: "0.5", kind.Boolean: "true or false", kind.Duration: "90s, 15m, 24h, 7d or 2w",
		kind.Timestamp: "2026-01-31T17:00:00Z", kind.Hostname: "web-1 or web-1.example.org", kind.IP: "192.0.2.7 or 2001:db8::7",
		kind.CIDR: "192.0.2.0/24", kind.Domain: "example.org", kind.URL: "https://example.org/x", kind.Email: "eve@example.org",
		kind.Username: "eve", kind.Hash: "32, 40, 64 or 128 digits of 0-9 and a-f", kind.Path: "/tmp/x or 'C:\\x'",
	}[t.Kind]
	if example == "" {
		return "write the value in the form of its type"
	}
	return "write " + example
}
