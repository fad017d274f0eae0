package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

const (
	write = http.MethodPost
	read  = http.MethodGet
)

func dial(t *testing.T, h http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	o := Options{BaseURL: srv.URL}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// cut closes the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// A certificate that no public authority signed is trusted where it is named,
// and nowhere else.
func TestAuthorities(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer srv.Close()
	named := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	for text, want := range map[string]spec.ErrorKind{named: "", "": spec.Transient} {
		c, err := New(Options{BaseURL: srv.URL, Authorities: text})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		if _, err := c.Do(t.Context(), Request{}); want == "" && err != nil || want != "" && spec.KindOf(err) != want {
			t.Errorf("with %d bytes of authorities: %v", len(text), err)
		}
	}
	if _, err := New(Options{BaseURL: srv.URL, Authorities: "/etc/ssl/ca.pem"}); spec.KindOf(err) != spec.Invalid {
		t.Errorf("a path in place of a certificate: %v", err)
	}
}

func TestKindOfAnError(t *testing.T) {
	status := func(s int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(s) }
	}
	for _, tt := range []struct {
		name   string
		method string
		serve  http.HandlerFunc
		want   spec.ErrorKind
		calls  int32
	}{
		{"refused write", write, status(400), spec.Invalid, 1},
		{"missing thing", read, status(404), spec.NotFound, 1},
		{"wrong credential", read, status(401), spec.Auth, 1},
		{"no permission", write, status(403), spec.Permission, 1},
		{"conflict", write, status(409), spec.Conflict, 1},
		{"limited write", write, status(429), spec.RateLimited, 1},
		{"limited read is not repeated", read, status(429), spec.RateLimited, 1},
		{"failed write is not repeated", write, status(503), spec.Uncertain, 1},
		{"failed read is repeated", read, status(503), spec.Transient, 3},
		{"error 500 of a read", read, status(500), spec.Transient, 1},
		{"write redirected as done", write, status(303), spec.Uncertain, 1},
		{"write redirected as not done", write, status(308), spec.Invalid, 1},
		{"lost write is not repeated", write, func(w http.ResponseWriter, _ *http.Request) { cut(w) }, spec.Uncertain, 1},
		{"lost read is repeated", read, func(w http.ResponseWriter, _ *http.Request) { cut(w) }, spec.Transient, 3},
		{"unreadable answer to a write", write, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, spec.Uncertain, 1},
		{"unreadable answer to a read", read, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, spec.Transient, 1},
		{"cut answer to a write", write, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
		}, spec.Uncertain, 1},
		{"endless answer to a write", write, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat(" ", 5000)))
		}, spec.Uncertain, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				tt.serve(w, r)
			}, func(o *Options) { o.MaxReply = 4096 })
			var out map[string]any
			_, err := c.DoJSON(t.Context(), Request{Method: tt.method, Path: []string{"a"}, JSON: map[string]any{}}, &out)
			if spec.KindOf(err) != tt.want || calls.Load() != tt.calls {
				t.Errorf("kind %s after %d calls, want %s after %d: %v", spec.KindOf(err), calls.Load(), tt.want, tt.calls, err)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	stop := make(chan struct{})
	c := dial(t, func(http.ResponseWriter, *http.Request) { <-stop })
	defer close(stop)
	for method, want := range map[string]spec.ErrorKind{read: spec.Transient, write: spec.Uncertain} {
		ctx, cancel := context.WithTimeout(t.Context(), 80*time.Millisecond)
		begin := time.Now()
		_, err := c.Do(ctx, Request{Method: method, Path: []string{"a"}})
		cancel()
		if spec.KindOf(err) != want || time.Since(begin) > 2*time.Second {
			t.Errorf("%s: %v after %s, want %s", method, err, time.Since(begin), want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, Request{Method: write, Path: []string{"a"}}); spec.KindOf(err) != spec.Transient {
		t.Errorf("a write that was never sent: %v", err)
	}
}

func TestNothingWasSentWhereNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c, err := New(Options{BaseURL: "http://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), Request{Method: write, Path: []string{"a"}}); spec.KindOf(err) != spec.Transient || !strings.Contains(err.Error(), "nothing listens at "+addr) || !strings.Contains(err.Error(), "check the base URL") {
		t.Errorf("got %v, want transient and what to look at", err)
	}
}

// What keeps a connection from coming about is told with what to look at.
func TestUnreachable(t *testing.T) {
	c, err := New(Options{BaseURL: "https://api.example.com/x"})
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"the name api.example.com is not known":               &net.DNSError{IsNotFound: true},
		"nothing listens at api.example.com:443":              &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"no way from this machine to api.example.com:443":     &net.OpError{Op: "dial", Err: syscall.ENETUNREACH},
		"api.example.com:443 does not answer":                 &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded},
		"is signed by nobody whom this machine trusts":        &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
		"api.example.com:443 does not speak TLS":              tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"},
		"the name service of this machine does not answer":    &net.DNSError{IsTimeout: true},
		"the certificate of api.example.com:443 is not valid": x509.HostnameError{Certificate: &x509.Certificate{}, Host: "api.example.com"},
	} {
		if got := c.reason(t.Context(), &url.Error{Op: "Get", URL: "https://api.example.com/secret?q=1", Err: err}); !strings.Contains(got, want) || strings.Contains(got, "secret?q") {
			t.Errorf("%v: %q does not say %q", err, got, want)
		}
	}
}

