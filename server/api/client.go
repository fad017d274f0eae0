package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Options says where the server is and who speaks to it. Exactly one of Socket
// and Server is set.
type Options struct {
	// Socket is the path of the unix socket. No token is needed there: the
	// kernel tells the server who calls.
	Socket string
	// Server is the base URL, such as http://127.0.0.1:7878.
	Server string
	// Token is sent as a bearer token, and never over plain HTTP to another
	// machine.
	Token string
	// Timeout bounds every call but streams; 0 means 30 s.
	Timeout time.Duration
}

// Client speaks to a server. It is safe for concurrent use.
type Client struct {
	base  string
	where string
	token string
	call  *http.Client
	flow  *http.Client
}

// Dial prepares a client. It makes no connection yet.
func Dial(o Options) (*Client, error) {
	if (o.Socket == "") == (o.Server == "") {
		return nil, errors.New("dial: name either a socket or a server")
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
	}
	c := &Client{token: o.Token, where: o.Server, base: strings.TrimSuffix(o.Server, "/")}
	if o.Socket != "" {
		d := &net.Dialer{Timeout: 5 * time.Second}
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", o.Socket)
		}
		c.where, c.base = o.Socket, "http://localhost"
	} else if err := checkServer(o); err != nil {
		return nil, err
	}
	// A redirect would carry the token to a place that nobody named.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.call = &http.Client{Transport: t, Timeout: o.Timeout, CheckRedirect: stay}
	c.flow = &http.Client{Transport: t, CheckRedirect: stay}
	return c, nil
}

// checkServer refuses URLs that are no base of a server, and a token in clear
// text over the network.
func checkServer(o Options) error {
	u, err := url.Parse(o.Server)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("server %q is not a URL such as http://127.0.0.1:7878", o.Server)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("server %s://%s: name only scheme, host and port", u.Scheme, u.Host)
	}
	if u.Scheme == "http" && o.Token != "" && !loopback(u.Hostname()) {
		return fmt.Errorf("server %s: a token would travel in clear text; use https", u.Host)
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// send makes one request and returns a successful answer's body.
func (c *Client) send(ctx context.Context, h *http.Client, method, path string, in any, head http.Header) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		raw, ok := in.([]byte)
		if !ok {
			var err error
			if raw, err = json.Marshal(in); err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	maps.Copy(req.Header, head)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := h.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &Unreachable{Where: c.where, Err: bare(err)}
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	return nil, problemOf(res)
}

// bare strips net/http's repetition of method and URL.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// problemOf reads a refusal. An answer that is no problem comes from something
// that is not Quell, such as a proxy.
func problemOf(res *http.Response) error {
	raw, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	p := &Error{}
	if err != nil || json.Unmarshal(raw, p) != nil || p.Code == "" {
		p = &Error{
			Title: http.StatusText(res.StatusCode), Status: res.StatusCode, Code: CodeInternal,
			Detail: fmt.Sprintf("the answer %d is not one of Quell's; is this its address?", res.StatusCode),
		}
		if res.StatusCode == http.StatusBadGateway || res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusGatewayTimeout {
			p.Code = CodeNotReady
		}
	}
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
		p.RetryAfter = time.Duration(n) * time.Second
	}
	return p
}

// do makes one call and reads its answer into out, which may be nil.
func (c *Client) do(ctx context.Context, method, path string, in, out any, head http.Header) error {
	res, err := c.send(ctx, c.call, method, path, in, head)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return &Unreachable{Where: c.where, Err: fmt.Errorf("the answer to %s %s broke off: %w", method, path, err)}
	}
	return nil
}

func get[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	var out T
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	err := c.do(ctx, http.MethodGet, path, nil, &out, nil)
	return out, err
}

// flow is a call without a time-out of its own, for what takes long.
func flow[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	res, err := c.send(ctx, c.flow, method, path, in, nil)
	if err != nil {
		return out, err
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		return out, &Unreachable{Where: c.where, Err: fmt.Errorf("the answer to %s %s broke off: %w", method, path, err)}
	}
	return out, nil
}

func post[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	var out T
	err := c.do(ctx, http.MethodPost, path, in, &out, nil)
	return out, err
}

// query builds a query of the pairs whose value is not empty.
func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := pairs[i+1]; v != "" && v != "0" {
			q.Set(pairs[i], v)
		}
	}
	return q
}
