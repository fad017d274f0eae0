package server

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/server/api"
)

// header names the request's id in every answer.
const requestHeader = "Request-Id"

// connKey finds the connection of a request, for the kernel's word on its peer.
type connKey struct{}

// guarded wraps a route's handler in everything that must hold before it.
func (s *Server) guarded(rt route, handle func(http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, id: "req_" + rand.Text()}
		c.Request = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		secure(w.Header())
		w.Header().Set(requestHeader, c.id)
		defer s.recovered(c)
		if err := s.admit(c, rt); err != nil {
			if p := s.refused(c, rt, err); p != nil {
				c.write(p.Status, api.ProblemType, p)
			}
			return
		}
		switch {
		case rt.stream:
			handle(c.w, c.Request)
		case rt.method == http.MethodGet:
			tagged(c, handle)
		default:
			s.once(c, rt, handle)
		}
	}
}

// secure sets the headers that every answer carries.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// recovered turns a panic of a handler into a problem; the process goes on.
func (s *Server) recovered(c *call) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(p)
	}
	s.log.Error().Str("request", c.id).Str("route", c.Pattern).Interface("panic", p).Stack().Msg("a handler panicked")
	problem := api.Problem(api.CodeInternal, "a fault of Quell; its log has this request")
	problem.Request = c.id
	c.write(problem.Status, api.ProblemType, problem)
}

// admit checks host, origin, length, caller and scope, in this order.
func (s *Server) admit(c *call, rt route) error {
	if err := s.site(c, rt); err != nil {
		return err
	}
	most := rt.body
	if most == 0 {
		most = defaultBody
	}
	if c.ContentLength > most {
		c.w.Header().Set("Connection", "close")
		return &http.MaxBytesError{Limit: most}
	}
	c.Body = http.MaxBytesReader(c.w, c.Body, most)
	if rt.need == signed {
		return nil
	}
	if rt.need != public {
		actor, err := s.who(c)
		if err != nil {
			return err
		}
		c.actor = actor
		if rt.need != known && !actor.Can(auth.Scope(rt.need)) {
			return &auth.RefusedError{Actor: actor.Name, Need: auth.Scope(rt.need)}
		}
	}
	if err := s.limits.take(c, rt); err != nil {
		return err
	}
	return c.take()
}

// site refuses requests that a browser was talked into: a Host that is not ours
// (DNS rebinding) and an Origin that nobody allowed, "null" included.
func (s *Server) site(c *call, rt route) error {
	if _, unix := peerConn(c.Context()).(*net.UnixConn); !unix && !s.hostAllowed(c.Host) {
		return api.Problem(api.CodeForbidden, "this Host is not one of the server's names; add it to the configuration's hosts if it is")
	}
	origins := c.Header.Values("Origin")
	for _, o := range origins {
		if !slices.Contains(s.cfg.Origins, o) {
			return api.Problem(api.CodeForbidden, "requests from this Origin are not allowed")
		}
	}
	if rt.landing && c.Method == http.MethodGet && c.Header.Get("Sec-Fetch-Mode") == "navigate" && len(origins) == 0 {
		return nil // the identity provider sends the browser here
	}
	if site := c.Header.Get("Sec-Fetch-Site"); len(origins) == 0 && (site == "cross-site" || site == "same-site") {
		return api.Problem(api.CodeForbidden, "requests from other sites are not allowed")
	}
	return nil
}

// hostAllowed reports whether a Host header names us: localhost or a loopback
// address with any port, or a configured name.
func (s *Server) hostAllowed(host string) bool {
	if slices.Contains(s.cfg.Hosts, host) {
		return true
	}
	u, err := url.Parse("http://" + host)
	if err != nil || u.Host != host || u.User != nil {
		return false
	}
	name := u.Hostname()
	if name == "localhost" || slices.Contains(s.cfg.Hosts, name) {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.IsLoopback()
}

func peerConn(ctx context.Context) net.Conn {
	c, _ := ctx.Value(connKey{}).(net.Conn)
	return c
}

// problemOf turns any error into what the caller is told.
func problemOf(err error) *api.Error {
	var p *api.Error
	var big *http.MaxBytesError
	var refused *auth.RefusedError
	var network net.Error
	switch {
	case errors.As(err, &p):
		q := *p
		return &q
	case errors.As(err, &big):
		return api.Problem(api.CodeTooLarge, "the body is longer than this route takes")
	case errors.As(err, &refused):
		return api.Problem(api.CodeForbidden, refused.Error())
	case errors.As(err, &network) && network.Timeout():
		return api.Problem(api.CodeInvalid, "the body did not arrive in time")
	case errors.Is(err, context.DeadlineExceeded):
		return api.Problem(api.CodeNotReady, "it took too long; try again")
	}
	if q := domainProblem(err); q != nil {
		return q
	}
	return api.Problem(api.CodeInternal, "a fault of Quell; its log has this request")
}

// refused makes the answer to an error, and logs and records it.
func (s *Server) refused(c *call, rt route, err error) *api.Error {
	p := problemOf(err)
	p.Request = c.id
	if c.Context().Err() != nil {
		return p // nobody listens any more
	}
	ev := s.log.Debug()
	if p.Code == api.CodeInternal {
		ev = s.log.Error().Err(err)
	}
	ev.Str("request", c.id).Str("route", rt.pattern()).Str("actor", c.actor.Name).Str("code", string(p.Code)).Msg("refused")
	var known *recordedError
	if p.Refused() && !errors.As(err, &known) {
		s.recordRefusal(c, rt, p)
	}
	if p.Code == api.CodeUnauthenticated {
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="quell"`)
	}
	if p.RetryAfter > 0 {
		secs := int(p.RetryAfter.Round(time.Second) / time.Second)
		c.w.Header().Set("Retry-After", itoa(max(secs, 1)))
	}
	return p
}
