package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/quell-soar/quell/connectors/sdk/reach"
	"github.com/quell-soar/quell/connectors/spec"
)

// maxReply is the cap on a reply where Options names none.
const maxReply = 8 << 20

// Options configure a Client.
type Options struct {
	// BaseURL is where the vendor's API begins.
	BaseURL string
	// AllowHTTP permits a base URL without TLS. One on the loopback interface is
	// always permitted.
	AllowHTTP bool
	// Authorities are certificates in PEM form that are trusted besides the system's:
	// appliances rarely have one of a public authority.
	Authorities string
	// Credential authorises requests; nil sends none.
	Credential Credential
	// Limits are the headers in which the vendor says when to come back, the one
	// to trust first.
	Limits []LimitHeader
	// Fault reads the vendor's error text and code from the body of a refusal;
	// nil reads none.
	Fault func(body []byte) (message, code string)
	// RequestIDs are the headers that may carry the vendor's request id.
	RequestIDs []string
	// Region says where a 307 or 308 shall lead, given its headers; nil or an
	// error follows none.
	Region func(h http.Header) (*url.URL, error)
	// MaxReply caps a reply's body in bytes; 0 is 8 MB.
	MaxReply int
	// Now is the clock for rate limits and tokens; nil is time.Now.
	Now func() time.Time
}

// Client speaks to one vendor tenant. It may be used from many goroutines.
type Client struct {
	opt    Options
	base   atomic.Pointer[url.URL]
	reads  *resty.Client
	writes *resty.Client
	idle   func()
	// home is the configured base URL, to which a private address may belong.
	home url.URL
	// network replaces resolver and network in tests.
	network reach.Dialer
	// ahead is how far our clock is ahead of the vendor's.
	ahead atomic.Pointer[time.Duration]
}

