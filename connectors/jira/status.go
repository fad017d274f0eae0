package jira

import (
	"context"
	"net/http"
	"strings"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// setStatus moves a ticket to a status. As an inverse it moves it back to the
// one that was found, unless a person has moved it on since.
func (s *session) setStatus(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := ticketOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	want, _ := r.Inputs["status"].(string)
	found, err := s.get(ctx, h.ID)
	if err != nil {
		if r.Mode == spec.Back && spec.KindOf(err) == spec.NotFound {
			return spec.Reply{Outcome: spec.Absent}, nil
		}
		return spec.Reply{}, err
	}
	now := found.Fields.Status.Name
	if before, ok := r.Prior["status"].(string); ok {
		if r.Mode == spec.Act && !strings.EqualFold(now, want) && !strings.EqualFold(now, before) {
			return spec.Reply{}, spec.Errorf(spec.Conflict, "%s was moved on to another status since; it stays there", found.Key)
		}
		want = before
	}
	if r.Mode == spec.Back {
		// Asked before the first attempt, this is what an undo goes back to.
		prior, ok := s.prior.Get(r.Key)
		if !ok {
			prior = map[string]any{"status": now}
		}
		if !strings.EqualFold(now, want) {
			return spec.Reply{Outcome: spec.Absent, Prior: prior}, nil
		}
		return spec.Reply{Outcome: spec.Present, Output: statusOutput(now), Prior: prior}, nil
	}
	prior := s.prior.First(r.Key, map[string]any{"status": now})
	if strings.EqualFold(now, want) {
		return spec.Reply{Outcome: spec.Already, Output: statusOutput(now), Prior: prior}, nil
	}
	reply, err := s.transit(ctx, found, want)
	reply.Prior = prior
	return reply, err
}

// transit uses the transition that leads to a status.
func (s *session) transit(ctx context.Context, i issue, want string) (spec.Reply, error) {
	id, err := s.transitionTo(ctx, i, want)
	if err != nil {
		return spec.Reply{}, err
	}
	rep, err := s.client.Do(ctx, rest.Request{
		Method: http.MethodPost, Path: api("issue", i.ID, "transitions"),
		JSON: map[string]any{"transition": map[string]any{"id": id}},
	})
	if err != nil && spec.KindOf(err) != spec.Uncertain {
		return spec.Reply{}, err
	}
	reply := spec.Reply{Outcome: spec.Done}
	if rep != nil {
		reply.VendorRequestID = rep.RequestID
	}
	// Answered or not, the issue itself is the proof.
	after, again := s.get(ctx, i.ID)
	switch {
	case again == nil && strings.EqualFold(after.Fields.Status.Name, want):
		reply.Output = statusOutput(after.Fields.Status.Name)
		return reply, nil
	case err != nil:
		return spec.Reply{}, err
	case again == nil:
		return spec.Reply{}, &spec.Error{
			Kind: spec.Uncertain, VendorRequestID: reply.VendorRequestID,
			Message: "Jira accepted the transition and " + i.Key + " is " + titleOf(after.Fields.Status.Name) + "; it may happen yet, or somebody moved it on",
		}
	}
	reply.Outcome = spec.Pending
	return reply, nil
}

func (s *session) transitionTo(ctx context.Context, i issue, want string) (string, error) {
	var out struct {
		Transitions []struct {
			ID string `json:"id"`
			To struct {
				Name string `json:"name"`
			} `json:"to"`
		} `json:"transitions"`
	}
	if _, err := s.client.DoJSON(ctx, rest.Request{Path: api("issue", i.ID, "transitions")}, &out); err != nil {
		return "", err
	}
	var offered []string
	for _, t := range out.Transitions {
		if strings.EqualFold(t.To.Name, want) {
			return t.ID, nil
		}
		offered = append(offered, titleOf(t.To.Name))
	}
	return "", spec.Errorf(spec.Invalid, "%s cannot go from %s to %s; its workflow offers %s", i.Key, titleOf(i.Fields.Status.Name), titleOf(want), strings.Join(offered, ", "))
}

func statusOutput(name string) map[string]any { return map[string]any{"status": name} }
