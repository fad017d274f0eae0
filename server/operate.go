package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/server/api"
)

// operateAPI answers for what keeps Quell running: health, connectors,
// playbooks, the ledger, tokens.
type operateAPI struct {
	server *Server
	tenant string
	rooms  Rooms
	work   Work
}

// missing answers for every path that the table does not name.
func missing(*call) error {
	return api.Problem(api.CodeNotFound, "there is no such route, or not with this method")
}

func (a *operateAPI) health(*call, *struct{}) (*reply[api.Health], error) {
	return ok(api.Health{Status: "ok", Version: a.server.cfg.Version})
}

// ready asks each part. The status is 503 unless all are well; with
// status=ok the answer is 200 either way, for clients that read it.
func (a *operateAPI) ready(c *call, in *readyIn) (*reply[api.Ready], error) {
	ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
	defer cancel()
	out := api.Ready{Ready: true}
	for _, part := range []struct {
		name string
		ask  func(context.Context) error
	}{
		{"store", a.rooms.DB.Ready},
		{"ledger", a.rooms.ledgerReady},
		{"engine", a.work.Engine.Ready},
		{"connectors", a.work.Connectors.Ready},
		{"disk", func(context.Context) error { return a.work.space() }},
	} {
		p := api.PartReady{Name: part.name, OK: true}
		if err := part.ask(ctx); err != nil {
			p.OK, p.Why, out.Ready = false, err.Error(), false
		}
		out.Parts = append(out.Parts, p)
	}
	if a.work.Clock != nil {
		out.Parts = append(out.Parts, api.PartReady{Name: "clock", OK: true, Why: a.work.Clock()})
	}
	if !out.Ready && in.Status != "ok" {
		return status(http.StatusServiceUnavailable, out)
	}
	return ok(out)
}

// metrics answers with what the process counts.
func (a *operateAPI) metrics(c *call) error {
	if a.work.Metrics == nil {
		return api.Problem(api.CodeNotFound, "nothing is counted here")
	}
	a.work.Metrics.ServeHTTP(c.w, c.Request)
	return nil
}

func (a *operateAPI) whoami(c *call, _ *struct{}) (*reply[api.Whoami], error) {
	out := api.Whoami{Actor: c.actor.Name, Roles: c.actor.Roles, OnCall: c.actor.OnCall, Token: c.actor.Token, Session: c.actor.Session}
	for _, s := range auth.Scopes() {
		if c.actor.Can(s) {
			out.Scopes = append(out.Scopes, string(s))
		}
	}
	return ok(out)
}

func (a *operateAPI) connectors(c *call, _ *struct{}) (*reply[api.Connectors], error) {
	list, err := a.work.Connectors.List(c.Context())
	if err != nil {
		return nil, err
	}
	return ok(api.Connectors{Connectors: orNone(list)})
}

func (a *operateAPI) checkConnector(c *call, in *instanceIn) (*reply[api.Connector], error) {
	got, err := a.work.Connectors.Check(c.Context(), in.Instance)
	if err != nil {
		return nil, err
	}
	return ok(got)
}

// installed adds the roles of tokens: whoever holds one can be asked.
func (a *operateAPI) installed(c *call, _ *struct{}) (*reply[api.Installed], error) {
	out := a.work.Connectors.Installed()
	tokens, err := a.server.access.Tokens.List(c.Context())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	out.Roles = slices.Clone(out.Roles)
	for _, t := range tokens {
		if t.Revoked.IsZero() && now.Before(t.Expires) {
			out.Roles = append(out.Roles, t.Roles...)
		}
	}
	slices.Sort(out.Roles)
	out.Roles = slices.Compact(out.Roles)
	return ok(out)
}

func (a *operateAPI) createToken(c *call, req *newTokenIn) (*reply[api.CreatedToken], error) {
	in := req.Body
	scopes, err := auth.ParseScopes(in.Scopes)
	if err != nil {
		return nil, invalid("%v", err)
	}
	w := auth.Wish{Name: in.Name, User: in.User, Roles: in.Roles, Scopes: scopes}
	if in.Expires != "" {
		if w.Life, err = kind.ParseDuration(in.Expires); err != nil || w.Life <= 0 {
			return nil, invalid("expires %q is not a duration such as 12h or 30d", shorten(in.Expires))
		}
	}
	t, secret, err := a.server.access.Tokens.Create(c.Context(), c.actor, w)
	if err != nil {
		return nil, err
	}
	return status(http.StatusCreated, api.CreatedToken{Token: tokenOf(t), Secret: secret})
}

