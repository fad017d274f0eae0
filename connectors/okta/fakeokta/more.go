package fakeokta

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// nextOf takes the next page's address out of a Link header.
func nextOf(link string) string {
	for part := range strings.SplitSeq(link, ", ") {
		if href, ok := strings.CutSuffix(part, `>; rel="next"`); ok {
			return strings.TrimPrefix(href, "<")
		}
	}
	return ""
}

// token gives a bearer token for an assertion signed with the application's key.
func (o *Okta) token(c *fake.Call) fake.Act {
	form, err := url.ParseQuery(string(c.Body))
	bad := func(why string) fake.Act {
		return fake.Say("", fake.Answer{Status: http.StatusUnauthorized, Header: headers(c), Body: map[string]any{"error": "invalid_client", "error_description": why}})
	}
	if err != nil || form.Get("grant_type") != "client_credentials" ||
		form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || form.Get("scope") == "" {
		return bad("The request is no client_credentials grant with an assertion and a scope.")
	}
	jti, err := o.assertion(form.Get("client_assertion"))
	if err != nil {
		return bad(err.Error())
	}
	return fake.Act{Run: func() fake.Done {
		o.spent[jti] = true
		o.serial++
		life := o.world.LagOf("okta.token")
		token := fmt.Sprintf("okta-bearer-%06d", o.serial)
		o.bearer[token] = o.now().Add(life)
		return fake.Done{Answer: success(c, http.StatusOK, map[string]any{
			"token_type": "Bearer", "expires_in": int(life.Seconds()), "access_token": token, "scope": form.Get("scope"),
		})}
	}}
}

// assertion checks a client assertion and returns its id.
func (o *Okta) assertion(jwt string) (string, error) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 || o.accept.Key == nil {
		return "", fmt.Errorf("the client_assertion is no JWT")
	}
	mark, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(o.accept.Key, crypto.SHA256, sum[:], mark) != nil {
		return "", fmt.Errorf("the client_assertion signature is invalid")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Iss, Sub, Aud, Jti string
		Exp                int64
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return "", fmt.Errorf("the client_assertion cannot be read")
	}
	left := time.Until(time.Unix(claims.Exp, 0))
	switch {
	case claims.Iss != o.accept.ClientID || claims.Sub != o.accept.ClientID:
		return "", fmt.Errorf("the client_assertion is of another client")
	case claims.Aud != o.base+"/oauth2/v1/token":
		return "", fmt.Errorf("the audience claim for client_assertion must be the endpoint invoked for the request")
	case left <= 0 || left > time.Hour:
		return "", fmt.Errorf("the client_assertion token has an expiration too far into the future, or is expired")
	case claims.Jti == "" || o.spent[claims.Jti]:
		return "", fmt.Errorf("the client_assertion token has been used already")
	}
	return claims.Jti, nil
}

func (o *Okta) listGrants(c *fake.Call, u *user) fake.Act {
	client := c.PathValue("client")
	return fake.Act{Object: u.login, Run: func() fake.Done {
		all := []any{}
		for _, g := range u.grants {
			if client == "" || g.client == client {
				all = append(all, map[string]any{
					"id": g.id, "status": "ACTIVE", "created": moment(g.created), "lastUpdated": moment(g.created), "issuer": o.base,
					"clientId": g.client, "userId": u.id, "scopeId": g.scope, "source": "END_USER",
					"_links": map[string]any{"app": map[string]any{"href": o.base + "/api/v1/apps/" + g.client, "title": g.app}},
				})
			}
		}
		return fake.Done{Answer: o.paged(c, all)}
	}}
}

func (o *Okta) revokeGrants(c *fake.Call, u *user) fake.Act {
	client := c.PathValue("client")
	return fake.Act{Object: u.login, Run: func() fake.Done {
		done := fake.Done{Answer: success(c, http.StatusNoContent, nil)}
		for _, g := range u.grants {
			if g.client == client {
				done.Effects = append(done.Effects, fake.Change{Object: u.login, Before: g.app + " " + g.scope, After: "revoked"})
			}
		}
		u.grants = slices.DeleteFunc(u.grants, func(g *grant) bool { return g.client == client })
		return done
	}}
}

func (o *Okta) listTokens(c *fake.Call, u *user) fake.Act {
	client := c.PathValue("client")
	return fake.Act{Object: u.login, Run: func() fake.Done {
		all := []any{}
		for n := range u.tokens[client] {
			all = append(all, map[string]any{"id": fmt.Sprintf("oar%s%d", client, n), "status": "ACTIVE", "clientId": client, "userId": u.id})
		}
		return fake.Done{Answer: o.paged(c, all)}
	}}
}

