package okta

import (
	"net/http"
	"testing"
)

func TestCursor(t *testing.T) {
	for link, want := range map[string]string{
		`<https://x.okta.com/api/v1/users?after=00u1&limit=1>; rel="next"`:                                                "00u1",
		`<https://x.okta.com/api/v1/users?limit=1>; rel="self", <https://evil.example/x?after=c%2F1&limit=1>; rel="next"`: "c/1",
		`<https://x.okta.com/api/v1/users?after=00u1>; rel="self"`:                                                        "",
		`<:%%>; rel="next"`: "", "": "", `rel="next"`: "",
	} {
		if got := cursor(http.Header{"Link": {link}}); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
	two := http.Header{"Link": {`<https://x/a?limit=1>; rel="self"`, `<https://x/a?after=2>; rel=next`}}
	if got := cursor(two); got != "2" {
		t.Errorf("two headers: %q", got)
	}
}

// A search's value stays one string, whatever stands in it.
func FuzzQuoted(f *testing.F) {
	f.Add(`x" or profile.login sw "`)
	f.Add(`\`)
	f.Fuzz(func(t *testing.T, s string) {
		q := quoted(s)
		var got []byte
		for i := 1; i < len(q)-1; i++ {
			if q[i] == '"' {
				t.Fatalf("%q ends the string early", q)
			}
			if q[i] == '\\' {
				i++
			}
			got = append(got, q[i])
		}
		if string(got) != s {
			t.Errorf("%q reads %q", s, got)
		}
	})
}
