package entra

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// session is one tenant.
type session struct {
	instance, tenant     string
	mailFrom, quarantine string

	login, graph, exchange *rest.Client

	// What was there before the first attempt, by effect key: a second one finds
	// its own work.
	states  *recall.Book[string]
	moments *recall.Book[time.Time]
	lay     *recall.Book[places]
	// What an attempt did, by effect key.
	removed *recall.Book[[]any]
	sent    *recall.Book[string]
}

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	do, ok := map[string]func(context.Context, spec.Request) (spec.Reply, error){
		"iam.find_user":           s.findUser,
		"iam.disable_user":        s.signIn(disabled),
		"iam.enable_user":         s.signIn(enabled),
		"iam.revoke_sessions":     s.revokeSessions,
		"iam.reset_password":      s.resetPassword,
		"iam.reset_mfa":           s.resetMFA,
		"iam.list_consents":       s.listConsents,
		"iam.revoke_consent":      s.revokeConsent,
		"iam.add_group_member":    s.membership(within),
		"iam.remove_group_member": s.membership(outside),
		"mail.get_message":        s.getMessage,
		"mail.find_messages":      s.findMessages,
		"mail.quarantine_message": s.sweep(true),
		"mail.restore_message":    s.sweep(false),
		"mail.list_rules":         s.listRules,
		"mail.disable_rule":       s.rule(disabled),
		"mail.enable_rule":        s.rule(enabled),
		"mail.block_sender":       s.sender(blocked),
		"mail.unblock_sender":     s.sender(free),
	}[r.Action]
	if !ok {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "entra has no action %q", r.Action)
	}
	return do(ctx, r)
}

// Close gives the connections back.
func (s *session) Close() error {
	for _, c := range []*rest.Client{s.login, s.graph, s.exchange} {
		c.Close()
	}
	return nil
}

// Check tries the credential and what the application may read. What it may
// change shows only when it is tried.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	one := url.Values{"$top": {"1"}, "$select": {"id"}}
	users, err := list[user](ctx, s, rest.Request{Path: v1("users"), Query: one}, 1)
	if err != nil && spec.KindOf(err) != spec.Permission {
		return []sdk.Finding{{Name: "credentials", Advice: err.Error()}}
	}
	out := []sdk.Finding{
		{Name: "credentials", OK: true, Advice: "a token was given for tenant " + s.tenant},
		granted("User.Read.All", err),
	}
	try := func(permission string, path ...string) {
		_, err := s.graph.Do(ctx, rest.Request{Path: v1(path...)})
		out = append(out, granted(permission, err))
	}
	try("RoleManagement.Read.Directory", "directoryRoles")
	try("Directory.Read.All", "oauth2PermissionGrants")
	try("GroupMember.Read.All", "groups")
	if len(users) > 0 {
		try("UserAuthenticationMethod.Read.All", "users", users[0].ID, "authentication", "methods")
		try("Mail.Read", "users", users[0].ID, "messages")
		try("MailboxSettings.Read", "users", users[0].ID, "mailFolders", "inbox", "messageRules")
	}
	_, err = s.listed(ctx, "nobody@quell.invalid")
	return append(out, granted("Exchange.ManageAsApp with the role Security Administrator", err))
}

// granted is the finding about one permission. That the first user has no
// mailbox says nothing against it.
func granted(permission string, err error) sdk.Finding {
	f := sdk.Finding{Name: "permission " + permission, OK: err == nil || spec.KindOf(err) == spec.NotFound}
	if !f.OK {
		f.Advice = "grant it to the application as an application permission, with admin consent: " + err.Error()
	}
	return f
}

// v1 is a path of Graph.
func v1(segments ...string) []string { return append([]string{"v1.0"}, segments...) }

// immutable asks for message ids that survive a move within the mailbox.
var immutable = map[string]string{"Prefer": `IdType="ImmutableId"`}

// most is how many entries of a list are read; more is an error and no answer.
const most = 200_000

// list reads a list, all its pages or as many as hold limit entries; 0 is all.
func list[T any](ctx context.Context, s *session, r rest.Request, limit int) ([]T, error) {
	var out []T
	for {
		var page struct {
			Value []T    `json:"value"`
			Next  string `json:"@odata.nextLink"`
		}
		if _, err := s.graph.DoJSON(ctx, r, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Value...)
		if page.Next == "" || limit > 0 && len(out) >= limit {
			return out, nil
		}
		if len(out) > most {
			return nil, spec.Errorf(spec.Invalid, "a list of Graph has more than %d entries", most)
		}
		var err error
		if r.Path, r.Query, err = s.follow(page.Next); err != nil {
			return nil, err
		}
	}
}

// follow takes the next page's URL apart. One that leads elsewhere would get the
// token.
func (s *session) follow(next string) ([]string, url.Values, error) {
	base := s.graph.Base()
	u, err := url.Parse(next)
	if err != nil || u.Scheme != base.Scheme || u.Host != base.Host || u.User != nil {
		return nil, nil, spec.Errorf(spec.Internal, "the next page of a list lies outside of %s; it is not followed", base.Host)
	}
	rest, ok := strings.CutPrefix(u.EscapedPath(), strings.TrimRight(base.EscapedPath(), "/")+"/")
	if !ok {
		return nil, nil, spec.Errorf(spec.Internal, "the next page of a list lies outside of %s; it is not followed", base)
	}
	var path []string
	for seg := range strings.SplitSeq(rest, "/") {
		plain, err := url.PathUnescape(seg)
		if err != nil {
			return nil, nil, spec.Errorf(spec.Internal, "the next page of a list has a path that cannot be read")
		}
		path = append(path, plain)
	}
	return path, u.Query(), nil
}

// get reads one thing.
func get[T any](ctx context.Context, s *session, r rest.Request) (T, error) {
	var out T
	_, err := s.graph.DoJSON(ctx, r, &out)
	return out, err
}

// write sends a change and returns Microsoft's request id.
func (s *session) write(ctx context.Context, method string, path []string, body any) (string, error) {
	rep, err := s.graph.Do(ctx, rest.Request{Method: method, Path: path, JSON: body, Header: immutable})
	if err != nil {
		return "", err
	}
	return rep.RequestID, nil
}

// userOf returns the account that the input user names.
func userOf(r spec.Request) (kind.Handle, error) {
	h, ok := r.Inputs["user"].(kind.Handle)
	if !ok || !guidForm.MatchString(h.ID) {
		return h, spec.Errorf(spec.Invalid, "%s: the user is no account of Entra; find it with iam.find_user", r.Action)
	}
	return h, nil
}

// quoted writes a text as a literal of OData.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// plain makes a text of the vendor's, or of a user's, one short line.
func plain(s string) string {
	const longest = 120
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "…"
	}
	return s
}
