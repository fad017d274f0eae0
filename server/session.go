package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/signin"
	"github.com/quell-soar/quell/server/api"
)

// The cookies of a browser. The prefix makes browsers demand that they are
// Secure, of this host alone and of every path (RFC 6265bis section 4.1.3.2).
const (
	sessionCookie = "__Host-quell"
	// csrfCookie is the one that our own pages read and send back as a header.
	csrfCookie = "__Host-quell-csrf"
	// ticketCookie carries a sign-in that was begun.
	ticketCookie = "__Host-quell-signin"
)

// sessionAPI answers for sign-ins, sessions and roles.
type sessionAPI struct {
	server *Server

	mu sync.Mutex
	// seen are the identities behind sessions, by session id, so that the
	// provider can be asked again. They hold its tokens and stay in memory: after
	// a restart a person signs in again before deciding.
	seen map[string]signin.Identity
}

func (a *sessionAPI) on() error {
	if a.server.access.Sessions == nil {
		return api.Problem(api.CodeNotFound, "nobody signs in here: access.oidc of the configuration names no identity provider")
	}
	return nil
}

func cookie(name, value string, life time.Duration, script bool) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second), Secure: true, HttpOnly: !script, SameSite: http.SameSiteLaxMode} //nolint:gosec // scripts read the token against forged requests and nothing else
}

// begin sends the browser to the identity provider.
func (a *sessionAPI) begin(c *call) error {
	if err := a.on(); err != nil {
		return err
	}
	location, ticket, err := a.server.access.SignIn.Begin(c.Context(), c.URL.Query().Get("again") == "true")
	if err != nil {
		return a.away(c, err)
	}
	http.SetCookie(c.w, cookie(ticketCookie, ticket, 10*time.Minute, false))
	c.w.Header().Set("Location", location)
	c.bytes(http.StatusSeeOther, "text/plain; charset=utf-8", []byte("Go to the identity provider.\n"))
	return nil
}

// away turns what the identity provider could not do into an answer.
func (a *sessionAPI) away(c *call, err error) error {
	var no *signin.RefusedError
	if errors.As(err, &no) {
		return api.Problem(api.CodeUnauthenticated, no.Error())
	}
	a.server.log.Warn().Err(err).Str("request", c.id).Msg("the identity provider cannot be asked")
	return api.Problem(api.CodeNotReady, "the identity provider cannot be asked just now; try again, or come with a token")
}

// callback ends a sign-in and opens a session. Whatever the browser had before is
// worth nothing afterwards.
func (a *sessionAPI) callback(c *call) error {
	if err := a.on(); err != nil {
		return err
	}
	q := c.URL.Query()
	http.SetCookie(c.w, cookie(ticketCookie, "", -time.Second, false))
	if q.Get("error") != "" {
		return api.Problem(api.CodeUnauthenticated, "the identity provider did not sign you in; begin again at /v1/session/begin")
	}
	ticket := ""
	if t, err := c.Cookie(ticketCookie); err == nil {
		ticket = t.Value
	}
	id, err := a.server.access.SignIn.Finish(c.Context(), ticket, q.Get("state"), q.Get("code"))
	if err != nil {
		return a.server.failed(c, a.away(c, err))
	}
	who, scopes := a.actor(id)
	c.actor = auth.Actor{Name: who.Actor, Roles: who.Roles}
	if len(scopes) == 0 {
		return api.Problem(api.CodeForbidden, fmt.Sprintf("%s is signed in at the identity provider and has no role here; an admin gives roles by groups (access.oidc.roles) or by name (access.people)", who.Actor))
	}
	old := ""
	if had, err := c.Cookie(sessionCookie); err == nil {
		old = had.Value
	}
	secret, csrf, err := a.server.access.Sessions.Begin(c.Context(), who, addressOf(c), old)
	if err != nil {
		return err
	}
	opened, err := a.server.access.Sessions.Resume(c.Context(), secret, "", false)
	if err != nil {
		return err
	}
	a.remember(opened.ID, id)
	life := time.Until(opened.Expires)
	http.SetCookie(c.w, cookie(sessionCookie, secret, life, false))
	http.SetCookie(c.w, cookie(csrfCookie, csrf, life, true))
	c.w.Header().Set("Location", a.server.access.Landing)
	c.bytes(http.StatusSeeOther, "text/plain; charset=utf-8", []byte("Signed in.\n"))
	return nil
}

// actor says who an identity is here, and what that allows.
func (a *sessionAPI) actor(id signin.Identity) (auth.SignedIn, []auth.Scope) {
	name, more := a.server.access.People.Subject(id.Subject)
	roles := joined(slices.Clone(id.Roles), more)
	return auth.SignedIn{Actor: name, Issuer: id.Issuer, Subject: id.Subject, Shown: id.Shown, Roles: roles, At: id.At}, a.server.access.Rights.Scopes(roles)
}

// remembered bounds the identities in memory; who is forgotten signs in again
// before deciding.
const remembered = 10_000

func (a *sessionAPI) remember(session string, id signin.Identity) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.seen) >= remembered {
		clear(a.seen)
	}
	a.seen[session] = id
}

func (a *sessionAPI) forget(session string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.seen, session)
}

func (a *sessionAPI) identity(session string) (signin.Identity, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id, known := a.seen[session]
	return id, known
}

