package entra

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// The states of a time of the vendor's: whether it is later than it was before
// the first attempt of this key. Who has forgotten where it stood cannot tell,
// which is why these effects are lagging.
const (
	moved = "moved"
	still = "still"
)

// moment makes the reading of a time by key. at gets what was read.
func (s *session) moment(r spec.Request, id string, of func(user) *time.Time, at *time.Time) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		u, err := s.account(ctx, id)
		if err != nil {
			return "", err
		}
		*at = time.Time{}
		if t := of(u); t != nil {
			*at = t.UTC()
		}
		if at.After(s.moments.First(r.Key, *at)) {
			return moved, nil
		}
		return still, nil
	}
}

// revokeSessions ends what is signed in. Graph answers 200 with false where it
// did not.
func (s *session) revokeSessions(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	var at time.Time
	return s.drive(ctx, r, change{
		want: moved,
		read: s.moment(r, h.ID, func(u user) *time.Time { return u.SessionsFrom }, &at),
		write: func(ctx context.Context) (string, error) {
			var done struct {
				Value bool `json:"value"`
			}
			rep, err := s.graph.DoJSON(ctx, rest.Request{Method: http.MethodPost, Path: v1("users", h.ID, "revokeSignInSessions")}, &done)
			if err != nil {
				return "", err
			}
			if !done.Value {
				return rep.RequestID, &spec.Error{
					Kind: spec.Conflict, VendorCode: "HTTP 200, value false", VendorRequestID: rep.RequestID,
					Message: "Graph answered that the sessions were not revoked; try it in the Entra portal",
				}
			}
			return rep.RequestID, nil
		},
		output: func(string) map[string]any { return map[string]any{"revoked_at": at} },
	})
}

// method is one registered way of proving who one is.
type method struct {
	ID   string `json:"id"`
	Type string `json:"@odata.type"`
}

// kind is the method's kind in Graph's words: phone, fido2.
func (m method) kind() string {
	return strings.TrimSuffix(strings.TrimPrefix(m.Type, "#microsoft.graph."), "AuthenticationMethod")
}

// factor reports whether it is a second factor: an address for self-service and
// the pass that lets one in once are none.
func (m method) factor() bool {
	return !slices.Contains([]string{"password", "email", "temporaryAccessPass"}, m.kind())
}

// segment is the list from which Graph deletes a method of that kind. Passwords
// are not deleted.
func (m method) segment() (string, bool) {
	s, ok := map[string]string{
		"phone": "phoneMethods", "microsoftAuthenticator": "microsoftAuthenticatorMethods", "fido2": "fido2Methods",
		"softwareOath": "softwareOathMethods", "windowsHelloForBusiness": "windowsHelloForBusinessMethods",
		"platformCredential": "platformCredentialMethods", "email": "emailMethods", "temporaryAccessPass": "temporaryAccessPassMethods",
	}[m.kind()]
	return s, ok
}

func (s *session) methods(ctx context.Context, id string) ([]method, error) {
	return list[method](ctx, s, rest.Request{Path: v1("users", id, "authentication", "methods")}, 0)
}

// resetMFA removes every method but the password. Graph refuses to remove the
// default one while others are there, so what was refused is tried once more.
func (s *session) resetMFA(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	before, err := s.removable(ctx, h.ID)
	if err != nil {
		return backless(r, err)
	}
	gone, _ := s.removed.Get(r.Key)
	if gone == nil {
		gone = []any{}
	}
	out := map[string]any{"removed": gone}
	switch {
	case len(before) == 0 && r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Present, Output: out}, nil
	case r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Absent}, nil
	case len(before) == 0:
		return spec.Reply{Outcome: spec.Already, Output: out}, nil
	}
	for _, m := range before {
		gone = append(gone, m.kind())
	}
	s.removed.First(r.Key, gone)
	left, accepted := before, 0
	var wrong error
	for range 2 {
		var n int
		left, n, wrong = s.remove(ctx, h.ID, left)
		accepted += n
	}
	return s.removedReply(ctx, h.ID, before, accepted, wrong)
}

func (s *session) removable(ctx context.Context, id string) ([]method, error) {
	all, err := s.methods(ctx, id)
	return slices.DeleteFunc(all, func(m method) bool { return m.kind() == "password" }), err
}

// remove deletes methods and returns those that were refused, with the last
// reason, and how many requests were accepted. What is gone already is no reason.
func (s *session) remove(ctx context.Context, id string, methods []method) (left []method, accepted int, wrong error) {
	for _, m := range methods {
		segment, ok := m.segment()
		err := error(spec.Errorf(spec.Conflict, "Graph cannot remove a method of the kind %s; remove it in the Entra portal", plain(m.kind())))
		if ok {
			_, err = s.write(ctx, http.MethodDelete, v1("users", id, "authentication", segment, m.ID), nil)
		}
		switch {
		case err == nil:
			accepted++
		case spec.KindOf(err) != spec.NotFound:
			left, wrong = append(left, m), err
		}
	}
	return left, accepted, wrong
}

// removedReply reads what is left until nothing is, or time is up, and says what
// came of it.
func (s *session) removedReply(ctx context.Context, id string, before []method, accepted int, wrong error) (spec.Reply, error) {
	left, until := before, time.Now().Add(lostPatience)
	for wait := firstPoll; ; wait = min(wait*3/2, lastPoll) {
		if now, err := s.removable(ctx, id); err == nil {
			left = now
		}
		if len(left) == 0 || wrong != nil && time.Now().After(until) || !pause(ctx, wait) {
			break
		}
	}
	gone, failed := []any{}, map[string]string{}
	for _, m := range before {
		if slices.ContainsFunc(left, func(l method) bool { return l.ID == m.ID }) {
			failed[m.kind()+" "+m.ID] = "it is still registered"
			continue
		}
		gone = append(gone, m.kind())
	}
	out := map[string]any{"removed": gone}
	switch {
	case len(left) == 0:
		return spec.Reply{Outcome: spec.Done, Output: out}, nil
	case wrong == nil:
		return spec.Reply{Outcome: spec.Pending, Output: out}, nil
	case len(gone) == 0 && accepted == 0:
		return spec.Reply{}, wrong
	case len(gone) == 0:
		return spec.Reply{}, spec.Errorf(spec.Uncertain, "%d methods were deleted and none is seen to be gone: %v", accepted, wrong)
	}
	for k := range failed {
		failed[k] += ": " + wrong.Error()
	}
	return spec.Reply{Outcome: spec.Partial, Output: out, Failed: failed}, nil
}
