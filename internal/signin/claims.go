package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// groupsCap bounds the groups that are looked at; more are a mistake of the
// provider's set-up.
const groupsCap = 5000

// read verifies the identity token of an answer and reads its claims. nonce is
// empty for an answer to a refresh, which need not have one.
func (p *Provider) read(ctx context.Context, op *oidc.Provider, tok *oauth2.Token, nonce string) (Identity, error) {
	raw, _ := tok.Extra("id_token").(string)
	if raw == "" {
		return Identity{}, refused("the identity provider sent no identity token; the client there must be one of OpenID Connect")
	}
	// The verifier's clock is ours less the skew, so that a token that ended
	// seconds ago by our clock is taken; what it says of its making is checked
	// below against the other side.
	v := op.VerifierContext(oidc.ClientContext(ctx, p.client), &oidc.Config{
		ClientID: p.opts.ClientID, Now: func() time.Time { return p.opts.Now().Add(-skew) },
		SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA},
	})
	idt, err := v.Verify(ctx, raw)
	if err != nil {
		return Identity{}, refused("the identity token does not hold: %v", err)
	}
	if nonce != "" && idt.Nonce != nonce {
		return Identity{}, refused("the identity token belongs to another sign-in; begin again")
	}
	if idt.IssuedAt.After(p.opts.Now().Add(skew)) {
		return Identity{}, refused("the identity token is from the future: the clocks differ by more than %s", skew)
	}
	if idt.AccessTokenHash != "" {
		if err := idt.VerifyAccessToken(tok.AccessToken); err != nil {
			return Identity{}, refused("access and identity token do not belong together")
		}
	}
	var c map[string]json.RawMessage
	if err := idt.Claims(&c); err != nil {
		return Identity{}, refused("the identity token's claims cannot be read")
	}
	if azp := text(c["azp"]); len(idt.Audience) > 1 && azp != p.opts.ClientID {
		return Identity{}, refused("the identity token was made for another client")
	}
	roles, err := p.roles(c)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Issuer: idt.Issuer, Subject: idt.Subject, Roles: roles, At: idt.IssuedAt, Tokens: tok}
	id.Shown = shown(text(c["name"]), text(c["preferred_username"]), idt.Subject)
	if at := c["auth_time"]; at != nil {
		var sec int64
		if err := json.Unmarshal(at, &sec); err != nil || sec <= 0 {
			return Identity{}, refused("auth_time of the identity token is no time")
		}
		id.At = time.Unix(sec, 0)
	}
	if id.Subject == "" || len(id.Subject) > 255 || strings.ContainsFunc(id.Subject, unicode.IsControl) {
		return Identity{}, refused("the identity token's subject is empty, too long or not text")
	}
	return id, nil
}

// roles maps the groups of a token's claims.
func (p *Provider) roles(c map[string]json.RawMessage) ([]string, error) {
	// Too many groups: Entra names where to fetch them, or says only that there
	// are some (https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference).
	var elsewhere map[string]json.RawMessage
	if raw := c["_claim_names"]; raw != nil {
		if err := json.Unmarshal(raw, &elsewhere); err != nil {
			return nil, refused("_claim_names of the identity token cannot be read")
		}
	}
	if _, away := elsewhere[p.opts.GroupsClaim]; away || text(c["hasgroups"]) == "true" {
		return nil, refused("you are in so many groups that the identity provider left them out; it must send only the groups that Quell is assigned to, or app roles")
	}
	raw := c[p.opts.GroupsClaim]
	if raw == nil {
		return nil, nil
	}
	var groups []string
	if err := json.Unmarshal(raw, &groups); err != nil {
		var one string
		if json.Unmarshal(raw, &one) != nil {
			return nil, refused("the claim %s is neither a text nor a list of texts", p.opts.GroupsClaim)
		}
		groups = []string{one}
	}
	if len(groups) > groupsCap {
		return nil, refused("the claim %s has more than %d groups", p.opts.GroupsClaim, groupsCap)
	}
	var out []string
	for _, g := range groups {
		out = append(out, p.opts.Roles[g]...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// text reads a claim that is a text or a boolean; "" for others.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var b bool
	if json.Unmarshal(raw, &b) == nil && b {
		return "true"
	}
	return ""
}

// shown picks the first name that is there, without what would confuse a
// terminal or a page.
func shown(names ...string) string {
	for _, n := range names {
		n = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, n)
		if n = strings.TrimSpace(n); n != "" && utf8.ValidString(n) {
			return string([]rune(n)[:min(64, utf8.RuneCountInString(n))])
		}
	}
	return ""
}

// Recheck asks the provider whether the person of an identity is still who they
// were, and returns the roles of now. It refreshes where the provider gave a
// refresh token and asks the userinfo endpoint otherwise. A *RefusedError means
// no longer; any other error, that the provider could not be asked: the caller
// then refuses as well, and says that it may be tried again.
func (p *Provider) Recheck(ctx context.Context, was Identity) (Identity, error) {
	op, auth, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	if was.Tokens == nil {
		return Identity{}, refused("the server was restarted since you signed in; sign in again")
	}
	if was.Tokens.RefreshToken == "" {
		return p.userInfo(ctx, op, was)
	}
	tok, err := auth.TokenSource(ctx, &oauth2.Token{RefreshToken: was.Tokens.RefreshToken}).Token()
	var answered *oauth2.RetrieveError
	if errors.As(err, &answered) {
		return Identity{}, refused("the identity provider ended your sign-in: %s", word(answered.ErrorCode))
	}
	if err != nil {
		return Identity{}, fmt.Errorf("the identity provider's token endpoint: %w", err)
	}
	if tok.RefreshToken == "" {
		tok.RefreshToken = was.Tokens.RefreshToken
	}
	if raw, _ := tok.Extra("id_token").(string); raw == "" {
		was.Tokens = tok
		return p.userInfo(ctx, op, was)
	}
	now, err := p.read(ctx, op, tok, "")
	if err != nil {
		return Identity{}, err
	}
	if now.Issuer != was.Issuer || now.Subject != was.Subject {
		return Identity{}, refused("the identity provider answered for another person")
	}
	now.At = was.At // refreshing proves nothing new
	return now, nil
}

func (p *Provider) userInfo(ctx context.Context, op *oidc.Provider, was Identity) (Identity, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, op.UserInfoEndpoint(), nil)
	if err != nil || op.UserInfoEndpoint() == "" {
		return Identity{}, refused("the identity provider has neither refresh tokens nor a userinfo endpoint, so nobody can be asked again; sign in again")
	}
	was.Tokens.SetAuthHeader(req)
	res, err := p.client.Do(req)
	if err != nil {
		return Identity{}, fmt.Errorf("the identity provider's userinfo endpoint: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden {
		return Identity{}, refused("the identity provider ended your sign-in; sign in again")
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return Identity{}, fmt.Errorf("the identity provider's userinfo endpoint answered %s", res.Status)
	}
	var c map[string]json.RawMessage
	if err := json.Unmarshal(body, &c); err != nil {
		return Identity{}, refused("the answer of the userinfo endpoint cannot be read")
	}
	if text(c["sub"]) != was.Subject { // OpenID Connect Core 5.3.2 demands the check
		return Identity{}, refused("the identity provider answered for another person")
	}
	roles, err := p.roles(c)
	if err != nil {
		return Identity{}, err
	}
	if c[p.opts.GroupsClaim] != nil {
		was.Roles = roles
	}
	return was, nil
}