// New checks the options and dials nothing.
func New(o Options) (*Client, error) {
	base, err := CheckBase(o.BaseURL, o.AllowHTTP)
	if err != nil {
		return nil, err
	}
	if o.MaxReply <= 0 {
		o.MaxReply = maxReply
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	roots, err := trust(o.Authorities)
	if err != nil {
		return nil, err
	}
	c := &Client{opt: o, home: *base}
	c.base.Store(base)
	transport := &http.Transport{
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		Proxy:                 nil, // a proxy of the environment would see every credential
		DialContext:           c.dial,
		TLSHandshakeTimeout:   5 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       30 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	plain := &http.Client{
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	c.idle = transport.CloseIdleConnections
	c.writes = quiet(resty.NewWithClient(plain), o.MaxReply)
	c.reads = quiet(resty.NewWithClient(plain), o.MaxReply).
		SetRetryCount(2).SetRetryWaitTime(100 * time.Millisecond).SetRetryMaxWaitTime(time.Second).
		AddRetryCondition(func(r *resty.Response, err error) bool {
			if err != nil {
				var refused *reach.RefusedError
				return !errors.Is(err, resty.ErrResponseBodyTooLarge) && !errors.As(err, &refused)
			}
			return r.StatusCode() >= http.StatusBadGateway && r.StatusCode() <= http.StatusGatewayTimeout
		})
	return c, nil
}

// trust returns the system's certificates with more of them; nil, which is the
// system's own, where there are none.
func trust(more string) (*x509.CertPool, error) {
	if more == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine without any still trusts what it is told to
	}
	if !roots.AppendCertsFromPEM([]byte(more)) {
		return nil, spec.Errorf(spec.Invalid, "the setting authorities has no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----")
	}
	return roots, nil
}

func quiet(r *resty.Client, limit int) *resty.Client {
	return r.SetLogger(silence{}).SetResponseBodyLimit(limit).SetHeader("User-Agent", "quell-connector").SetHeader("Accept", "application/json")
}

// silence drops resty's own messages: they quote requests.
type silence struct{}

func (silence) Errorf(string, ...any) {}
func (silence) Warnf(string, ...any)  {}
func (silence) Debugf(string, ...any) {}

// dial opens a connection to an address that the rule allows. The configured
// host may be on premises; where a vendor's region points must be public, or as
// local as the lab that said so.
func (c *Client) dial(ctx context.Context, _, address string) (net.Conn, error) {
	d := c.network
	d.Timeout = 5 * time.Second
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &reach.RefusedError{Address: address, Reason: "it is not host:port"}
	}
	named := reach.Named(c.home.Hostname())
	switch {
	case strings.EqualFold(host, c.home.Hostname()):
		d.Allow = named
	case slices.Contains(named, reach.Loopback):
		d.Allow = []reach.Class{reach.Public, reach.Loopback}
	}
	return d.Dial(ctx, address)
}

// Close gives idle connections back.
func (c *Client) Close() { c.idle() }

// Base returns where requests go now: the configured URL or the region that the
// vendor named.
func (c *Client) Base() *url.URL {
	u := *c.base.Load()
	return &u
}

// Request is one request in components. Nothing of it is concatenated into a
// URL.
type Request struct {
	Method string
	// Path are the segments behind the base URL, unescaped.
	Path []string
	// Slash ends the path with a slash, where the vendor insists on one.
	Slash bool
	Query url.Values
	// JSON is sent as JSON where it is not nil, else Form, else Upload.
	JSON   any
	Form   url.Values
	Upload *Upload
	// Read says that the request changes nothing although its method is not GET:
	// a search by POST.
	Read bool
	// Accept lists statuses besides 2xx that are an answer and no error.
	Accept []int
	// Anonymous sends no credential: the request that gets a token.
	Anonymous bool
	// token says that it asks for one: a refusal means a wrong credential.
	token bool
	// Header are headers of the vendor's own, such as Prefer; never a credential.
	Header map[string]string
}

// Upload is one file, sent as a part of a multipart form.
type Upload struct {
	// Field is the part's name, File the file's.
	Field, File string
	Content     []byte
}

// Reply is what came back.
type Reply struct {
	Status    int
	Header    http.Header
	Body      []byte
	RequestID string
	read      bool
	what      string
}

// Do sends a request. Errors are *spec.Error.
func (c *Client) Do(ctx context.Context, r Request) (*Reply, error) {
	used, err := c.authorize(ctx, r)
	if err != nil {
		return nil, err
	}
	rep, err := c.once(ctx, r, used)
	if err != nil {
		return nil, err
	}
	if to := c.region(rep); to != nil {
		c.base.Store(to)
		if rep, err = c.once(ctx, r, used); err != nil {
			return nil, err
		}
	}
	if rep.Status == http.StatusUnauthorized && used != nil && c.opt.Credential.Renew(used.Value) {
		// A 401 means that nothing was done, so a write may be sent again.
		if used, err = c.authorize(ctx, r); err != nil {
			return nil, err
		}
		if rep, err = c.once(ctx, r, used); err != nil {
			return nil, err
		}
	}
	return rep, c.judge(r, rep)
}

// DoJSON is Do, and reads the body as JSON into out where out is not nil. After
// a write, a body that cannot be read is Uncertain.
func (c *Client) DoJSON(ctx context.Context, r Request, out any) (*Reply, error) {
	rep, err := c.Do(ctx, r)
	if err != nil || out == nil {
		return rep, err
	}
	return rep, rep.Decode(out)
}

// Decode reads the body as JSON.
func (r *Reply) Decode(out any) error {
	if err := json.Unmarshal(r.Body, out); err != nil {
		k := spec.Uncertain
		if r.read {
			k = spec.Transient
		}
		return &spec.Error{
			Kind: k, VendorCode: fmt.Sprintf("HTTP %d", r.Status), VendorRequestID: r.RequestID,
			Message: fmt.Sprintf("%s was answered with something that is not the JSON it should be; check the base URL and what stands in between", r.what),
		}
	}
	return nil
}

func (c *Client) authorize(ctx context.Context, r Request) (*Header, error) {
	if c.opt.Credential == nil || r.Anonymous {
		return nil, nil
	}
	h, err := c.opt.Credential.Header(ctx, c)
	if err != nil {
		return nil, err
	}
	return &h, nil
}

// once sends the request one time and returns whatever status came back.
func (c *Client) once(ctx context.Context, r Request, auth *Header) (*Reply, error) {
	what := r.what()
	if err := ctx.Err(); err != nil {
		return nil, spec.Errorf(spec.Transient, "%s was not sent: %v", what, err)
	}
	target, err := r.url(c.base.Load())
	if err != nil {
		return nil, err
	}
	client := c.writes
	if r.reads() {
		client = c.reads
	}
	var sent atomic.Bool
	// From here on bytes may leave: having a connection is the last thing that
	// can be proven to come before.
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }}
	req := client.R().SetContext(httptrace.WithClientTrace(ctx, trace))
	switch {
	case r.JSON != nil:
		raw, err := json.Marshal(r.JSON)
		if err != nil {
			return nil, spec.Errorf(spec.Internal, "%s: the body cannot be written as JSON: %v", what, err)
		}
		req.SetHeader("Content-Type", "application/json").SetBody(raw)
	case r.Form != nil:
		req.SetFormDataFromValues(r.Form)
	case r.Upload != nil:
		if hasControl(r.Upload.Field + r.Upload.File) {
			return nil, spec.Errorf(spec.Invalid, "%s: the name of the file contains a control character", what)
		}
		req.SetMultipartField(r.Upload.Field, r.Upload.File, "application/octet-stream", bytes.NewReader(r.Upload.Content))
	}
	req.SetHeaders(r.Header)
	if auth != nil {
		req.SetHeader(auth.Name, auth.Value)
	}
	resp, err := req.Execute(r.method(), target)
	if err != nil {
		return nil, c.lost(ctx, r, sent.Load(), err)
	}
	c.watchClock(resp.Header())
	rep := &Reply{Status: resp.StatusCode(), Header: resp.Header(), Body: resp.Body(), read: r.reads(), what: what}
	if i, ok := c.opt.Credential.(Issuer); ok && !r.Anonymous {
		rep.Body = []byte(i.ScrubData(string(rep.Body)))
	}
	for _, name := range c.opt.RequestIDs {
		if id := rep.Header.Get(name); id != "" {
			rep.RequestID = c.clean(id)
			break
		}
	}
	return rep, nil
}

// region returns where a redirect that the vendor's region rule accepts leads.
func (c *Client) region(rep *Reply) *url.URL {
	if c.opt.Region == nil || (rep.Status != http.StatusTemporaryRedirect && rep.Status != http.StatusPermanentRedirect) {
		return nil
	}
	to, err := c.opt.Region(rep.Header)
	if err != nil || to == nil {
		return nil
	}
	if to, err = CheckBase(to.String(), c.opt.AllowHTTP); err != nil {
		return nil
	}
	return to
}
