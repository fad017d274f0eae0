package jira

import (
	"context"
	"hash/fnv"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// Times of looking for an issue whose create was not answered.
const (
	lostPatience = 3 * time.Second
	lostPoll     = 300 * time.Millisecond
)

// createTicket opens the ticket of a key, or finds it.
func (s *session) createTicket(ctx context.Context, r spec.Request) (spec.Reply, error) {
	key, _ := r.Inputs["key"].(string)
	title, _ := r.Inputs["title"].(string)
	if strings.TrimSpace(key) == "" || titleOf(title) == "" {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "ticket.create_ticket: key and title must say something")
	}
	label := recall.Mark(key)
	leave, err := s.enter(ctx, label)
	if err != nil {
		return spec.Reply{}, err
	}
	defer leave()
	found, err := s.labelled(ctx, label)
	switch {
	case err != nil:
		return spec.Reply{}, err
	case found != nil && r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Present, Output: s.ticketOutput(*found)}, nil
	case found != nil:
		return spec.Reply{Outcome: spec.Already, Output: s.ticketOutput(*found)}, nil
	case r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	return s.create(ctx, r, label)
}

// enter waits until no other create for this label is under way.
func (s *session) enter(ctx context.Context, label string) (leave func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(label)) // it never fails
	turn := s.turns[h.Sum32()%uint32(len(s.turns))]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, spec.Errorf(spec.Transient, "another create was under way until the deadline; nothing was sent")
	}
}

// labelled finds the issue that carries a label: the one seen here before, or
// the oldest that the index has.
func (s *session) labelled(ctx context.Context, label string) (*ref, error) {
	if known, ok := s.made.Get(label); ok {
		i, err := s.get(ctx, known.ID)
		if err == nil {
			return &i.ref, nil
		}
		if spec.KindOf(err) != spec.NotFound {
			return nil, err
		}
		s.made.Forget(label) // somebody has deleted it
	}
	found, err := s.search(ctx, "project = "+quoted(s.project)+" AND labels = "+quoted(label))
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if f.valid() {
			s.made.First(label, f)
			return &f, nil
		}
	}
	return nil, nil
}

func (s *session) create(ctx context.Context, r spec.Request, label string) (spec.Reply, error) {
	title, _ := r.Inputs["title"].(string)
	body, _ := r.Inputs["body"].(string)
	severity, _ := r.Inputs["severity"].(string)
	fields := map[string]any{
		"project": map[string]any{"key": s.project}, "issuetype": map[string]any{"name": s.issueType},
		"summary": titleOf(title), "labels": []string{"quell", label},
	}
	if body = bodyOf(body); body != "" {
		fields["description"] = document(body)
	}
	if p := s.priorities[severity]; p != "" {
		fields["priority"] = map[string]any{"name": p}
	}
	var made ref
	rep, err := s.client.DoJSON(ctx, rest.Request{
		Method: http.MethodPost, Path: api("issue"),
		JSON: map[string]any{
			"fields":     fields,
			"properties": []any{map[string]any{"key": "quell", "value": map[string]any{"label": label, "effect": recall.Mark(r.Key)}}},
		},
	}, &made)
	if err == nil && !made.valid() {
		err = spec.Errorf(spec.Uncertain, "Jira accepted the issue and did not name it; it may be there")
	}
	if err != nil {
		return s.recover(ctx, label, err)
	}
	s.made.First(label, made)
	reply := spec.Reply{Outcome: spec.Done, Output: s.ticketOutput(made), VendorRequestID: rep.RequestID}
	// The create named the issue; reading it by id is the proof.
	if _, err := s.get(ctx, made.ID); err != nil {
		reply.Outcome = spec.Pending
	}
	return reply, nil
}

// recover looks for an issue whose create was not answered.
func (s *session) recover(ctx context.Context, label string, lost error) (spec.Reply, error) {
	if spec.KindOf(lost) != spec.Uncertain {
		return spec.Reply{}, lost
	}
	for end := time.Now().Add(lostPatience); time.Now().Before(end) && pause(ctx, lostPoll); {
		if found, err := s.labelled(ctx, label); err == nil && found != nil {
			return spec.Reply{Outcome: spec.Done, Output: s.ticketOutput(*found)}, nil
		}
	}
	return spec.Reply{}, lost
}

func (s *session) ticketOutput(r ref) map[string]any {
	u := s.client.Base()
	u = u.JoinPath("browse", url.PathEscape(r.Key))
	return map[string]any{"ticket": s.handle(r), "url": u.String()}
}