// resume lets a browser in by its session.
func (a *sessionAPI) resume(c *call, secret string) (auth.Actor, error) {
	got, err := a.server.access.Sessions.Resume(c.Context(), secret, c.Header.Get(api.HeaderCSRF), changes(c.Method))
	if err != nil {
		return auth.Actor{}, err
	}
	return auth.Actor{
		Name: got.Who.Actor, Roles: got.Who.Roles, Scopes: a.server.access.Rights.Scopes(got.Who.Roles), Session: got.ID, SignedIn: got.Who.At,
	}, nil
}

// decides holds a decision of somebody who signed in against the identity
// provider of this moment: whoever was let go since the page was opened decides
// nothing. An approval of effects needs a sign-in that is fresh, too.
func (a *sessionAPI) decides(c *call, req api.Approval, approve bool) error {
	if c.actor.Session == "" {
		return nil
	}
	if approve && req.Kind == api.RequestApproval && time.Since(c.actor.SignedIn) > a.server.access.Fresh {
		return api.Problem(api.CodeSignInAgain, fmt.Sprintf("you signed in more than %s ago; approving effects needs a fresh sign-in: /v1/session/begin?again=true", a.server.access.Fresh))
	}
	was, known := a.identity(c.actor.Session)
	if !known {
		return api.Problem(api.CodeSignInAgain, "the server was restarted since you signed in; sign in again: /v1/session/begin")
	}
	ctx, cancel := context.WithTimeout(c.Context(), 8*time.Second)
	defer cancel()
	now, err := a.server.access.SignIn.Recheck(ctx, was)
	var no *signin.RefusedError
	if errors.As(err, &no) {
		a.forget(c.actor.Session)
		if err := a.server.access.Sessions.End(c.Context(), c.actor.Name, c.actor.Session); err != nil && !errors.Is(err, auth.ErrSession) {
			return err
		}
		return api.Problem(api.CodeUnauthenticated, no.Error())
	}
	if err != nil {
		return a.away(c, err)
	}
	a.remember(c.actor.Session, now)
	who, scopes := a.actor(now)
	c.actor.Roles, c.actor.Scopes = who.Roles, scopes
	if !c.actor.Can(auth.Approve) {
		return &auth.RefusedError{Actor: c.actor.Name, Need: auth.Approve}
	}
	return nil
}

func (a *sessionAPI) end(c *call, _ *struct{}) (*none, error) {
	if c.actor.Session == "" {
		return nil, invalid("only a browser's session is ended so; a token is revoked")
	}
	a.forget(c.actor.Session)
	if err := a.server.access.Sessions.End(c.Context(), c.actor.Name, c.actor.Session); err != nil {
		return nil, err
	}
	for _, name := range []string{sessionCookie, csrfCookie} {
		http.SetCookie(c.w, cookie(name, "", -time.Second, name == csrfCookie))
	}
	return &none{Status: http.StatusNoContent}, nil
}

func (a *sessionAPI) list(c *call, _ *struct{}) (*reply[api.Sessions], error) {
	out := api.Sessions{Sessions: []api.Session{}}
	if a.server.access.Sessions == nil {
		return ok(out)
	}
	list, err := a.server.access.Sessions.List(c.Context())
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		out.Sessions = append(out.Sessions, api.Session{
			ID: s.ID, Actor: s.Who.Actor, Shown: s.Who.Shown, Subject: s.Who.Subject, Issuer: s.Who.Issuer, Roles: s.Who.Roles,
			Address: s.Address, Created: s.Created, Seen: s.Seen, Expires: s.Expires,
		})
	}
	return ok(out)
}

func (a *sessionAPI) endOne(c *call, in *OfID) (*none, error) {
	if err := a.on(); err != nil {
		return nil, err
	}
	a.forget(in.ID)
	err := a.server.access.Sessions.End(c.Context(), c.actor.Name, in.ID)
	if errors.Is(err, auth.ErrSession) {
		return nil, api.Problem(api.CodeNotFound, "there is no such session, or it ended")
	}
	if err != nil {
		return nil, err
	}
	return &none{Status: http.StatusNoContent}, nil
}

func (a *sessionAPI) roles(*call, *struct{}) (*reply[api.Roles], error) {
	out := api.Roles{Roles: []api.Role{}}
	for _, r := range a.server.access.Rights.Roles() {
		one := api.Role{Name: r.Name, Scopes: []string{}}
		for _, s := range r.Scopes {
			one.Scopes = append(one.Scopes, string(s))
		}
		out.Roles = append(out.Roles, one)
	}
	return ok(out)
}

// first uses up the code for the first admin. Whoever guesses is told to wait.
func (a *sessionAPI) first(c *call, in *firstIn) (*reply[api.CreatedToken], error) {
	if a.server.access.First == nil {
		return nil, api.Problem(api.CodeNotFound, "this installation has its admin")
	}
	t, secret, err := a.server.access.First.Take(c.Context(), in.Body.Code, auth.Wish{Name: in.Body.Name, User: in.Body.User})
	if errors.Is(err, auth.ErrFirst) {
		return nil, a.server.failed(c, err)
	}
	if err != nil {
		return nil, err
	}
	return status(http.StatusCreated, api.CreatedToken{Token: tokenOf(t), Secret: secret})
}