func tokenOf(t auth.Token) api.Token {
	out := api.Token{
		ID: t.ID, Name: t.Name, User: t.User, Roles: t.Roles, Created: t.Created, By: t.By, Expires: t.Expires,
		LastUsed: t.LastUsed, Revoked: t.Revoked,
	}
	for _, s := range t.Scopes {
		out.Scopes = append(out.Scopes, string(s))
	}
	return out
}

func (a *operateAPI) listTokens(c *call, _ *struct{}) (*reply[api.Tokens], error) {
	list, err := a.server.access.Tokens.List(c.Context())
	if err != nil {
		return nil, err
	}
	out := api.Tokens{Tokens: make([]api.Token, len(list))}
	for i, t := range list {
		out.Tokens[i] = tokenOf(t)
	}
	return ok(out)
}

func (a *operateAPI) rotateToken(c *call, in *rotateIn) (*reply[api.CreatedToken], error) {
	var overlap time.Duration
	if in.Body.Overlap != "" {
		var err error
		if overlap, err = kind.ParseDuration(in.Body.Overlap); err != nil {
			return nil, invalid("overlap %q is not a duration such as 10m", shorten(in.Body.Overlap))
		}
	}
	t, secret, err := a.server.access.Tokens.Rotate(c.Context(), c.actor, in.ID, overlap)
	if err != nil {
		return nil, err
	}
	return status(http.StatusCreated, api.CreatedToken{Token: tokenOf(t), Secret: secret})
}

func (a *operateAPI) revokeToken(c *call, in *OfID) (*none, error) {
	if err := a.server.access.Tokens.Revoke(c.Context(), c.actor, in.ID); err != nil {
		return nil, err
	}
	return &none{Status: http.StatusNoContent}, nil
}

func (a *operateAPI) entries(c *call, in *entriesIn) (*reply[api.Entries], error) {
	limit := in.limit()
	list, err := a.rooms.entriesOf(c.Context(), in.Run, uint64(in.After), limit) //nolint:gosec // the schema bounds it
	if err != nil {
		return nil, err
	}
	gone, err := a.rooms.Ledger.Base(c.Context())
	if err != nil {
		return nil, err
	}
	out := api.Entries{Entries: orNone(list)}
	if int64(in.After) < gone.Seq {
		out.Gone = uint64(gone.Seq) //nolint:gosec // counts from 1
	}
	if len(list) == limit {
		out.Next = list[limit-1].Seq
	}
	return ok(out)
}

// export streams the ledger. A fault after the first byte ends the stream
// short, and the verifier says so.
func (a *operateAPI) export(c *call) error {
	if err := a.rooms.write(c.Context(), note{kind: "ledger.exported", tenant: a.tenant, actor: c.actor.Name, request: c.id}); err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	st := &stream{w: c.w, ctl: http.NewResponseController(c.w), time: a.server.cfg.AnswerTime}
	if err := a.rooms.export(c.Context(), st); err != nil {
		a.server.log.Warn().Err(err).Str("request", c.id).Msg("an export of the ledger broke off")
		// A clean end would look whole: cut the connection instead.
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (a *operateAPI) checkpoint(c *call, _ *struct{}) (*reply[api.Checkpoint], error) {
	got, err := a.rooms.checkpoint(c.Context())
	if err != nil {
		return nil, err
	}
	return ok(got)
}

// authProblem tells what auth said.
func authProblem(err error) *api.Error {
	var bad *auth.InvalidError
	switch {
	case errors.Is(err, auth.ErrToken):
		return api.Problem(api.CodeUnauthenticated, auth.ErrToken.Error())
	case errors.Is(err, auth.ErrSession):
		return api.Problem(api.CodeUnauthenticated, auth.ErrSession.Error())
	case errors.Is(err, auth.ErrCSRF):
		return api.Problem(api.CodeForbidden, auth.ErrCSRF.Error())
	case errors.Is(err, auth.ErrFirst):
		return api.Problem(api.CodeUnauthenticated, auth.ErrFirst.Error())
	case errors.Is(err, auth.ErrNoToken):
		return api.Problem(api.CodeNotFound, fmt.Sprintf("%v, or it was revoked before", auth.ErrNoToken))
	case errors.As(err, &bad):
		return api.Problem(api.CodeInvalid, bad.Error())
	}
	return nil
}

func orNone[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}
