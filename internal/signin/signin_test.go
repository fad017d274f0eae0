package signin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/internal/signin"
)

// idp is an identity provider that does what a test wants. It signs for real and
// checks code, redirect and PKCE.
type idp struct {
	t   *testing.T
	url string
	key *ecdsa.PrivateKey

	mu sync.Mutex
	// claims are added to each identity token and answer of userinfo.
	claims map[string]any
	// signer replaces the key that signs.
	signer *ecdsa.PrivateKey
	// refresh is given out, and asked for.
	refresh string
	gone    bool
	codes   map[string]url.Values
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	p := &idp{t: t, key: newKey(t), claims: map[string]any{}, codes: map[string]url.Values{}}
	p.signer = p.key
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	p.url = s.URL
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{
			"issuer": p.url, "authorization_endpoint": p.url + "/auth", "token_endpoint": p.url + "/token", "jwks_uri": p.url + "/keys",
			"userinfo_endpoint": p.url + "/me", "id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.gone || r.Header.Get("Authorization") != "Bearer access" {
			answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
			return
		}
		c := map[string]any{"sub": "00u1"}
		maps.Copy(c, p.claims)
		answer(w, http.StatusOK, c)
	})
	return p
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// authorize is the provider's page: it takes where the browser was sent, and
// gives what the browser is sent back with.
func (p *idp) authorize(location string) (state, code string) {
	p.t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		p.t.Fatal(err)
	}
	q := u.Query()
	code = rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = q
	return q.Get("state"), code
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	bad := func(code string) { answer(w, http.StatusBadRequest, map[string]string{"error": code}) }
	_ = r.ParseForm()
	user, pass, _ := r.BasicAuth()
	if user != "quell" || pass != "s3cret" || p.gone {
		bad("invalid_client")
		return
	}
	nonce := ""
	switch r.Form.Get("grant_type") {
	case "refresh_token":
		if p.refresh == "" || r.Form.Get("refresh_token") != p.refresh {
			bad("invalid_grant")
			return
		}
	case "authorization_code":
		q, known := p.codes[r.Form.Get("code")]
		delete(p.codes, r.Form.Get("code"))
		sum := sha256.Sum256([]byte(r.Form.Get("code_verifier")))
		if !known || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || q.Get("redirect_uri") != r.Form.Get("redirect_uri") {
			bad("invalid_grant")
			return
		}
		nonce = q.Get("nonce")
	}
	c := map[string]any{"iss": p.url, "sub": "00u1", "aud": "quell", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "nonce": nonce}
	maps.Copy(c, p.claims)
	answer(w, http.StatusOK, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 3600, "id_token": p.sign(c), "refresh_token": p.refresh})
}

func (p *idp) sign(claims map[string]any) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.signer, KeyID: "k1"}}, nil)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	obj, err := s.Sign(raw)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	out, err := obj.CompactSerialize()
	if err != nil {
		p.t.Error(err)
	}
	return out
}

