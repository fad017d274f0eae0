package reachtest

import (
	_ "embed"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

// The kinds of forms; forms.txt says what each means.
const (
	Never    = "never"
	Loopback = "loopback"
	Private  = "private"
	URL      = "url"
)

// Form is one way to write where nobody may go.
type Form struct{ Kind, Text string }

//go:embed forms.txt
var file string

// Forms are all forms of the file, in its order.
func Forms(t *testing.T) []Form {
	t.Helper()
	var out []Form
	for n, line := range strings.Split(file, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		kind, text, ok := strings.Cut(line, " ")
		if strings.HasPrefix(text, `"`) {
			var err error
			if text, err = strconv.Unquote(text); err != nil {
				ok = false
			}
		}
		if !ok || kind != Never && kind != Loopback && kind != Private && kind != URL {
			t.Fatalf("forms.txt:%d: %q", n+1, line)
		}
		out = append(out, Form{kind, text})
	}
	return out
}

// URL is the form as the base of an API over plain HTTP.
func (f Form) URL() string {
	if f.Kind == URL {
		return f.Text
	}
	host := f.Text
	if strings.Contains(host, ":") {
		host = "[" + strings.ReplaceAll(host, "%", "%25") + "]"
	}
	return fmt.Sprintf("http://%s/", host)
}

// HostPort is the form with port 80; ok is false for a whole URL.
func (f Form) HostPort() (address string, ok bool) {
	return net.JoinHostPort(f.Text, "80"), f.Kind != URL
}

// Addr is the form as the answer of a name server, which knows no zones; ok is
// false where it is none.
func (f Form) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(f.Text)
	return a, err == nil && a.Zone() == ""
}
