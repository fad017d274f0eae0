package server

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/server/api"
)

const (
	// failuresAMinute is how many bad proofs one address may present a minute
	// before it is told to wait.
	failuresAMinute = 120
	// freshFor is how old a sign-in may be for approving effects.
	freshFor = 15 * time.Minute
)

func (a Access) withDefaults() Access {
	if a.Fresh <= 0 {
		a.Fresh = freshFor
	}
	if a.Landing == "" {
		a.Landing = "/v1/whoami"
	}
	if a.Duties == nil {
		a.Duties = auth.Duties{}
	}
	if a.Rights == nil {
		a.Rights, _ = auth.NewRights(nil, nil) // the built-in roles alone are sound
	}
	if a.People == nil {
		a.People, _ = auth.NewPeople(nil)
	}
	return a
}

// who finds out who calls, by the first proof that is there: a token, the
// kernel's word on the unix socket, a client certificate, a browser's session. A
// token that was sent must hold, on the unix socket too: whoever presents one
// wants to be that person.
func (s *Server) who(c *call) (auth.Actor, error) {
	a, err := s.proved(c)
	var bad *api.Error
	if errors.Is(err, auth.ErrToken) || errors.Is(err, auth.ErrSession) || (errors.As(err, &bad) && bad.Code == api.CodeUnauthenticated) {
		return a, s.failed(c, err)
	}
	if err != nil {
		return a, err
	}
	a.OnCall = s.access.Duties.Of(a.Name)
	return a, nil
}

// failed counts a bad proof. Whoever presents too many is told to wait, which a
// good proof never is.
func (s *Server) failed(c *call, err error) error {
	wait := s.failures.Failed(addressOf(c))
	if wait == 0 {
		return err
	}
	p := api.Problem(api.CodeRateLimited, "too many requests from this address without a good token")
	p.RetryAfter = wait
	return p
}

func addressOf(c *call) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr)
	if err != nil {
		return "local"
	}
	return host
}

func (s *Server) proved(c *call) (auth.Actor, error) {
	if head := c.Header.Values("Authorization"); len(head) > 0 {
		secret, isBearer := strings.CutPrefix(head[0], "Bearer ")
		if !isBearer || len(head) != 1 {
			return auth.Actor{}, api.Problem(api.CodeUnauthenticated, "one Authorization header with a Bearer token is needed")
		}
		a, err := s.access.Tokens.Authenticate(c.Context(), secret)
		if err == nil {
			a.Roles = joined(a.Roles, s.access.People.Token(strings.TrimPrefix(a.Name, auth.UserPrefix)))
		}
		return a, err
	}
	if u, isUnix := peerConn(c.Context()).(*net.UnixConn); isUnix {
		a, uid, err := auth.Peer(u, s.access.LocalRoles)
		if err != nil {
			return auth.Actor{}, api.Problem(api.CodeUnauthenticated, err.Error())
		}
		return s.access.People.Local(a, uid), nil
	}
	if c.TLS != nil && len(c.TLS.VerifiedChains) > 0 {
		name, roles := s.access.People.Certificate(nameOf(c.TLS.VerifiedChains[0][0]))
		return auth.Actor{Name: name, Roles: roles, Scopes: s.access.Rights.Scopes(roles)}, nil
	}
	if cookie, err := c.Cookie(sessionCookie); err == nil && s.access.Sessions != nil {
		return s.sessions.resume(c, cookie.Value)
	}
	return auth.Actor{}, api.Problem(api.CodeUnauthenticated, "a token is needed: Authorization: Bearer quell_…")
}

// nameOf is a certificate's first subject alternative name: a URI, else a DNS
// name, else an address of mail. The common name is nobody's (RFC 9525).
func nameOf(cert *x509.Certificate) string {
	switch {
	case len(cert.URIs) > 0:
		return cert.URIs[0].String()
	case len(cert.DNSNames) > 0:
		return cert.DNSNames[0]
	case len(cert.EmailAddresses) > 0:
		return cert.EmailAddresses[0]
	}
	return ""
}

// joined adds what is not there yet.
func joined(list, more []string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// changes reports whether a method changes anything.
func changes(method string) bool { return method != http.MethodGet && method != http.MethodHead }
