package okta

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// group is what is read of a group.
type group struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Profile struct {
		Name string `json:"name"`
	} `json:"profile"`
}

// findGroup finds the one group of that id or name.
func (s *session) findGroup(ctx context.Context, text string) (group, error) {
	all, err := list[group](ctx, s, api("groups"), url.Values{
		"search": {"id eq " + quoted(text) + " or profile.name eq " + quoted(text)}, "limit": {pageSize},
	})
	if err != nil {
		return group{}, err
	}
	var match []group
	for _, g := range all {
		if g.ID == text || g.Profile.Name == text {
			match = append(match, g)
		}
	}
	switch {
	case len(match) == 0:
		return group{}, spec.Errorf(spec.NotFound, "Okta knows no group %q", plain(text))
	case len(match) > 1:
		return group{}, spec.Errorf(spec.Ambiguous, "Okta knows %d groups %q; give the group's id", len(match), plain(text))
	case match[0].Type != "OKTA_GROUP":
		return group{}, spec.Errorf(spec.Conflict, "the group %q is managed elsewhere (%s); change it there", plain(text), plain(match[0].Type))
	}
	return match[0], nil
}

// member reports whether an account is in a group.
func (s *session) member(ctx context.Context, userID, groupID string) (bool, error) {
	all, err := list[group](ctx, s, api("users", userID, "groups"), nil)
	for _, g := range all {
		if g.ID == groupID {
			return true, err
		}
	}
	return false, err
}

// setMember puts an account into a group or takes it out. As an inverse it
// leaves alone what was so before.
func (s *session) setMember(ctx context.Context, r spec.Request, want bool) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	name, _ := r.Inputs["group"].(string)
	g, err := s.findGroup(ctx, name)
	if err != nil {
		return missing(r, err)
	}
	is, err := s.member(ctx, h.ID, g.ID)
	if err != nil {
		return missing(r, err)
	}
	if r.Mode == spec.Back {
		prior, ok := s.prior.Get(r.Key)
		if !ok {
			prior = map[string]any{"member": is}
		}
		if is == want {
			return spec.Reply{Outcome: spec.Present, Output: memberOutput(is), Prior: prior}, nil
		}
		return spec.Reply{Outcome: spec.Absent, Prior: prior}, nil
	}
	prior := s.prior.First(r.Key, map[string]any{"member": is})
	before, inverse := r.Prior["member"].(bool)
	if is == want || inverse && before != want {
		return spec.Reply{Outcome: spec.Already, Output: memberOutput(is), Prior: prior}, nil
	}
	reply, err := s.join(ctx, h, g, want)
	reply.Prior = prior
	return reply, err
}

func (s *session) join(ctx context.Context, h kind.Handle, g group, want bool) (spec.Reply, error) {
	method := http.MethodPut
	if !want {
		method = http.MethodDelete
	}
	rep, err := s.client.Do(ctx, rest.Request{Method: method, Path: api("groups", g.ID, "users", h.ID)})
	if err != nil && spec.KindOf(err) != spec.Uncertain {
		return spec.Reply{}, err
	}
	reply := spec.Reply{Outcome: spec.Done, Output: memberOutput(want)}
	if rep != nil {
		reply.VendorRequestID = rep.RequestID
	}
	// Answered or not, the account's groups are the proof.
	for until := time.Now().Add(patience); ; {
		if is, again := s.member(ctx, h.ID, g.ID); again == nil && is == want {
			return reply, nil
		}
		if time.Now().After(until) || !pause(ctx, poll) {
			break
		}
	}
	if err == nil {
		err = spec.Errorf(spec.Uncertain, "Okta accepted it and does not show it; it may happen yet")
	}
	return spec.Reply{}, err
}

func memberOutput(is bool) map[string]any { return map[string]any{"member": is} }
