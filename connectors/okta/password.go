package okta

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/mail"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// reset is one password reset on its way.
type reset struct {
	user account
	// to is the address that gets the new password; empty for nobody.
	to string
}

// resetPassword lets Okta make a temporary password, which must be changed at
// the next sign-in, and mails it.
func (s *session) resetPassword(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	now, _, err := s.account(ctx, h.ID)
	if err != nil {
		return missing(r, err)
	}
	if out, ok := s.done.Get(r.Key); ok {
		if r.Mode == spec.Back {
			return spec.Reply{Outcome: spec.Present, Output: out}, nil
		}
		return spec.Reply{Outcome: spec.Already, Output: out}, nil
	}
	if b, ok := s.begun.Get(r.Key); ok && now.passwordSet().After(b.passwordChanged) {
		// An earlier attempt's answer was lost, and the password with it.
		switch {
		case r.Mode == spec.Act:
			return s.undelivered(r, reset{user: now}, "its new value reached nobody"), nil
		case forNobody(r):
			return spec.Reply{Outcome: spec.Present, Output: changedOutput(now, "")}, nil
		}
		// It was changed and not delivered: that is for a person.
		return spec.Reply{Outcome: spec.Unsure}, nil
	}
	if r.Mode == spec.Back {
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	if now.Status == suspended || now.Status == deprovisioned {
		return spec.Reply{}, spec.Errorf(spec.Conflict, "Okta resets no password of an account that is %s; enable %s first, or reset it before it is disabled", now.Status, plain(now.Profile.Login))
	}
	to, err := s.recipient(ctx, r, now)
	if err != nil {
		return spec.Reply{}, err
	}
	s.begun.First(r.Key, beginning{passwordChanged: now.passwordSet()})
	return s.reset(ctx, r, reset{user: now, to: to})
}

// recipient is the address that gets the new password. It is found before
// anything is changed.
func (s *session) recipient(ctx context.Context, r spec.Request, a account) (string, error) {
	if forNobody(r) {
		return "", nil
	}
	deliver, _ := r.Inputs["deliver"].(string)
	if s.relay == nil {
		return "", spec.Errorf(spec.Invalid, "iam.reset_password: the instance has no mail relay, so a new password can reach nobody; set relay and relay_from, or deliver to nobody")
	}
	to := a.Profile.SecondEmail // not the first: who holds the account may hold that mailbox
	if deliver == vocabulary.DeliverManager {
		if a.Profile.ManagerID == "" {
			return "", spec.Errorf(spec.NotFound, "Okta names no manager of %s; fill managerId in its profile, or deliver to the user", plain(a.Profile.Login))
		}
		m, _, err := s.account(ctx, a.Profile.ManagerID)
		if err != nil {
			return "", err
		}
		to = m.Profile.Email
	}
	if err := mail.CheckAddress(to); err != nil {
		return "", spec.Errorf(spec.NotFound, "Okta has no address to which the new password of %s could go (%s); fill it in, or deliver to nobody", plain(a.Profile.Login), deliver)
	}
	return to, nil
}

func (s *session) reset(ctx context.Context, r spec.Request, x reset) (spec.Reply, error) {
	var made struct {
		Password string `json:"tempPassword"`
	}
	rep, err := s.client.DoJSON(ctx, rest.Request{
		Method: http.MethodPost, Path: api("users", x.user.ID, "lifecycle", "expire_password_with_temp_password"),
		Query: url.Values{"revokeSessions": {"true"}},
	}, &made)
	if refusedByState(err) {
		return spec.Reply{}, spec.Errorf(spec.Conflict, "Okta resets no password of an account that is %s: %v", plain(x.user.Status), err)
	}
	if err != nil && spec.KindOf(err) != spec.Uncertain {
		return spec.Reply{}, err
	}
	before, seen := x.user, false
	for until := time.Now().Add(patience); ; {
		if now, _, again := s.account(ctx, x.user.ID); again == nil && now.passwordSet().After(before.passwordSet()) {
			x.user, seen = now, true
			break
		}
		if time.Now().After(until) || !pause(ctx, poll) {
			break
		}
	}
	switch {
	case !seen && err != nil:
		return spec.Reply{}, err
	case !seen && made.Password == "":
		return spec.Reply{}, spec.Errorf(spec.Uncertain, "Okta accepted the reset, gave no password and shows no change; it may happen yet")
	case !seen:
		return spec.Reply{}, spec.Errorf(spec.Uncertain, "Okta gave a new password and shows no change yet; it was delivered to nobody")
	case made.Password == "":
		return s.undelivered(r, x, "its new value was lost with Okta's answer"), nil
	}
	reply := s.deliver(ctx, r, x, secret.New(made.Password))
	reply.VendorRequestID = rep.RequestID
	return reply, nil
}

// deliver mails the password.
func (s *session) deliver(ctx context.Context, r spec.Request, x reset, password secret.Value) spec.Reply {
	out := changedOutput(x.user, x.to)
	if x.to != "" {
		_, domain := cutLast(s.relay.From, '@')
		login := plain(x.user.Profile.Login)
		_, err := s.relay.Send(ctx, mail.Message{
			To: x.to, Subject: "New password for " + login, Date: time.Now(), ID: "<" + recall.Mark(r.Key) + "@" + domain + ">",
			Text: "The security team has reset the password of the account " + login + ".\n\n" +
				"It was done because the account may have been in somebody else's hands. Give the new password to the account's owner in person or by voice, and do not forward this message. It must be changed at the next sign-in.\n\n" +
				password.Reveal() + "\n",
		})
		if err != nil {
			return s.undelivered(r, x, "its new value could not be mailed to "+x.to+": "+secret.NewRedactor(password).Text(err.Error()))
		}
	}
	s.done.First(r.Key, out)
	return spec.Reply{Outcome: spec.Done, Output: out}
}

// undelivered is the answer where the password was changed and reached nobody
// who should have it.
func (s *session) undelivered(r spec.Request, x reset, why string) spec.Reply {
	out := changedOutput(x.user, "")
	if forNobody(r) {
		s.done.First(r.Key, out)
		return spec.Reply{Outcome: spec.Done, Output: out}
	}
	return spec.Reply{
		Outcome: spec.Partial, Output: out,
		Failed: map[string]string{plain(x.user.Profile.Login): "the password was changed, and " + why + "; reset it again by hand"},
	}
}

func forNobody(r spec.Request) bool { return r.Inputs["deliver"] == vocabulary.DeliverNobody }

func changedOutput(a account, to string) map[string]any {
	out := map[string]any{"changed": a.passwordSet()}
	if to != "" {
		out["delivered_to"] = to
	}
	return out
}

func cutLast(s string, sep byte) (before, after string) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == sep {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