func TestURLsAreBuiltByComponent(t *testing.T) {
	var seen string
	c := dial(t, func(_ http.ResponseWriter, r *http.Request) { seen = r.URL.EscapedPath() + "?" + r.URL.RawQuery })
	_, err := c.Do(t.Context(), Request{Path: []string{"issue", "A/../b?x=1#y"}, Query: url.Values{"filter": {"hostname:'a&b=c'"}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "/issue/A%2F..%2Fb%3Fx=1%23y?filter=hostname%3A%27a%26b%3Dc%27"; seen != want {
		t.Errorf("sent %s, want %s", seen, want)
	}
	for _, r := range []Request{
		{Path: []string{".."}},
		{Path: []string{"a", ""}},
		{Path: []string{"a\r\nHost: evil"}},
		{Path: []string{"a"}, Query: url.Values{"q": {"a\nb"}}},
	} {
		if _, err := c.Do(t.Context(), r); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%v was not refused: %v", r, err)
		}
	}
}

func TestCheckBase(t *testing.T) {
	for base, ok := range map[string]bool{
		"https://api.example.com":      true,
		"https://api.example.com/x/":   true,
		"http://127.0.0.1:8080/falcon": true,
		"http://[::1]:80":              true,
		"http://localhost:1":           true,
		"http://api.example.com":       false,
		"http://127.0.0.1.example.com": false,
		"ftp://api.example.com":        false,
		"https://u:p@api.example.com":  false,
		"https://api.example.com?a=b":  false,
		"https://":                     false,
		"api.example.com":              false,
		"https://a\r\nb":               false,
	} {
		if _, err := CheckBase(base, false); (err == nil) != ok {
			t.Errorf("%q: %v", base, err)
		}
	}
	if _, err := CheckBase("api.example.com", false); err == nil || !strings.Contains(err.Error(), "no scheme") {
		t.Errorf("without a scheme: %v", err)
	}
	if _, err := CheckBase("http://api.example.com", true); err != nil {
		t.Errorf("allow_http: %v", err)
	}
}

func TestWait(t *testing.T) {
	now := time.Date(2026, 1, 31, 17, 0, 0, 0, time.UTC)
	jira := []LimitHeader{{"Retry-After", Delay}, {"X-RateLimit-Reset", ISO}}
	falcon := []LimitHeader{{"X-Ratelimit-Retryafter", Epoch}}
	for _, tt := range []struct {
		name   string
		limits []LimitHeader
		header map[string]string
		want   time.Duration
	}{
		{"seconds", jira, map[string]string{"Retry-After": "7"}, 7 * time.Second},
		{"date", jira, map[string]string{"Retry-After": "Sat, 31 Jan 2026 17:00:09 GMT"}, 9 * time.Second},
		{"ISO time", jira, map[string]string{"X-Ratelimit-Reset": "2026-01-31T17:02Z"}, 2 * time.Minute},
		{"epoch", falcon, map[string]string{"X-Ratelimit-Retryafter": fmt.Sprint(now.Unix() + 3)}, 3 * time.Second},
		{"epoch against the vendor's clock", falcon, map[string]string{
			"X-Ratelimit-Retryafter": fmt.Sprint(now.Unix() + 3603), "Date": "Sat, 31 Jan 2026 18:00:00 GMT",
		}, 3 * time.Second},
		{"a moment that is over", falcon, map[string]string{"X-Ratelimit-Retryafter": "5"}, leastWait},
		{"a wait beyond belief", jira, map[string]string{"Retry-After": "99999999"}, mostWait},
		{"nonsense", jira, map[string]string{"Retry-After": "NaN"}, silentWait},
		{"nothing", nil, nil, silentWait},
	} {
		h := http.Header{}
		for k, v := range tt.header {
			h.Set(k, v)
		}
		if got := Wait(tt.limits, h, now); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// vendor gives out tokens and accepts the last one.
type vendor struct {
	mu     sync.Mutex
	tokens int
	good   string
}

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.URL.Path == "/token" {
		if r.FormValue("client_secret") != "hush-hush" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "no such secret: %s", r.FormValue("client_secret"))
			return
		}
		v.tokens++
		v.good = fmt.Sprintf("token-%d", v.tokens)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": v.good, "expires_in": 1799})
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+v.good {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func TestTokenIsSharedAndRenewedOnce(t *testing.T) {
	v := &vendor{}
	tok := NewClientCredentials([]string{"token"}, "id", secret.New("hush-hush"), nil)
	c := dial(t, v.ServeHTTP, func(o *Options) { o.Credential = tok })
	burst := func() {
		t.Helper()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := c.Do(t.Context(), Request{Method: write, Path: []string{"a"}}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	burst()
	if v.tokens != 1 {
		t.Errorf("%d tokens were asked for, want 1", v.tokens)
	}
	v.good = "revoked"
	burst()
	if v.tokens != 2 {
		t.Errorf("%d tokens were asked for after one was revoked, want 2", v.tokens)
	}
}

func TestWrongSecretIsAnAuthErrorThatDoesNotTellIt(t *testing.T) {
	tok := NewClientCredentials([]string{"token"}, "id", secret.New("wrong-secret"), nil)
	c := dial(t, (&vendor{}).ServeHTTP, func(o *Options) {
		o.Credential = tok
		o.Fault = func(body []byte) (string, string) { return string(body), "" }
	})
	_, err := c.Do(t.Context(), Request{Path: []string{"a"}})
	if spec.KindOf(err) != spec.Auth || strings.Contains(err.Error(), "wrong-secret") || !strings.Contains(err.Error(), secret.Mark) {
		t.Errorf("got %v", err)
	}
	// The vendor refuses with a 403, and yet it is no permission that lacks.
	if text := err.Error(); !strings.Contains(text, "HTTP 403") || !strings.Contains(text, "the client id or the secret is wrong") || strings.Contains(text, "permission") {
		t.Errorf("it misleads: %v", err)
	}
}

func TestRegionIsFollowedOnceAndPinned(t *testing.T) {
	var second, first atomic.Int32
	right := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { second.Add(1) }))
	defer right.Close()
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		first.Add(1)
		w.Header().Set("X-Region", right.URL)
		w.WriteHeader(http.StatusPermanentRedirect)
	}, func(o *Options) {
		o.Region = func(h http.Header) (*url.URL, error) {
			if h.Get("X-Region") == "" {
				return nil, errors.New("no region")
			}
			return url.Parse(h.Get("X-Region"))
		}
	})
	for range 2 {
		if _, err := c.Do(t.Context(), Request{Method: write, Path: []string{"a"}}); err != nil {
			t.Fatal(err)
		}
	}
	if first.Load() != 1 || second.Load() != 2 {
		t.Errorf("%d requests to the first, %d to the second base URL; want 1 and 2", first.Load(), second.Load())
	}
}

func TestKeyAndSignedCredentials(t *testing.T) {
	var asked, form, sent string
	serve := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/token" {
			asked, form = r.Host, r.FormValue("client_assertion")
			fmt.Fprint(w, `{"access_token":"t-1","expires_in":60}`)
			return
		}
		sent = r.Header.Get("Authorization")
	}
	audience := ""
	signed := NewSignedCredentials([]string{"oauth2", "token"}, secret.New("private-key"), func(aud string) (url.Values, error) {
		audience = aud
		return url.Values{"client_assertion": {"signed"}}, nil
	})
	c := dial(t, serve, func(o *Options) { o.Credential = signed })
	if _, err := c.Do(t.Context(), Request{Path: []string{"a"}}); err != nil || sent != "Bearer t-1" || form != "signed" {
		t.Errorf("sent %q with the assertion %q: %v", sent, form, err)
	}
	if want := "http://" + asked + "/oauth2/token"; audience != want {
		t.Errorf("the audience is %s, want %s", audience, want)
	}
	broken := NewSignedCredentials([]string{"t"}, secret.New("private-key"), func(string) (url.Values, error) { return nil, errors.New("no key") })
	c = dial(t, serve, func(o *Options) { o.Credential = broken })
	if _, err := c.Do(t.Context(), Request{Path: []string{"a"}}); spec.KindOf(err) != spec.Auth {
		t.Errorf("a form that cannot be written: %v", err)
	}
	key := NewKey("Authorization", "SSWS ", secret.New("00token"))
	c = dial(t, serve, func(o *Options) { o.Credential = key })
	if _, err := c.Do(t.Context(), Request{Path: []string{"a"}}); err != nil || sent != "SSWS 00token" || strings.Contains(key.Scrub("x 00token"), "00token") {
		t.Errorf("sent %q: %v", sent, err)
	}
}

