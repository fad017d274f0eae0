package okta

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// grant is one scope that an account let one application use.
type grant struct {
	ID       string    `json:"id"`
	ClientID string    `json:"clientId"`
	Scope    string    `json:"scopeId"`
	Status   string    `json:"status"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"lastUpdated"`
	Links    struct {
		App struct {
			Title string `json:"title"`
		} `json:"app"`
		Client struct {
			Title string `json:"title"`
		} `json:"client"`
	} `json:"_links"`
}

// granted is when the grant began to be what it is.
func (g grant) granted() time.Time {
	if g.Updated.After(g.Created) {
		return g.Updated.UTC()
	}
	return g.Created.UTC()
}

func (g grant) app() string {
	for _, name := range []string{g.Links.App.Title, g.Links.Client.Title, g.ClientID} {
		if name = plain(name); name != "" {
			return name
		}
	}
	return "unnamed"
}

// grants reads what an account granted and did not take back.
func (s *session) grants(ctx context.Context, path []string) ([]grant, error) {
	all, err := list[grant](ctx, s, path, url.Values{"limit": {pageSize}})
	return slices.DeleteFunc(all, func(g grant) bool { return g.Status == "REVOKED" }), err
}

// listConsents tells each application once, with all its scopes.
func (s *session) listConsents(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	all, err := s.grants(ctx, api("users", h.ID, "grants"))
	if err != nil {
		return spec.Reply{}, err
	}
	byClient := map[string][]grant{}
	var order []string
	for _, g := range all {
		if !idForm.MatchString(g.ClientID) {
			return spec.Reply{}, spec.Errorf(spec.Transient, "Okta lists a grant of an application without an id")
		}
		if byClient[g.ClientID] == nil {
			order = append(order, g.ClientID)
		}
		byClient[g.ClientID] = append(byClient[g.ClientID], g)
	}
	consents := []any{}
	for _, client := range order {
		c, err := s.consent(h.ID, client, byClient[client])
		if err != nil {
			return spec.Reply{}, err
		}
		consents = append(consents, c)
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"consents": consents}}, nil
}

func (s *session) consent(userID, client string, grants []grant) (kind.Handle, error) {
	scopes, latest := []any{}, time.Time{}
	for _, g := range grants {
		scopes = append(scopes, plain(g.Scope))
		if g.granted().After(latest) {
			latest = g.granted()
		}
	}
	// The latest counts: an application that got one more scope yesterday is
	// yesterday's consent.
	dated := !latest.IsZero()
	if !dated {
		latest = time.Now().UTC()
	}
	h := kind.Handle{Name: "consent", Instance: s.instance, ID: userID + "/" + client, Label: grants[0].app()}
	h, err := h.WithFacts(map[string]any{"app": grants[0].app(), "scopes": scopes, "granted": latest, "dated": dated})
	if err != nil {
		return h, spec.Errorf(spec.Internal, "consent of %s: %v", h.Label, err)
	}
	return h, nil
}

// revokeConsent takes from one application all that one account granted it,
// refresh tokens included.
func (s *session) revokeConsent(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, _ := r.Inputs["consent"].(kind.Handle)
	userID, client, ok := strings.Cut(h.ID, "/")
	if !ok || !idForm.MatchString(userID) || !idForm.MatchString(client) {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "%s: the consent is none of Okta's; get it from iam.list_consents", r.Action)
	}
	base := api("users", userID, "clients", client)
	grants, tokens := append(slices.Clone(base), "grants"), append(slices.Clone(base), "tokens")
	left, err := s.left(ctx, grants, tokens)
	switch {
	case spec.KindOf(err) == spec.NotFound && err != nil:
		left, err = 0, nil // application or account are gone, and the consent with them
	case err != nil:
		return spec.Reply{}, err
	}
	out := map[string]any{"revoked": true}
	switch {
	case r.Mode == spec.Back && left > 0:
		return spec.Reply{Outcome: spec.Absent}, nil
	case r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Present, Output: out}, nil
	case left == 0:
		return spec.Reply{Outcome: spec.Already, Output: out}, nil
	}
	reply := spec.Reply{Outcome: spec.Done, Output: out}
	// Grants first: without them no new token is given.
	for i, path := range [][]string{grants, tokens} {
		rep, e := s.client.Do(ctx, rest.Request{Method: http.MethodDelete, Path: path, Accept: []int{http.StatusNotFound}})
		switch {
		case e == nil:
			reply.VendorRequestID = rep.RequestID
		case i == 0 && spec.KindOf(e) != spec.Uncertain:
			return spec.Reply{}, e // nothing has happened
		default:
			err = spec.Errorf(spec.Uncertain, "it is revoked in part or not at all: %v", e)
		}
	}
	return reply, s.gone(ctx, err, grants, tokens)
}

// left counts what a consent still consists of.
func (s *session) left(ctx context.Context, grants, tokens []string) (int, error) {
	g, err := s.grants(ctx, grants)
	if err != nil {
		return 0, err
	}
	t, err := list[struct {
		Status string `json:"status"`
	}](ctx, s, tokens, url.Values{"limit": {pageSize}})
	n := len(g)
	for _, x := range t {
		if x.Status != "REVOKED" {
			n++
		}
	}
	return n, err
}

// gone reads until nothing is left, and returns lost or what else is the matter
// where that does not come.
func (s *session) gone(ctx context.Context, lost error, grants, tokens []string) error {
	for until := time.Now().Add(patience); ; {
		n, err := s.left(ctx, grants, tokens)
		if err == nil && n == 0 || err != nil && spec.KindOf(err) == spec.NotFound {
			return nil
		}
		if time.Now().After(until) || !pause(ctx, poll) {
			break
		}
	}
	if lost != nil {
		return lost
	}
	return spec.Errorf(spec.Uncertain, "Okta accepted it and still lists the consent; it may happen yet")
}
