package okta

import (
	"context"
	"net/http"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// direction is one way of changing whether an account is enabled.
type direction struct {
	// want is whether one can sign in afterwards.
	want bool
	// call is Okta's transition, which only the status from allows.
	call, from string
}

var (
	disable = direction{false, "suspend", active}
	enable  = direction{true, "unsuspend", suspended}
)

// setEnabled suspends or unsuspends an account. As an inverse it leaves alone
// what was so before.
func (s *session) setEnabled(ctx context.Context, r spec.Request, d direction) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	found, _, err := s.account(ctx, h.ID)
	if err != nil {
		return missing(r, err)
	}
	if r.Mode == spec.Back {
		return s.statusBack(r, d, found), nil
	}
	prior := s.prior.First(r.Key, map[string]any{"status": found.Status})
	already := spec.Reply{Outcome: spec.Already, Output: enabledOutput(found), Prior: prior}
	if before, ok := r.Prior["status"].(string); ok && enabled(before) != d.want {
		return already, nil // what we shall take back was there before us
	}
	if enabled(found.Status) == d.want {
		return already, nil
	}
	if found.Status != d.from {
		return spec.Reply{}, wrongStatus(found, d)
	}
	reply, err := s.transit(ctx, found, d)
	reply.Prior = prior
	return reply, err
}

// statusBack answers a read-back. Asked before the first attempt, what it finds
// is what an inverse goes back to.
func (s *session) statusBack(r spec.Request, d direction, a account) spec.Reply {
	prior, ok := s.prior.Get(r.Key)
	if !ok {
		prior = map[string]any{"status": a.Status}
	}
	switch {
	case enabled(a.Status) == d.want:
		return spec.Reply{Outcome: spec.Present, Output: enabledOutput(a), Prior: prior}
	case a.Transitioning != "":
		return spec.Reply{Outcome: spec.Unsure, Prior: prior}
	}
	return spec.Reply{Outcome: spec.Absent, Prior: prior}
}

// transit asks for the transition and reads until it shows.
func (s *session) transit(ctx context.Context, a account, d direction) (spec.Reply, error) {
	rep, err := s.client.Do(ctx, rest.Request{Method: http.MethodPost, Path: api("users", a.ID, "lifecycle", d.call)})
	if refusedByState(err) {
		// Somebody else was faster; the account says how it is now.
		now, _, again := s.account(ctx, a.ID)
		if again == nil && enabled(now.Status) == d.want {
			return spec.Reply{Outcome: spec.Already, Output: enabledOutput(now)}, nil
		}
		if again == nil && now.Status != d.from {
			return spec.Reply{}, wrongStatus(now, d)
		}
		return spec.Reply{}, err
	}
	if err != nil && spec.KindOf(err) != spec.Uncertain {
		return spec.Reply{}, err
	}
	reply := spec.Reply{Outcome: spec.Done}
	if rep != nil {
		reply.VendorRequestID = rep.RequestID
	}
	// Answered or not, the account itself is the proof.
	now, seen := a, false
	for until := time.Now().Add(patience); ; {
		got, _, again := s.account(ctx, a.ID)
		if again == nil {
			now, seen = got, true
		}
		if again == nil && enabled(now.Status) == d.want {
			reply.Output = enabledOutput(now)
			return reply, nil
		}
		if time.Now().After(until) && now.Transitioning == "" || !pause(ctx, poll) {
			break
		}
	}
	switch {
	case err != nil:
		return spec.Reply{}, err
	case now.Transitioning != "" || !seen:
		reply.Outcome = spec.Pending
		return reply, nil
	}
	return spec.Reply{}, &spec.Error{
		Kind: spec.Uncertain, VendorRequestID: reply.VendorRequestID,
		Message: "Okta accepted " + d.call + " and the account is still " + plain(now.Status) + "; it may happen yet",
	}
}

// wrongStatus is the error of an account whose status allows no such transition.
func wrongStatus(a account, d direction) *spec.Error {
	advice := "look at it in the admin console"
	switch {
	case a.Transitioning != "":
		advice = "it is on its way to " + plain(a.Transitioning) + "; wait for that"
	case a.Status == "PASSWORD_EXPIRED" || a.Status == "RECOVERY":
		advice = "its owner must first set a new password; until then end its sessions, or deactivate it in the admin console"
	case a.Status == "LOCKED_OUT":
		advice = "unlock it first, or deactivate it in the admin console"
	case a.Status == "PROVISIONED":
		advice = "its invitation is still open: deactivate it in the admin console"
	case a.Status == deprovisioned || a.Status == staged:
		advice = "activate it in the admin console"
	}
	return spec.Errorf(spec.Conflict, "Okta can %s only an account that is %s; %s is %s: %s", d.call, d.from, plain(a.Profile.Login), plain(a.Status), advice)
}

// missing answers where the account is not there: as a read-back, the effect is
// not there either.
func missing(r spec.Request, err error) (spec.Reply, error) {
	if r.Mode == spec.Back && spec.KindOf(err) == spec.NotFound {
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	return spec.Reply{}, err
}

func enabledOutput(a account) map[string]any { return map[string]any{"enabled": enabled(a.Status)} }
