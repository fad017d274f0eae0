package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/message"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// session is one workspace.
type session struct {
	client    *rest.Client
	channels  map[string]string
	templates *message.Templates
	// sent remembers by effect key what was posted: it need not be looked for.
	sent *recall.Book[map[string]any]
}

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	if r.Action != "notify.send_message" {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "slack has no action %q", r.Action)
	}
	return s.send(ctx, r)
}

// Close gives the connections back.
func (s *session) Close() error {
	s.client.Close()
	return nil
}

// Check tries the token and whether the app reads the channels of the settings.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	var who struct {
		Team string `json:"team"`
		User string `json:"user"`
	}
	if _, err := s.call(ctx, rest.Request{Method: "GET", Path: []string{"auth.test"}}, &who); err != nil {
		return []sdk.Finding{{Name: "credentials", Advice: err.Error()}}
	}
	out := []sdk.Finding{{Name: "credentials", OK: true, Advice: "the app is " + plain(who.User) + " in " + plain(who.Team)}}
	for _, name := range slices.Sorted(maps.Keys(s.channels)) {
		f := sdk.Finding{Name: "channel " + name, OK: true}
		if _, err := s.page(ctx, s.channels[name], url.Values{"limit": {"1"}}); err != nil {
			f.OK, f.Advice = false, "invite the app to the channel, and grant it channels:history: "+err.Error()
		}
		out = append(out, f)
	}
	return out
}

// call sends a request and holds the answer to its ok.
func (s *session) call(ctx context.Context, r rest.Request, out any) (*rest.Reply, error) {
	read := r.Read || r.Method == "GET"
	rep, err := s.client.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	var e struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if err := rep.Decode(&e); err != nil {
		return nil, err
	}
	if !e.OK {
		return nil, &spec.Error{
			Kind: kindOf(e.Error, read), VendorCode: "ok:false " + plain(e.Error), VendorRequestID: rep.RequestID,
			Message: fmt.Sprintf("Slack refused %s: %s%s", r.Path[0], plain(e.Error), advice(e.Error)),
		}
	}
	return rep, rep.Decode(out)
}

// kindOf says what an error of Slack means. What is not known was refused.
func kindOf(code string, read bool) spec.ErrorKind {
	switch code {
	case "not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired":
		return spec.Auth
	case "missing_scope", "no_permission", "not_allowed_token_type", "restricted_action", "restricted_action_read_only_channel", "ekm_access_denied", "enterprise_is_restricted":
		return spec.Permission
	case "channel_not_found", "users_not_found", "user_not_found", "user_not_visible", "user_disabled":
		return spec.NotFound
	case "not_in_channel", "is_archived":
		return spec.Conflict
	case "ratelimited", "rate_limited", "message_limit_exceeded":
		return spec.RateLimited
	case "", "fatal_error", "internal_error", "service_unavailable", "request_timeout":
		if read {
			return spec.Transient
		}
		return spec.Uncertain
	}
	return spec.Invalid
}

func advice(code string) string {
	switch code {
	case "not_in_channel":
		return "; invite the app to the channel"
	case "missing_scope":
		return "; grant the app the scopes that the action names, and install it again"
	case "users_not_found":
		return "; nobody in the workspace has this address"
	case "invalid_auth", "token_revoked", "account_inactive":
		return "; check the secret bot_token"
	}
	return ""
}

// fault reads the error of an answer that is no success by its status either.
func fault(body []byte) (message, code string) {
	var e struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	return e.Error, ""
}

// plain makes a vendor's text one short line.
func plain(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}
