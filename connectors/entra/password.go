package entra

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// resetPassword sets a new password that must be changed at the next sign-in,
// and mails it to who shall have it. It lives in this function and in the two
// requests, nowhere else: where the answer to the change is lost, nobody has it
// and the step is to be done again.
func (s *session) resetPassword(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	var at time.Time
	c := change{
		want:   moved,
		read:   s.moment(r, h.ID, func(u user) *time.Time { return u.PasswordChanged }, &at),
		output: func(string) map[string]any { return s.resetOutput(r, at) },
	}
	if r.Mode == spec.Back {
		return s.drive(ctx, r, c)
	}
	deliver, _ := r.Inputs["deliver"].(string)
	to, err := s.recipient(ctx, h, deliver)
	if err != nil {
		return spec.Reply{}, err
	}
	password, err := newPassword()
	if err != nil {
		return spec.Reply{}, err
	}
	c.write = func(ctx context.Context) (string, error) {
		return s.write(ctx, http.MethodPatch, v1("users", h.ID), map[string]any{
			"passwordProfile": map[string]any{"forceChangePasswordNextSignIn": true, "password": password},
		})
	}
	reply, err := s.drive(ctx, r, c)
	if err != nil || to == "" || (reply.Outcome != spec.Done && reply.Outcome != spec.Pending) {
		return reply, err
	}
	if err := s.hand(ctx, to, h.Label, password); err != nil {
		reply.Outcome = spec.Partial
		reply.Failed = map[string]string{"delivery to " + to: "the password was reset and nobody has the new one; reset it again: " + err.Error()}
		return reply, nil
	}
	s.sent.First(r.Key, to)
	reply.Output = s.resetOutput(r, at)
	return reply, nil
}

func (s *session) resetOutput(r spec.Request, at time.Time) map[string]any {
	out := map[string]any{"changed": at}
	if to, ok := s.sent.Get(r.Key); ok {
		out["delivered_to"] = to
	}
	return out
}

// recipient finds out who gets the password, before anything is changed.
func (s *session) recipient(ctx context.Context, h kind.Handle, deliver string) (string, error) {
	if deliver == vocabulary.DeliverNobody {
		return "", nil
	}
	if s.mailFrom == "" {
		return "", spec.Errorf(spec.Invalid, "the new password cannot be delivered: set mail_from, the mailbox that sends it, or deliver to nobody")
	}
	if deliver == vocabulary.DeliverManager {
		m, err := get[user](ctx, s, rest.Request{Path: v1("users", h.ID, "manager"), Query: url.Values{"$select": {"id,mail,accountEnabled"}}})
		if spec.KindOf(err) == spec.NotFound || err == nil && m.Mail == "" {
			// Of the account itself the same is asked, so it is not taken for gone.
			if _, gone := s.account(ctx, h.ID); gone != nil {
				return "", gone
			}
			return "", spec.Errorf(spec.Invalid, "%s has no manager with a mail address in the directory; deliver to the user or to nobody", h.Label)
		}
		return m.Mail, err
	}
	u, err := s.account(ctx, h.ID)
	if err != nil {
		return "", err
	}
	if len(u.OtherMails) == 0 {
		return "", spec.Errorf(spec.Invalid, "%s has no other mail address in the directory; deliver to the manager or to nobody", h.Label)
	}
	return u.OtherMails[0], nil
}

// hand mails the password. Graph answers 202: it is in the outbox.
func (s *session) hand(ctx context.Context, to, account, password string) error {
	_, err := s.write(ctx, http.MethodPost, v1("users", s.mailFrom, "sendMail"), map[string]any{
		"message": map[string]any{
			"subject":      "A new password for " + account,
			"body":         map[string]any{"contentType": "text", "content": fmt.Sprintf("The password of %s was reset after an incident.\n\nNew password: %s\n\nHand it over in person or by telephone. It must be changed at the next sign-in.\n", account, password)},
			"toRecipients": []any{map[string]any{"emailAddress": map[string]any{"address": to}}},
		},
		"saveToSentItems": false,
	})
	return err
}

// newPassword makes a password of 24 characters, about 140 bits, that has one of
// each sort that policies ask for.
func newPassword() (string, error) {
	sorts := []string{"abcdefghijkmnpqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", "-_.!"}
	all := sorts[0] + sorts[1] + sorts[2] + sorts[3]
	out := make([]byte, 24)
	for i := range out {
		from := all
		if i < len(sorts) {
			from = sorts[i]
		}
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(from))))
		if err != nil {
			return "", spec.Errorf(spec.Internal, "no random numbers: %v", err)
		}
		out[i] = from[n.Int64()]
	}
	return string(out), nil
}
