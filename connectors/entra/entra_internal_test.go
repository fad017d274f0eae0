package entra

import (
	"net/url"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/sdk/rest"
)

// Whatever a vendor names as next page, a request for it goes to the configured
// API or nowhere.
func FuzzFollow(f *testing.F) {
	for _, seed := range []string{
		"https://graph.example/entra/v1.0/users?$skiptoken=p1", "https://graph.example/entra/v1.0/users/a%2Fb/messages?$top=1",
		"https://evil.example/entra/v1.0/users", "https://graph.example@evil.example/entra/", "https://graph.example/other", "//x", "%", "",
		"https://graph.example/entra/../secret", "https://graph.example/entra/%2e%2e/secret",
	} {
		f.Add(seed)
	}
	client, err := rest.New(rest.Options{BaseURL: "https://graph.example/entra"})
	if err != nil {
		f.Fatal(err)
	}
	s := &session{graph: client}
	f.Fuzz(func(t *testing.T, next string) {
		path, query, err := s.follow(next)
		if err != nil {
			return
		}
		u, parse := url.Parse(next)
		if parse != nil || u.Host != "graph.example" || u.Scheme != "https" || u.User != nil {
			t.Fatalf("%q was followed to %v", next, path)
		}
		if got := query.Encode(); got != u.Query().Encode() {
			t.Errorf("%q: the query became %q", next, got)
		}
		// What rest refuses as a segment, it refuses here too: nothing climbs out.
		if joined := "/entra/" + strings.Join(path, "/"); !strings.HasPrefix(joined, "/entra/") || u.Path != joined {
			t.Errorf("%q: the path became %q", next, joined)
		}
	})
}

// A text stays one literal of OData.
func FuzzQuoted(f *testing.F) {
	for _, seed := range []string{"ann", "o'brien", "''", "x' or 1 eq 1 or 'x", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		inner, ok := strings.CutPrefix(quoted(text), "'")
		inner, end := strings.CutSuffix(inner, "'")
		if !ok || !end || strings.Contains(strings.ReplaceAll(inner, "''", ""), "'") || strings.ReplaceAll(inner, "''", "'") != text {
			t.Errorf("%q became %q", text, quoted(text))
		}
	})
}

func TestNewPassword(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		p, err := newPassword()
		if err != nil || len(p) != 24 || seen[p] {
			t.Fatalf("%q, %v", p, err)
		}
		for _, sort := range []string{"abcdefghijkmnpqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", "-_.!"} {
			if !strings.ContainsAny(p, sort) {
				t.Errorf("%q has none of %s", p, sort)
			}
		}
		seen[p] = true
	}
}
