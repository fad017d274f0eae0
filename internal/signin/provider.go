package signin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/quell-soar/quell/connectors/sdk/secret"
)

// Options say which provider, and what its answers mean.
type Options struct {
	// Issuer is the provider's issuer URL, as its discovery document has it.
	Issuer string
	// ClientID and Secret are Quell's registration there. A public client has no
	// secret.
	ClientID string
	Secret   secret.Value
	// Redirect is the URL to which the provider sends the browser back.
	Redirect string
	// GroupsClaim names the claim with the groups; default groups.
	GroupsClaim string
	// Scopes are asked for besides openid and profile.
	Scopes []string
	// Roles maps a group to roles. A group that is not named gives none.
	Roles map[string][]string
	// Dial opens the connections to the provider, and to nowhere else: it is the
	// one of internal/egress.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Identity is who signed in.
type Identity struct {
	Issuer, Subject string
	// Shown is what the provider calls the person; it decides nothing.
	Shown string
	Roles []string
	// At is when the person proved who they are.
	At time.Time
	// Tokens let Recheck ask again. They stay in memory.
	Tokens *oauth2.Token
}

// RefusedError says why nobody was signed in.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return "sign-in refused: " + e.Reason }

func refused(format string, args ...any) error {
	return &RefusedError{Reason: fmt.Sprintf(format, args...)}
}

// Provider is one identity provider. It is safe for concurrent use.
type Provider struct {
	opts   Options
	client *http.Client
	seal   *sealer

	mu   sync.Mutex
	op   *oidc.Provider
	auth *oauth2.Config
}

// skew is how far the provider's clock may differ from ours.
const skew = 2 * time.Minute

// New makes a provider. It does not call it: a provider that is away must not
// keep the server from starting.
func New(o Options) (*Provider, error) {
	issuer, err := url.Parse(o.Issuer)
	if err != nil || issuer.Host == "" || (issuer.Scheme != "https" && !loopback(issuer)) {
		return nil, fmt.Errorf("the issuer %q must be an https URL", o.Issuer)
	}
	back, err := url.Parse(o.Redirect)
	if err != nil || back.Host == "" || (back.Scheme != "https" && !loopback(back)) {
		return nil, fmt.Errorf("the redirect %q must be an https URL", o.Redirect)
	}
	if o.ClientID == "" {
		return nil, errors.New("the client_id is missing")
	}
	if o.GroupsClaim == "" {
		o.GroupsClaim = "groups"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dial == nil {
		return nil, errors.New("signin: Dial is missing")
	}
	s, err := newSealer()
	if err != nil {
		return nil, err
	}
	return &Provider{opts: o, client: httpClient(o.Dial), seal: s}, nil
}

// loopback allows plain HTTP where nothing leaves the machine.
func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && ip != nil && ip.IsLoopback()
}

// answerCap bounds what is read of the provider's answers.
const answerCap = 1 << 20

func httpClient(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: capped{&http.Transport{
			Proxy: nil, DialContext: dial, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 8 * time.Second,
			MaxIdleConns: 4, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the provider answered with a redirect, which no endpoint of it may")
		},
	}
}

type capped struct{ next http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.next.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, answerCap), res.Body}
	}
	return res, err
}

// discover reads the provider's configuration once; a failure is tried again by
// the next call.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.op != nil {
		return p.op, p.auth, nil
	}
	// The provider keeps the client for its key set, past this request.
	op, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.opts.Issuer)
	if err != nil {
		return nil, nil, fmt.Errorf("the identity provider %s does not answer as one: %w", p.opts.Issuer, err)
	}
	endpoint := op.Endpoint()
	endpoint.AuthStyle = p.style(op)
	p.op = op
	p.auth = &oauth2.Config{
		ClientID: p.opts.ClientID, ClientSecret: p.opts.Secret.Reveal(), RedirectURL: p.opts.Redirect, Endpoint: endpoint,
		Scopes: union([]string{oidc.ScopeOpenID, "profile"}, p.opts.Scopes),
	}
	return p.op, p.auth, nil
}

// style says how we prove to be the client. Trying one way after the other would
// send a code twice, and a code is good once.
func (p *Provider) style(op *oidc.Provider) oauth2.AuthStyle {
	var c struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	// The default is basic (OpenID Connect Discovery 1.0 section 3).
	if err := op.Claims(&c); err == nil && p.opts.Secret.Reveal() != "" && (len(c.Methods) == 0 || slices.Contains(c.Methods, "client_secret_basic")) {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams
}

// Begin starts a sign-in. location is where the browser goes; ticket stays in a
// cookie of it (HttpOnly, SameSite=Lax, ten minutes) and is given to Finish.
// again demands that the person proves who they are now, whatever session the
// provider has of them.
func (p *Provider) Begin(ctx context.Context, again bool) (location, ticket string, err error) {
	_, auth, err := p.discover(ctx)
	if err != nil {
		return "", "", err
	}
	t := attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Expires: p.opts.Now().Add(attemptLife).Unix(), Again: again}
	if again {
		t.Began = p.opts.Now().Unix()
	}
	ticket, err = p.seal.shut(t)
	if err != nil {
		return "", "", err
	}
	o := []oauth2.AuthCodeOption{oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)}
	if again {
		o = append(o, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return auth.AuthCodeURL(t.State, o...), ticket, nil
}

// Finish ends a sign-in with what the provider sent back. The error is a
// *RefusedError where somebody or something was refused, and otherwise says that
// the provider could not be asked.
func (p *Provider) Finish(ctx context.Context, ticket, state, code string) (Identity, error) {
	op, auth, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	t, err := p.seal.open(ticket)
	if err != nil || p.opts.Now().Unix() >= t.Expires {
		return Identity{}, refused("it was begun more than ten minutes ago, in another browser, or before the server started; begin again")
	}
	if state == "" || state != t.State {
		return Identity{}, refused("the answer belongs to another sign-in; begin again")
	}
	ctx = oidc.ClientContext(ctx, p.client)
	tok, err := auth.Exchange(ctx, code, oauth2.VerifierOption(t.Verifier))
	var answered *oauth2.RetrieveError
	if errors.As(err, &answered) {
		return Identity{}, refused("the identity provider does not take the code: %s", word(answered.ErrorCode))
	}
	if err != nil {
		return Identity{}, fmt.Errorf("the identity provider's token endpoint: %w", err)
	}
	id, err := p.read(ctx, op, tok, t.Nonce)
	if err != nil {
		return Identity{}, err
	}
	if t.Again && id.At.Before(time.Unix(t.Began, 0).Add(-skew)) {
		return Identity{}, refused("the identity provider did not ask who you are again")
	}
	return id, nil
}

// union joins lists without repeating, in their order.
func union(lists ...[]string) []string {
	var out []string
	for _, s := range slices.Concat(lists...) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// word keeps a provider's error code where it is one (RFC 6749 section 5.2:
// printable ASCII), and nothing of what else it may say.
func word(s string) string {
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e || r == '"' || r == '\\' }) {
		return "it gives no reason"
	}
	return s
}