func (o *Okta) revokeTokens(c *fake.Call, u *user) fake.Act {
	client := c.PathValue("client")
	return fake.Act{Object: u.login, Run: func() fake.Done {
		n := u.tokens[client]
		delete(u.tokens, client)
		return fake.Done{
			Answer:  success(c, http.StatusNoContent, nil),
			Effects: []fake.Change{{Object: u.login, Before: fmt.Sprintf("%d refresh tokens", n), After: "0 refresh tokens"}},
		}
	}}
}

func (o *Okta) showGroup(g *group) map[string]any {
	return map[string]any{
		"id": g.id, "created": moment(g.created), "lastUpdated": moment(g.created), "lastMembershipUpdated": moment(g.created),
		"objectClass": []any{"okta:user_group"}, "type": g.kind, "profile": map[string]any{"name": g.name, "description": g.name},
	}
}

func (o *Okta) listGroups(c *fake.Call) fake.Act {
	var ts []term
	if q := query(c, "search"); q != nil {
		var err error
		if ts, err = terms(q.Get("search"), "or"); err != nil {
			return fake.Say("", failure(c, http.StatusBadRequest, "E0000031", err.Error()))
		}
	}
	return fake.Act{Run: func() fake.Done {
		all := []any{}
		for _, g := range o.groups {
			if ts == nil || anyOf(ts, map[string]string{"id": g.id, "profile.name": g.name}) {
				all = append(all, o.showGroup(g))
			}
		}
		return fake.Done{Answer: o.paged(c, all)}
	}}
}

func (o *Okta) userGroups(c *fake.Call, u *user) fake.Act {
	return fake.Act{Object: u.login, Run: func() fake.Done {
		all := []any{}
		for _, g := range o.groups {
			if slices.Contains(g.members, u.id) {
				all = append(all, o.showGroup(g))
			}
		}
		return fake.Done{Answer: o.paged(c, all)}
	}}
}

// member puts an account into a group or takes it out; both may be done twice.
func (o *Okta) member(in bool) func(*fake.Call, *user) fake.Act {
	return func(c *fake.Call, u *user) fake.Act {
		n := slices.IndexFunc(o.groups, func(g *group) bool { return g.id == c.PathValue("group") })
		if n < 0 {
			return fake.Say(u.login, failure(c, http.StatusNotFound, "E0000007", "Not found: Resource not found (UserGroup)"))
		}
		g := o.groups[n]
		if g.kind != "OKTA_GROUP" {
			return fake.Say(g.name, failure(c, http.StatusForbidden, "E0000006", "The group is not managed here"))
		}
		return fake.Act{Object: g.name, Run: func() fake.Done {
			was := slices.Contains(g.members, u.id)
			g.members = slices.DeleteFunc(g.members, func(m string) bool { return m == u.id })
			if in {
				g.members = append(g.members, u.id)
			}
			return fake.Done{
				Answer:  success(c, http.StatusNoContent, nil),
				Effects: []fake.Change{{Object: g.name, Key: u.login, Before: fmt.Sprint(was), After: fmt.Sprint(in)}},
			}
		}}
	}
}

// logs knows the filter eventType eq "…" and target.id eq "…", and since.
func (o *Okta) logs(c *fake.Call) fake.Act {
	q := c.URL.Query()
	want := map[string]string{}
	if text := q.Get("filter"); text != "" {
		ts, err := terms(text, "and")
		if err != nil {
			return fake.Say("", failure(c, http.StatusBadRequest, "E0000031", err.Error()))
		}
		for _, t := range ts {
			want[t.field] = t.value
		}
	}
	since, err := time.Parse(time.RFC3339, q.Get("since"))
	if q.Get("since") != "" && err != nil {
		return fake.Say("", failure(c, http.StatusBadRequest, "E0000001", "Api validation failed: since"))
	}
	return fake.Act{Run: func() fake.Done {
		all := []any{}
		for _, e := range o.events {
			kind, filtered := want["eventType"]
			target, aimed := want["target.id"]
			if e.seen.After(o.now()) || e.published.Before(since) || filtered && kind != e.kind || aimed && target != e.target.id {
				continue
			}
			all = append(all, map[string]any{
				"uuid": e.id, "published": moment(e.published), "eventType": e.kind, "version": "0", "severity": "INFO",
				"displayMessage": e.kind, "outcome": map[string]any{"result": "SUCCESS"},
				"target": []any{map[string]any{"id": e.target.id, "type": "User", "alternateId": e.target.login, "displayName": e.target.login}},
			})
		}
		return fake.Done{Answer: o.paged(c, all)}
	}}
}
