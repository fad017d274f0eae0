package okta

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// factor is one registered second factor.
type factor struct {
	ID     string `json:"id"`
	Type   string `json:"factorType"`
	Status string `json:"status"`
}

// factors reads what is registered. A factor that is only offered has no id.
func (s *session) factors(ctx context.Context, userID string) ([]factor, error) {
	all, err := list[factor](ctx, s, api("users", userID, "factors"), nil)
	return slices.DeleteFunc(all, func(f factor) bool { return !idForm.MatchString(f.ID) || f.Status == "NOT_SETUP" }), err
}

// resetFactors removes every factor, one by one: the call that resets all is a
// transition, which a suspended account refuses.
func (s *session) resetFactors(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	found, err := s.factors(ctx, h.ID)
	if err != nil {
		return missing(r, err)
	}
	kinds := []any{}
	for _, f := range found {
		kinds = append(kinds, plain(f.Type))
	}
	if r.Mode == spec.Back {
		if len(found) > 0 {
			return spec.Reply{Outcome: spec.Absent}, nil
		}
		out, _ := s.done.Get(r.Key)
		return spec.Reply{Outcome: spec.Present, Output: out}, nil
	}
	out := s.done.First(r.Key, map[string]any{"removed": kinds})
	if len(found) == 0 {
		return spec.Reply{Outcome: spec.Already, Output: out}, nil
	}
	id, lost := "", error(nil)
	for _, f := range found {
		// One that is gone already is one that nobody needs to remove.
		rep, err := s.client.Do(ctx, rest.Request{
			Method: http.MethodDelete, Path: api("users", h.ID, "factors", f.ID), Accept: []int{http.StatusNotFound},
		})
		switch {
		case err == nil:
			id = rep.RequestID
		case id == "" && lost == nil && spec.KindOf(err) != spec.Uncertain:
			return spec.Reply{}, err // the first one: nothing has happened
		default:
			lost = spec.Errorf(spec.Uncertain, "some factors may be removed and others not: %v", err)
		}
	}
	return spec.Reply{Outcome: spec.Done, Output: out, VendorRequestID: id}, s.unregistered(ctx, h.ID, lost)
}

// unregistered reads until no factor is left, and returns lost or what else is
// the matter where that does not come.
func (s *session) unregistered(ctx context.Context, userID string, lost error) error {
	for until := time.Now().Add(patience); ; {
		if left, err := s.factors(ctx, userID); err == nil && len(left) == 0 {
			return nil
		}
		if time.Now().After(until) || !pause(ctx, poll) {
			break
		}
	}
	if lost != nil {
		return lost
	}
	return spec.Errorf(spec.Uncertain, "Okta accepted it and still lists factors; it may happen yet")
}