// A vendor repeats the token that it gave out, in its error, its request id and
// its data, as it is and encoded: none of it goes on.
func TestIssuedTokenIsNotRepeated(t *testing.T) {
	const token = `issued-token-+/"<0123456789`
	said := token + " " + base64.StdEncoding.EncodeToString([]byte("x"+token)) + " " + hex.EncodeToString([]byte(token))
	refuse := false
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "expires_in": 1799})
			return
		case r.Header.Get("Authorization") != "Bearer "+token:
			t.Errorf("the token that was sent is %q", r.Header.Get("Authorization"))
		}
		w.Header().Set("X-Id", said)
		if refuse {
			w.WriteHeader(http.StatusForbidden)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"text": said})
	}, func(o *Options) {
		o.Credential = NewClientCredentials([]string{"token"}, "id", secret.New("hush-hush"), nil)
		o.RequestIDs = []string{"X-Id"}
		o.Fault = func(body []byte) (string, string) { return string(body), string(body) }
	})
	var out map[string]string
	rep, err := c.DoJSON(t.Context(), Request{Path: []string{"a"}}, &out)
	if err != nil {
		t.Fatal(err)
	}
	refuse = true
	_, err = c.Do(t.Context(), Request{Path: []string{"a"}})
	clean := secret.NewRedactor(secret.New(token))
	for what, text := range map[string]string{"data": out["text"], "request id": rep.RequestID, "error": fmt.Sprintf("%v %+v", err, err)} {
		if clean.Found(text) || strings.Contains(text, "0123456789") || !strings.Contains(text, secret.Mark) {
			t.Errorf("%s: %q", what, text)
		}
	}
}
