package signin_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/internal/signin"
	"github.com/quell-soar/quell/internal/signin/signintest"
)

// browse is a person at the provider's pages: it signs in as who, consents, and
// returns what the browser is sent back with.
func browse(t *testing.T, location, who string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back url.Values
	done := errors.New("back at Quell")
	c := &http.Client{Jar: jar, Timeout: 10 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/v1/session/callback" {
			back = r.URL.Query()
			return done
		}
		return nil
	}}
	res, err := c.Get(location)
	for range 4 {
		if errors.Is(err, done) {
			return back
		}
		if err != nil {
			t.Fatal(err)
		}
		page, err2 := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err2 != nil {
			t.Fatal(err2)
		}
		to, form, _, err2 := signintest.Form(page, res.Request.URL, who)
		if err2 != nil {
			t.Fatal(err2)
		}
		res, err = c.PostForm(to.String(), form)
	}
	t.Fatalf("the provider's pages do not end: %v", err)
	return nil
}

// TestRealProvider signs in at a certified provider in its own process: groups
// become roles, a person who is let go loses them at the next decision.
func TestRealProvider(t *testing.T) {
	if os.Getenv("QUELL_INTEGRATION") == "" {
		t.Skip("needs Node and the npm registry: make integration")
	}
	real := signintest.Start(t, "http://127.0.0.1:7878/v1/session/callback")
	real.Set(`{"00u1": {"name": "Alice", "groups": ["SOC", "Leads"]}}`)
	for _, scopes := range [][]string{{"groups"}, {"groups", "offline_access"}} {
		now := time.Now()
		pr, err := signin.New(signin.Options{
			Issuer: real.Issuer(), ClientID: "quell", Secret: secret.New("s3cret"), Redirect: "http://127.0.0.1:7878/v1/session/callback",
			Scopes: scopes, Roles: map[string][]string{"SOC": {"analyst"}, "Leads": {"ir-lead"}}, Dial: dial, Now: func() time.Time { return now },
		})
		if err != nil {
			t.Fatal(err)
		}
		location, ticket, err := pr.Begin(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(scopes, "offline_access") { // a provider demands it for refresh tokens (OpenID Connect Core 11)
			location = strings.Replace(location, "prompt=login", "prompt=login+consent", 1)
		}
		back := browse(t, location, "00u1")
		id, err := pr.Finish(t.Context(), ticket, back.Get("state"), back.Get("code"))
		if err != nil {
			t.Fatal(err)
		}
		if id.Subject != "00u1" || id.Shown != "Alice" || !slices.Equal(id.Roles, []string{"analyst", "ir-lead"}) {
			t.Errorf("%v: %+v", scopes, id)
		}

		real.Set(`{"00u1": {"name": "Alice", "groups": ["SOC"]}}`)
		less, err := pr.Recheck(t.Context(), id)
		if err != nil || !slices.Equal(less.Roles, []string{"analyst"}) {
			t.Errorf("%v: out of Leads: %+v, %v", scopes, less, err)
		}
		real.Set(`{"00u1": null}`)
		_, err = pr.Recheck(t.Context(), less)
		var gone *signin.RefusedError
		if !errors.As(err, &gone) {
			t.Errorf("%v: an account that is gone: %v", scopes, err)
		}
		real.Set(`{"00u1": {"name": "Alice", "groups": ["SOC", "Leads"]}}`)

		// A code is good once; its second use ends what the first gave (RFC 6749
		// section 4.1.2), so it is tried with a sign-in of its own.
		if location, ticket, err = pr.Begin(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		back = browse(t, location, "00u1")
		for i := range 2 {
			if _, err := pr.Finish(t.Context(), ticket, back.Get("state"), back.Get("code")); (err == nil) != (i == 0) {
				t.Errorf("use %d of a code: %v", i+1, err)
			}
		}

		// The clocks differ by more than is let pass.
		for _, wrong := range []time.Duration{-10 * time.Minute, 3 * time.Hour} {
			location, ticket, err := pr.Begin(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			back := browse(t, location, "00u1")
			before := now
			now = now.Add(wrong)
			if _, err = pr.Finish(t.Context(), ticket, back.Get("state"), back.Get("code")); err == nil {
				t.Errorf("a clock that is off by %s was not noticed", wrong)
			}
			now = before
		}
	}
}
