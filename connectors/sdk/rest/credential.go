package rest

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

// Header is the header that authorises a request.
type Header struct{ Name, Value string }

// Credential authorises requests. Methods may be called from many goroutines.
type Credential interface {
	// Header returns what to send; it may ask the vendor for a token through c.
	Header(ctx context.Context, c *Client) (Header, error)
	// Renew is told that the vendor refused this value, and reports whether
	// Header will return another.
	Renew(value string) bool
	// Scrub takes the credential out of a text.
	Scrub(text string) string
}

// Issuer is a Credential whose value the vendor gave out. What Quell's own
// redaction knows are the secrets of the configuration; this one it cannot know,
// and a vendor may repeat it in its answers.
type Issuer interface {
	Credential
	// ScrubData takes what the vendor gave out of an answer's body.
	ScrubData(body string) string
}

// Basic is a name and a password or API token.
type Basic struct {
	header string
	redact *secret.Redactor
}

var _ Credential = (*Basic)(nil)

// NewBasic makes a Basic credential.
func NewBasic(name string, password secret.Value) *Basic {
	pair := name + ":" + password.Reveal()
	return &Basic{
		header: "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)),
		redact: secret.NewRedactor(password, secret.New(pair)),
	}
}

// Header returns the Authorization header.
func (b *Basic) Header(context.Context, *Client) (Header, error) {
	return Header{"Authorization", b.header}, nil
}

// Renew reports false: there is nothing to renew.
func (b *Basic) Renew(string) bool { return false }

// Scrub takes the password out of a text.
func (b *Basic) Scrub(text string) string { return b.redact.Text(text) }

// Key is a token that stands as it is in a header.
type Key struct {
	header Header
	redact *secret.Redactor
}

var _ Credential = (*Key)(nil)

// NewKey makes a credential that sends prefix and key in a header, such as
// Authorization with "Bearer ".
func NewKey(header, prefix string, key secret.Value) *Key {
	return &Key{header: Header{header, prefix + key.Reveal()}, redact: secret.NewRedactor(key)}
}

// Header returns the header.
func (k *Key) Header(context.Context, *Client) (Header, error) { return k.header, nil }

// Renew reports false: there is nothing to renew.
func (k *Key) Renew(string) bool { return false }

// Scrub takes the key out of a text.
func (k *Key) Scrub(text string) string { return k.redact.Text(text) }

// ClientCredentials gets bearer tokens from the vendor by the OAuth 2.0 client
// credentials grant, sent as a form. One token is shared; it is fetched by one
// caller while the others wait.
type ClientCredentials struct {
	path   []string
	form   func(audience string) (url.Values, error)
	redact *secret.Redactor
	issued secret.Issued
	turn   chan struct{}

	mu      sync.Mutex
	token   string
	expires time.Time
}

var _ Issuer = (*ClientCredentials)(nil)

// NewClientCredentials makes a token source; path is the token endpoint behind
// the client's base URL, more are further form values.
func NewClientCredentials(path []string, id string, key secret.Value, more url.Values) *ClientCredentials {
	form := url.Values{"client_id": {id}, "client_secret": {key.Reveal()}}
	maps.Copy(form, more)
	return NewSignedCredentials(path, key, func(string) (url.Values, error) { return form, nil })
}

// NewSignedCredentials makes a token source whose form is written anew for each
// token, such as one with a client assertion (RFC 7523) signed with key. form
// gets the URL of the token endpoint, which is the assertion's audience.
func NewSignedCredentials(path []string, key secret.Value, form func(audience string) (url.Values, error)) *ClientCredentials {
	return &ClientCredentials{path: path, form: form, redact: secret.NewRedactor(key), turn: make(chan struct{}, 1)}
}

// Header returns the token, fetching one where there is none that lasts.
func (t *ClientCredentials) Header(ctx context.Context, c *Client) (Header, error) {
	if h, ok := t.current(c.opt.Now()); ok {
		return h, nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return Header{}, spec.Errorf(spec.Transient, "no token came in time: %v", ctx.Err())
	}
	if h, ok := t.current(c.opt.Now()); ok { // another caller fetched it
		return h, nil
	}
	if err := t.fetch(ctx, c); err != nil {
		return Header{}, err
	}
	h, _ := t.current(time.Time{})
	return h, nil
}

func (t *ClientCredentials) current(now time.Time) (Header, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Header{"Authorization", "Bearer " + t.token}, t.token != "" && now.Before(t.expires)
}

func (t *ClientCredentials) fetch(ctx context.Context, c *Client) error {
	var out struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	form, err := t.form(c.Base().JoinPath(t.path...).String())
	if err != nil {
		return spec.Errorf(spec.Auth, "no token could be asked for: %v", err)
	}
	// Getting one token more changes nothing, so this counts as a read.
	req := Request{Method: http.MethodPost, Path: t.path, Form: form, Read: true, Anonymous: true, token: true}
	if _, err := c.DoJSON(ctx, req, &out); err != nil {
		return err
	}
	if out.AccessToken == "" || hasControl(out.AccessToken) {
		return spec.Errorf(spec.Auth, "the answer to the request for a token has none; check the base URL")
	}
	t.issued.Add(secret.New(out.AccessToken))
	life := time.Duration(min(max(out.ExpiresIn, 1), 24*3600)) * time.Second
	t.mu.Lock()
	defer t.mu.Unlock()
	// Renewed a little early: a token must not expire on its way.
	t.token, t.expires = out.AccessToken, c.opt.Now().Add(life-min(life/10, time.Minute))
	return nil
}

// Renew drops the token that was refused, unless it was replaced already.
func (t *ClientCredentials) Renew(value string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if value == "Bearer "+t.token {
		t.token = ""
	}
	return true
}

// Scrub takes the client's secret and its tokens out of a text.
func (t *ClientCredentials) Scrub(text string) string {
	return t.redact.Text(t.issued.Text(text))
}

// ScrubData takes the tokens out of an answer's body.
func (t *ClientCredentials) ScrubData(body string) string { return t.issued.Data(body) }
