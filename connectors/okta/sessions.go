package okta

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// cleared is the event type of the System Log that says that an account's
// sessions were ended.
const cleared = "user.session.clear"

// revokeSessions ends an account's sessions and tokens. Sessions cannot be
// listed: the proof is an event of the System Log, not older than the effect.
func (s *session) revokeSessions(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	_, now, err := s.account(ctx, h.ID)
	if err != nil {
		return missing(r, err)
	}
	begun, tried := s.begun.Get(r.Key)
	if tried {
		at, err := s.clearedAt(ctx, h.ID, begun.at)
		switch {
		case err != nil:
			return spec.Reply{}, err
		case !at.IsZero() && r.Mode == spec.Back:
			return spec.Reply{Outcome: spec.Present, Output: revokedOutput(at)}, nil
		case !at.IsZero():
			return spec.Reply{Outcome: spec.Already, Output: revokedOutput(at)}, nil
		}
	}
	if r.Mode == spec.Back {
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	begun = s.begun.First(r.Key, beginning{at: now})
	rep, err := s.client.Do(ctx, rest.Request{
		Method: http.MethodDelete, Path: api("users", h.ID, "sessions"),
		Query: url.Values{"oauthTokens": {"true"}, "forgetDevices": {"true"}},
	})
	if err != nil && spec.KindOf(err) != spec.Uncertain {
		return spec.Reply{}, err
	}
	reply := spec.Reply{Outcome: spec.Done}
	if rep != nil {
		reply.VendorRequestID = rep.RequestID
	}
	for until := time.Now().Add(4 * patience); ; {
		if at, again := s.clearedAt(ctx, h.ID, begun.at); again == nil && !at.IsZero() {
			reply.Output = revokedOutput(at)
			return reply, nil
		}
		if time.Now().After(until) || !pause(ctx, poll) {
			break
		}
	}
	if err != nil {
		return spec.Reply{}, err
	}
	reply.Outcome = spec.Pending // the log lags
	return reply, nil
}

// clearedAt is when an account's sessions were last cleared since a moment; zero
// where the log knows of no such event yet.
func (s *session) clearedAt(ctx context.Context, id string, since time.Time) (time.Time, error) {
	events, err := list[struct {
		Published time.Time `json:"published"`
		EventType string    `json:"eventType"`
		Outcome   struct {
			Result string `json:"result"`
		} `json:"outcome"`
		Target []struct {
			ID string `json:"id"`
		} `json:"target"`
	}](ctx, s, api("logs"), url.Values{
		"since": {since.UTC().Format(time.RFC3339)}, "limit": {"100"},
		"filter": {"eventType eq " + quoted(cleared) + " and target.id eq " + quoted(id)},
	})
	var at time.Time
	for _, e := range events {
		if e.EventType != cleared || e.Outcome.Result != "SUCCESS" || e.Published.Before(since) {
			continue
		}
		for _, t := range e.Target {
			if t.ID == id && e.Published.After(at) {
				at = e.Published.UTC()
			}
		}
	}
	return at, err
}

func revokedOutput(at time.Time) map[string]any { return map[string]any{"revoked_at": at} }
