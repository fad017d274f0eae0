package panos

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

// key is the API key in the header: a given one, or one that is made with the
// administrator's password and made anew where the firewall no longer takes it.
type key struct {
	user     string
	password secret.Value
	redact   *secret.Redactor
	issued   secret.Issued
	turn     chan struct{}

	mu  sync.Mutex
	now string
}

var _ rest.Issuer = (*key)(nil)

func newKey(user string, password, given secret.Value) *key {
	return &key{user: user, password: password, now: given.Reveal(), redact: secret.NewRedactor(password, given), turn: make(chan struct{}, 1)}
}

func (k *key) current() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// Header returns the key, and makes one where there is none.
func (k *key) Header(ctx context.Context, c *rest.Client) (rest.Header, error) {
	if v := k.current(); v != "" {
		return rest.Header{Name: "X-PAN-KEY", Value: v}, nil
	}
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return rest.Header{}, spec.Errorf(spec.Transient, "no API key came in time: %v", ctx.Err())
	}
	v := k.current()
	if v == "" { // no other caller made one meanwhile
		var err error
		if v, err = k.generate(ctx, c); err != nil {
			return rest.Header{}, err
		}
		k.mu.Lock()
		k.now = v
		k.mu.Unlock()
	}
	return rest.Header{Name: "X-PAN-KEY", Value: v}, nil
}

// generate asks the firewall for a key. Asking twice gives two that are good.
func (k *key) generate(ctx context.Context, c *rest.Client) (string, error) {
	rep, err := c.Do(ctx, rest.Request{
		Method: http.MethodPost, Path: apiPath, Slash: true, Read: true, Anonymous: true, Accept: []int{http.StatusForbidden},
		Form: url.Values{"type": {"keygen"}, "user": {k.user}, "password": {k.password.Reveal()}},
	})
	if err != nil {
		return "", err
	}
	var out struct {
		Key string `xml:"key"`
	}
	if _, err := read(rep, true, &out); err != nil {
		if kind := spec.KindOf(err); kind == spec.Transient || kind == spec.RateLimited {
			return "", err
		}
		return "", spec.Errorf(spec.Auth, "no API key was given; check the settings user and password: %v", err)
	}
	if out.Key == "" || strings.ContainsAny(out.Key, "\r\n") {
		return "", spec.Errorf(spec.Auth, "the answer to the request for an API key has none; check the base URL")
	}
	k.issued.Add(secret.New(out.Key))
	return out.Key, nil
}

// Renew drops a key that the firewall refused and reports whether another can
// be made.
func (k *key) Renew(value string) bool {
	if k.password.Empty() {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now == value {
		k.now = ""
	}
	return true
}

// Scrub takes password and keys out of a text.
func (k *key) Scrub(text string) string { return k.redact.Text(k.issued.Text(text)) }

// ScrubData takes the keys that the firewall gave out of an answer.
func (k *key) ScrubData(body string) string { return k.issued.Data(body) }