func (p *idp) set(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = claims
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

func (p *idp) provider(now func() time.Time) *signin.Provider {
	p.t.Helper()
	pr, err := signin.New(signin.Options{
		Issuer: p.url, ClientID: "quell", Secret: secret.New("s3cret"), Redirect: "http://127.0.0.1:7878/v1/session/callback",
		Roles: map[string][]string{"SOC": {"analyst"}, "Leads": {"ir-lead", "lead"}}, Dial: dial, Now: now,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return pr
}

// in signs in from begin to end.
func (p *idp) in(pr *signin.Provider, again bool) (signin.Identity, error) {
	p.t.Helper()
	location, ticket, err := pr.Begin(p.t.Context(), again)
	if err != nil {
		p.t.Fatal(err)
	}
	state, code := p.authorize(location)
	return pr.Finish(p.t.Context(), ticket, state, code)
}

func wantRefused(t *testing.T, err error, part string) {
	t.Helper()
	var r *signin.RefusedError
	if !errors.As(err, &r) || !strings.Contains(r.Reason, part) {
		t.Errorf("got %v, want a refusal with %q", err, part)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.set(map[string]any{"groups": []string{"SOC", "Everyone", "Leads"}, "name": "Alice\x1b[31m A.", "email": "ceo@example.com"})
	id, err := p.in(p.provider(time.Now), false)
	if err != nil {
		t.Fatal(err)
	}
	if id.Issuer != p.url || id.Subject != "00u1" || id.Shown != "Alice[31m A." || !slices.Equal(id.Roles, []string{"analyst", "ir-lead", "lead"}) || time.Since(id.At) > time.Minute {
		t.Errorf("%+v", id)
	}
}

func TestTheAnswerMustBelongToTheBegin(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	pr := p.provider(time.Now)
	location, ticket, err := pr.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := pr.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	state, code := p.authorize(location)
	finish := func(ticket, state, code string) error {
		_, err := pr.Finish(t.Context(), ticket, state, code)
		return err
	}
	wantRefused(t, finish(other, state, code), "another sign-in")
	wantRefused(t, finish(ticket, "", code), "another sign-in")
	wantRefused(t, finish("", state, code), "begin again")
	wantRefused(t, finish(ticket[:len(ticket)-2]+"AA", state, code), "begin again")
	wantRefused(t, finish(ticket, state, "guessed"), "invalid_grant")
	if _, err := p.provider(time.Now).Finish(t.Context(), ticket, state, code); err == nil {
		t.Error("another process took the ticket")
	}
	if err := finish(ticket, state, code); err != nil {
		t.Error(err)
	}
	wantRefused(t, finish(ticket, state, code), "invalid_grant") // a code is good once

	now := time.Now()
	late := p.provider(func() time.Time { return now })
	if location, ticket, err = late.Begin(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	state, code = p.authorize(location)
	now = now.Add(10 * time.Minute)
	_, err = late.Finish(t.Context(), ticket, state, code)
	wantRefused(t, err, "ten minutes")
}

func TestIdentityTokens(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		claims map[string]any
		refuse string
	}{
		"another issuer":             {map[string]any{"iss": "https://evil.example"}, "different provider"},
		"another audience":           {map[string]any{"aud": "payroll"}, "audience"},
		"two audiences, no azp":      {map[string]any{"aud": []string{"quell", "payroll"}}, "another client"},
		"two audiences, ours":        {map[string]any{"aud": []string{"quell", "payroll"}, "azp": "quell"}, ""},
		"another nonce":              {map[string]any{"nonce": "stale"}, "another sign-in"},
		"over":                       {map[string]any{"exp": now.Add(-3 * time.Minute).Unix()}, "expired"},
		"just over, skewed":          {map[string]any{"exp": now.Add(-time.Minute).Unix()}, ""},
		"from the future":            {map[string]any{"iat": now.Add(5 * time.Minute).Unix()}, "future"},
		"slightly ahead":             {map[string]any{"iat": now.Add(time.Minute).Unix()}, ""},
		"not yet":                    {map[string]any{"nbf": now.Add(time.Hour).Unix()}, "not before"},
		"no subject":                 {map[string]any{"sub": ""}, "subject"},
		"a subject that is too long": {map[string]any{"sub": strings.Repeat("x", 300)}, "subject"},
		"overage by reference":       {map[string]any{"_claim_names": map[string]string{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]string{"endpoint": "http://169.254.169.254/"}}}, "so many groups"},
		"overage by hint":            {map[string]any{"hasgroups": true}, "so many groups"},
		"groups as a text":           {map[string]any{"groups": "SOC"}, ""},
		"groups as a number":         {map[string]any{"groups": 7}, "neither"},
		"no groups":                  {map[string]any{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			p.set(c.claims)
			_, err := p.in(p.provider(time.Now), false)
			if c.refuse == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefused(t, err, c.refuse)
		})
	}
}

func TestAForgedSignatureIsRefused(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.signer = newKey(t)
	_, err := p.in(p.provider(time.Now), false)
	wantRefused(t, err, "does not hold")
}

func TestAgainMeansAgain(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.set(map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()})
	pr := p.provider(time.Now)
	if _, err := p.in(pr, false); err != nil {
		t.Error(err)
	}
	_, err := p.in(pr, true)
	wantRefused(t, err, "who you are again")
	p.set(map[string]any{"auth_time": time.Now().Unix()})
	if _, err := p.in(pr, true); err != nil {
		t.Error(err)
	}
}

func TestRecheck(t *testing.T) {
	t.Parallel()
	for _, refresh := range []string{"", "r1"} {
		p := newIDP(t)
		p.refresh = refresh
		pr := p.provider(time.Now)
		p.set(map[string]any{"groups": []string{"SOC", "Leads"}})
		id, err := p.in(pr, false)
		if err != nil {
			t.Fatal(err)
		}
		p.set(map[string]any{"groups": []string{"SOC"}})
		now, err := pr.Recheck(t.Context(), id)
		if err != nil || !slices.Equal(now.Roles, []string{"analyst"}) || !now.At.Equal(id.At) {
			t.Errorf("refresh %q: %+v, %v", refresh, now, err)
		}
		p.set(map[string]any{"sub": "00u2"})
		_, err = pr.Recheck(t.Context(), id)
		wantRefused(t, err, "another person")
		p.set(nil)
		p.mu.Lock()
		p.gone = true
		p.mu.Unlock()
		_, err = pr.Recheck(t.Context(), id)
		wantRefused(t, err, "ended your sign-in")
		id.Tokens = nil
		_, err = pr.Recheck(t.Context(), id)
		wantRefused(t, err, "restarted")
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	good := signin.Options{Issuer: "https://idp.example", ClientID: "quell", Redirect: "https://quell.example/back", Dial: dial}
	if _, err := signin.New(good); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*signin.Options){
		func(o *signin.Options) { o.Issuer = "http://idp.example" }, func(o *signin.Options) { o.Issuer = "idp" },
		func(o *signin.Options) { o.Redirect = "http://quell.example/back" }, func(o *signin.Options) { o.Redirect = "" },
		func(o *signin.Options) { o.ClientID = "" }, func(o *signin.Options) { o.Dial = nil },
	} {
		o := good
		change(&o)
		if _, err := signin.New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

func TestAProviderThatRedirectsIsNotFollowed(t *testing.T) {
	t.Parallel()
	canary := 0
	c := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { canary++ }))
	defer c.Close()
	s := httptest.NewServer(http.RedirectHandler(c.URL, http.StatusFound))
	defer s.Close()
	pr, err := signin.New(signin.Options{Issuer: s.URL, ClientID: "quell", Redirect: "http://127.0.0.1/back", Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := pr.Begin(t.Context(), false); err == nil || canary != 0 {
		t.Errorf("%v, %d requests followed it", err, canary)
	}
}
