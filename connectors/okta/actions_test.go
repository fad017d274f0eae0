package okta_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

func TestNewPasswordIsDeliveredAndNeverTold(t *testing.T) {
	for _, tt := range []struct {
		name, user, deliver, script string
		to                          string
		outcome                     spec.Outcome
		kind                        spec.ErrorKind
		resets                      int
	}{
		{"to the manager", "ann@example.com", "manager", "", "mia@example.com", spec.Done, "", 1},
		{"to another address", "ann@example.com", "user", "", "ann@home.example", spec.Done, "", 1},
		{"to nobody", "ann@example.com", "nobody", "", "", spec.Done, "", 1},
		{"no manager", "mia@example.com", "manager", "", "", "", spec.NotFound, 0},
		{"no other address", "mia@example.com", "user", "", "", "", spec.NotFound, 0},
		{"suspended", "held@example.com", "nobody", "", "", "", spec.Conflict, 0},
		{"of another directory", "ad@example.com", "nobody", "", "", "", spec.Conflict, 0},
		{"the answer is lost", "ann@example.com", "manager", "okta temp-password: lost", "", spec.Partial, "", 1},
		{"the answer is lost, to nobody", "ann@example.com", "nobody", "okta temp-password: lost", "", spec.Done, "", 1},
		{"the relay refuses", "ann@example.com", "manager", "smtp send: 400", "", spec.Partial, "", 1},
		{"nothing done", "ann@example.com", "manager", "okta temp-password: drop", "", "", spec.Uncertain, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			s := l.open(t)
			in := map[string]any{"user": user(t, s, tt.user), "deliver": tt.deliver}
			l.script(t, tt.script)
			r, err := call(t, s, "iam.reset_password", "k", in)
			if tt.kind != "" && spec.KindOf(err) != tt.kind || tt.kind == "" && err != nil || r.Outcome != tt.outcome {
				t.Fatalf("got %s, %v; want %s%s", r.Outcome, err, tt.outcome, tt.kind)
			}
			password := l.okta.Password(tt.user)
			if got := l.count(t, "temp-password"); got != tt.resets {
				t.Errorf("%d resets, want %d", got, tt.resets)
			}
			if tt.to != "" {
				mails := l.relay.Mails(tt.to)
				if len(mails) != 1 || !strings.Contains(mails[0].Body(), password) || r.Output["delivered_to"] != tt.to {
					t.Errorf("delivered to %v: %+v", r.Output["delivered_to"], mails)
				}
			} else if n := len(l.relay.Mails("")); n != 0 {
				t.Errorf("%d messages were sent", n)
			}
			told, jerr := json.Marshal(r)
			must(t, jerr)
			if password != "" && strings.Contains(string(told), password) {
				t.Errorf("the password stands in the reply: %s", told)
			}
			// Whoever asks again hears the same and makes no second password.
			again, err := call(t, s, "iam.reset_password", "k", in, back)
			undelivered := tt.outcome == spec.Partial
			switch {
			case tt.kind != "":
			case err != nil || undelivered != (again.Outcome == spec.Unsure) || !undelivered && again.Outcome != spec.Present:
				t.Errorf("the read-back says %s, %v", again.Outcome, err)
			default:
				if _, err := call(t, s, "iam.reset_password", "k", in); err != nil || l.count(t, "temp-password") != tt.resets {
					t.Errorf("a second call made another password: %v", err)
				}
			}
		})
	}
}

// A suspended account's factors go too: containment comes first in a playbook.
func TestFactorsOfASuspendedAccount(t *testing.T) {
	l := start(t)
	s := l.open(t)
	r, err := call(t, s, "iam.reset_mfa", "k", map[string]any{"user": user(t, s, "held@example.com")})
	removed, _ := r.Output["removed"].([]any)
	if err != nil || r.Outcome != spec.Done || len(removed) != 1 || removed[0] != "push" {
		t.Errorf("got %s %v, %v", r.Outcome, r.Output, err)
	}
}

func TestConsents(t *testing.T) {
	l := start(t)
	s := l.open(t)
	ann := map[string]any{"user": user(t, s, "ann@example.com")}
	r, err := call(t, s, "iam.list_consents", "", ann)
	must(t, err)
	list, _ := r.Output["consents"].([]any)
	if len(list) != 2 {
		t.Fatalf("consents: %v", list)
	}
	first, _ := list[0].(kind.Handle)
	facts, err := first.ReadFacts()
	must(t, err)
	granted, _ := facts["granted"].(time.Time)
	if scopes, _ := facts["scopes"].([]any); facts["app"] != "Mail Sync" || len(scopes) != 2 || facts["dated"] != true || time.Since(granted) > time.Hour {
		t.Errorf("facts: %v", facts)
	}
	if r, err := call(t, s, "iam.revoke_consent", "k", map[string]any{"consent": first}); err != nil || r.Outcome != spec.Done {
		t.Errorf("revoke: %s, %v", r.Outcome, err)
	}
	r, err = call(t, s, "iam.list_consents", "", ann)
	if list, _ = r.Output["consents"].([]any); err != nil || len(list) != 1 || list[0].(kind.Handle).Label != "Notes" {
		t.Errorf("left: %v, %v", list, err)
	}
	if l.count(t, "revoke-tokens") != 1 {
		t.Error("the refresh tokens live on")
	}
	h := kind.Handle{Name: "consent", ID: "../x/y", Label: "x"}
	if _, err := call(t, s, "iam.revoke_consent", "k2", map[string]any{"consent": h}); spec.KindOf(err) != spec.Invalid {
		t.Errorf("a handle that is none: %v", err)
	}
}

// The log lags: what was cleared and does not show yet is pending.
func TestSessionsAndALaggingLog(t *testing.T) {
	l := start(t)
	must(t, l.world.SetLag(map[string]time.Duration{"okta.log": time.Hour}))
	s := l.open(t)
	in := map[string]any{"user": user(t, s, "ann@example.com")}
	r, err := call(t, s, "iam.revoke_sessions", "k", in, within(time.Second))
	if err != nil || r.Outcome != spec.Pending {
		t.Errorf("got %s, %v; want pending", r.Outcome, err)
	}
	if r, err := call(t, s, "iam.revoke_sessions", "k", in, back); err != nil || r.Outcome != spec.Absent {
		t.Errorf("read-back: %s, %v", r.Outcome, err)
	}
	l.script(t, "okta clear-sessions: lost")
	if _, err := call(t, s, "iam.revoke_sessions", "k2", in, within(time.Second)); spec.KindOf(err) != spec.Uncertain {
		t.Errorf("lost: %v", err)
	}
}

func TestGroupsOfOthersAreLeftAlone(t *testing.T) {
	l := start(t)
	s := l.open(t)
	in := map[string]any{"user": user(t, s, "ann@example.com"), "group": "From AD"}
	if _, err := call(t, s, "iam.add_group_member", "k", in); spec.KindOf(err) != spec.Conflict {
		t.Errorf("a group of another directory: %v", err)
	}
}
