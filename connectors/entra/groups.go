package entra

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// The states of a membership.
const (
	within  = "member"
	outside = "no member"
)

// thing is an object of which only id and name are read.
type thing struct {
	ID   string `json:"id"`
	Name string `json:"displayName"`
}

// membership puts an account into a group or takes it out.
func (s *session) membership(want string) func(context.Context, spec.Request) (spec.Reply, error) {
	return func(ctx context.Context, r spec.Request) (spec.Reply, error) {
		h, err := userOf(r)
		if err != nil {
			return spec.Reply{}, err
		}
		name, _ := r.Inputs["group"].(string)
		group, err := s.group(ctx, name)
		if err != nil {
			return backless(r, err)
		}
		c := change{
			want: want,
			read: func(ctx context.Context) (string, error) {
				held, err := list[thing](ctx, s, rest.Request{Path: v1("users", h.ID, "memberOf")}, 0)
				if err == nil && slices.ContainsFunc(held, func(g thing) bool { return g.ID == group }) {
					return within, nil
				}
				return outside, err
			},
			write: func(ctx context.Context) (string, error) {
				return s.write(ctx, http.MethodDelete, v1("groups", group, "members", h.ID, "$ref"), nil)
			},
			output: func(state string) map[string]any { return map[string]any{"member": state == within} },
		}
		if want == within {
			ref := s.graph.Base().JoinPath("v1.0", "directoryObjects", h.ID).String()
			c.write = func(ctx context.Context) (string, error) {
				return s.write(ctx, http.MethodPost, v1("groups", group, "members", "$ref"), map[string]any{"@odata.id": ref})
			}
		}
		return s.drive(ctx, r, c)
	}
}

// group finds the id of a group that is named by its id or its name.
func (s *session) group(ctx context.Context, name string) (string, error) {
	if guidForm.MatchString(name) {
		return name, nil
	}
	found, err := list[thing](ctx, s, rest.Request{Path: v1("groups"), Query: url.Values{
		"$filter": {"displayName eq " + quoted(name)}, "$select": {"id,displayName"},
	}}, 2)
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", spec.Errorf(spec.NotFound, "the directory has no group %q", name)
	case len(found) > 1:
		return "", spec.Errorf(spec.Ambiguous, "the directory has several groups %q; name the one by its id", name)
	}
	return found[0].ID, nil
}
