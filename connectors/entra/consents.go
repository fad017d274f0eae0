package entra

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// grant is what an application may do in an account's name.
type grant struct {
	ID     string `json:"id"`
	Client string `json:"clientId"`
	Scope  string `json:"scope"`
}

// listConsents reads an account's grants, with the applications' names and,
// where Graph tells it, when they were granted.
func (s *session) listConsents(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	grants, err := list[grant](ctx, s, rest.Request{Path: v1("users", h.ID, "oauth2PermissionGrants")}, 0)
	if err != nil {
		return spec.Reply{}, err
	}
	out := []any{}
	if len(grants) > 0 {
		names, err := s.appNames(ctx, grants)
		if err != nil {
			return spec.Reply{}, err
		}
		times, err := s.assigned(ctx, h.ID)
		if err != nil {
			return spec.Reply{}, err
		}
		now := time.Now().UTC()
		for _, g := range grants {
			c, err := s.consent(g, names[g.Client], times[g.Client], now)
			if err != nil {
				return spec.Reply{}, err
			}
			out = append(out, c)
		}
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"consents": out}}, nil
}

func (s *session) consent(g grant, app string, at, now time.Time) (kind.Handle, error) {
	if app = plain(app); app == "" {
		app = "application " + g.Client
	}
	scopes := strings.Fields(g.Scope)
	slices.Sort(scopes)
	allowed := make([]any, len(scopes))
	for i, scope := range scopes {
		allowed[i] = scope
	}
	facts := map[string]any{"app": app, "scopes": allowed, "granted": now, "dated": !at.IsZero()}
	if !at.IsZero() {
		facts["granted"] = at.UTC()
	}
	label := plain(app + ": " + strings.Join(scopes, " "))
	return kind.Handle{Name: "consent", Instance: s.instance, ID: g.ID, Label: label}.WithFacts(facts)
}

// appNames reads the names of the applications behind grants.
func (s *session) appNames(ctx context.Context, grants []grant) (map[string]string, error) {
	type app struct {
		ID   string `json:"id"`
		Name string `json:"displayName"`
	}
	names := map[string]string{}
	for part := range slices.Chunk(grants, 1000) {
		var ids []string
		for _, g := range part {
			if !slices.Contains(ids, g.Client) {
				ids = append(ids, g.Client)
			}
		}
		found, err := list[app](ctx, s, rest.Request{
			Method: http.MethodPost, Path: v1("directoryObjects", "getByIds"), Read: true,
			JSON: map[string]any{"ids": ids, "types": []string{"servicePrincipal"}},
		}, 0)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			names[a.ID] = a.Name
		}
	}
	return names, nil
}

// assigned reads when the account was assigned to each application, which
// happens together with its consent.
func (s *session) assigned(ctx context.Context, id string) (map[string]time.Time, error) {
	type assignment struct {
		Created  *time.Time `json:"createdDateTime"`
		Resource string     `json:"resourceId"`
	}
	found, err := list[assignment](ctx, s, rest.Request{Path: v1("users", id, "appRoleAssignments")}, 0)
	times := map[string]time.Time{}
	for _, a := range found {
		if a.Created != nil && a.Created.After(times[a.Resource]) {
			times[a.Resource] = *a.Created
		}
	}
	return times, err
}

// grantForm is how Graph writes the id of a grant.
var grantForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// The states of a consent.
const (
	there = "there"
	gone  = "gone"
)

// revokeConsent deletes a grant. What is gone is gone, whoever deleted it.
func (s *session) revokeConsent(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, ok := r.Inputs["consent"].(kind.Handle)
	if !ok || !grantForm.MatchString(h.ID) {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "%s: the consent is none of Entra; list it with iam.list_consents", r.Action)
	}
	path := v1("oauth2PermissionGrants", h.ID)
	return s.drive(ctx, r, change{
		want: gone,
		read: func(ctx context.Context) (string, error) {
			_, err := get[grant](ctx, s, rest.Request{Path: path})
			if spec.KindOf(err) == spec.NotFound {
				return gone, nil
			}
			return there, err
		},
		write:  func(ctx context.Context) (string, error) { return s.write(ctx, http.MethodDelete, path, nil) },
		output: func(state string) map[string]any { return map[string]any{"revoked": state == gone} },
	})
}
