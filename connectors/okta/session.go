package okta

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/mail"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Times of looking whether something has happened. The margin lets the answer
// leave before the deadline.
const (
	poll   = 150 * time.Millisecond
	margin = 150 * time.Millisecond
	// patience is how long an effect is looked for that was accepted, or whose
	// answer was lost: longer would only keep the caller from its own read-back.
	patience = time.Second
)

// session is one Okta org.
type session struct {
	instance string
	client   *rest.Client
	// relay is nil where new passwords can be delivered to nobody.
	relay *mail.Relay
	// prior remembers by effect key what was there before the first attempt: a
	// second one finds its own work.
	prior *recall.Book[map[string]any]
	// begun remembers how things stood when an effect that leaves no state of
	// its own was first tried; done, what came of it.
	begun *recall.Book[beginning]
	done  *recall.Book[map[string]any]
}

// beginning is how things stood before a first attempt, by Okta's clock.
type beginning struct {
	at              time.Time
	passwordChanged time.Time
}

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	switch r.Action {
	case "iam.find_user":
		return s.findUser(ctx, r)
	case "iam.disable_user":
		return s.setEnabled(ctx, r, disable)
	case "iam.enable_user":
		return s.setEnabled(ctx, r, enable)
	case "iam.revoke_sessions":
		return s.revokeSessions(ctx, r)
	case "iam.reset_password":
		return s.resetPassword(ctx, r)
	case "iam.reset_mfa":
		return s.resetFactors(ctx, r)
	case "iam.list_consents":
		return s.listConsents(ctx, r)
	case "iam.revoke_consent":
		return s.revokeConsent(ctx, r)
	case "iam.add_group_member":
		return s.setMember(ctx, r, true)
	case "iam.remove_group_member":
		return s.setMember(ctx, r, false)
	}
	return spec.Reply{}, spec.Errorf(spec.Invalid, "okta has no action %q", r.Action)
}

// Close gives the connections back.
func (s *session) Close() error {
	s.client.Close()
	return nil
}

// Check tries the credential, what it may read, and the relay.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	var out []sdk.Finding
	for _, t := range []struct{ scope, path string }{{usersRead, "users"}, {groupsRead, "groups"}, {logsRead, "logs"}} {
		_, err := s.client.Do(ctx, rest.Request{Path: api(t.path), Query: url.Values{"limit": {"1"}}})
		if err != nil && spec.KindOf(err) != spec.Permission {
			return append(out, sdk.Finding{Name: "credentials", Advice: err.Error()})
		}
		f := sdk.Finding{Name: "permission " + t.scope, OK: err == nil}
		if err != nil {
			f.Advice = "grant the scope to the application, or the role to the token's account: " + err.Error()
		}
		out = append(out, f)
	}
	out = append([]sdk.Finding{{Name: "credentials", OK: true, Advice: "accepted by " + s.client.Base().Host}}, out...)
	if s.relay != nil {
		f := sdk.Finding{Name: "mail relay", OK: true, Advice: "accepted by " + s.relay.Address}
		if err := s.relay.Probe(ctx); err != nil {
			f.OK, f.Advice = false, err.Error()
		}
		out = append(out, f)
	}
	return out
}

// api is the path of an endpoint.
func api(segments ...string) []string { return append([]string{"api", "v1"}, segments...) }

// Bounds of a list.
const (
	pageSize = "200"
	maxPages = 50
)

// list reads all pages of a list. It fails rather than leave some out.
func list[T any](ctx context.Context, s *session, path []string, query url.Values) ([]T, error) {
	var all []T
	for range maxPages {
		var page []T
		rep, err := s.client.DoJSON(ctx, rest.Request{Path: path, Query: query}, &page)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		next := cursor(rep.Header)
		if next == "" {
			return all, nil
		}
		if query == nil {
			query = url.Values{}
		}
		query.Set("after", next)
	}
	return nil, spec.Errorf(spec.Invalid, "GET /%s has more than %d pages; narrow it down", strings.Join(path, "/"), maxPages)
}

var nextLink = regexp.MustCompile(`<([^<>]*)>\s*;\s*rel="?next"?`)

// cursor takes the cursor out of the Link header. Only the cursor: where the
// link leads is the vendor's word, and requests go where the settings say.
func cursor(h http.Header) string {
	for _, link := range h.Values("Link") {
		if m := nextLink.FindStringSubmatch(link); m != nil {
			if u, err := url.Parse(m[1]); err == nil {
				return u.Query().Get("after")
			}
		}
	}
	return ""
}

// userForm is how Okta's ids look.
var idForm = regexp.MustCompile(`^[A-Za-z0-9]{10,40}$`)

// userOf returns the input user.
func userOf(r spec.Request) (kind.Handle, error) {
	h, ok := r.Inputs["user"].(kind.Handle)
	if !ok || !idForm.MatchString(h.ID) {
		return h, spec.Errorf(spec.Invalid, "%s: the user is no account of Okta; find it with iam.find_user", r.Action)
	}
	return h, nil
}

// quoted writes a text as a string of Okta's search language (SCIM).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// refusedByState reports whether Okta refused a call because of the status that
// the account has.
func refusedByState(err error) bool {
	e, ok := err.(*spec.Error) //nolint:errorlint // the client's errors are never wrapped
	return ok && (strings.HasSuffix(e.VendorCode, "E0000001") || strings.HasSuffix(e.VendorCode, "E0000038"))
}

// pause waits, and reports false where the deadline would come first.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d+margin {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
