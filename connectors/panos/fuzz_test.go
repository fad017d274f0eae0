package panos

import (
	"net/url"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// An entry names the URL's host before its first slash, ends no element and no
// literal, and means itself again.
func FuzzEntry(f *testing.F) {
	for _, s := range []string{"https://evil.example/a?b=c", "http://u:p@evil.example:80", `https://evil.example/"']`, "https://[::1]/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := spec.Request{Action: "firewall.block_url", Inputs: map[string]any{"url": s}}
		entry, err := entryOf(r)
		if err != nil {
			return
		}
		host, _, ok := strings.Cut(entry, "/")
		if u, bad := url.Parse(s); bad != nil || !ok || host == "" || !strings.Contains(strings.ToLower(u.Host), strings.Split(strings.Trim(host, "[]"), ":")[0]) {
			t.Fatalf("%q became %q", s, entry)
		}
		if strings.ContainsAny(entry, "\"*^\n ") || len(entry) > maxEntry {
			t.Fatalf("%q became %q", s, entry)
		}
		r.Inputs["url"] = "https://" + entry
		if again, err := entryOf(r); err != nil || again != entry {
			t.Fatalf("%q became %q, and that %q: %v", s, entry, again, err)
		}
	})
}

// Whatever a firewall answers, it is a value or an error with a kind.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`<response status="success"><result><job>4</job></result></response>`,
		`<response status="error" code="12"><msg><line>locked</line></msg></response>`, `<response/>`, "", "<html>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var out struct {
			Job string `xml:"job"`
		}
		if _, err := read(&rest.Reply{Status: 200, Body: []byte(s)}, false, &out); err != nil && spec.KindOf(err) == spec.Internal {
			t.Fatal(err)
		}
	})
}
