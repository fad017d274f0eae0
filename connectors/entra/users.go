package entra

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// The states of an account's sign-in, and of an inbox rule.
const (
	enabled  = "enabled"
	disabled = "disabled"
)

// user is what is read of an account.
type user struct {
	ID              string     `json:"id"`
	Type            string     `json:"@odata.type"` // in lists of members only
	Name            string     `json:"userPrincipalName"`
	Mail            string     `json:"mail"`
	DisplayName     string     `json:"displayName"`
	Enabled         bool       `json:"accountEnabled"`
	Synced          bool       `json:"onPremisesSyncEnabled"`
	Created         time.Time  `json:"createdDateTime"`
	PasswordChanged *time.Time `json:"lastPasswordChangeDateTime"`
	SessionsFrom    *time.Time `json:"signInSessionsValidFromDateTime"`
	OtherMails      []string   `json:"otherMails"`
}

const userFields = "id,userPrincipalName,mail,displayName,accountEnabled,onPremisesSyncEnabled,createdDateTime,lastPasswordChangeDateTime,signInSessionsValidFromDateTime,otherMails"

// Ids of the directory's built-in roles, the same in every tenant.
const globalAdministrator = "62e90394-69f5-4237-9190-012177145e10"

// harmless are the roles that administer nobody.
var harmless = map[string]bool{
	"88d8e3e3-8f55-4a1e-953a-9b9898b8876b": true, // Directory Readers
	"95e79109-95c0-4d8e-aee3-d01accf2d47b": true, // Guest Inviter
	"4a5d8f65-41da-4de4-8968-e035b65339cf": true, // Reports Reader
	"790c1fb9-7f7d-4f88-86a1-ef1f95c05c1b": true, // Message Center Reader
}

func (s *session) findUser(ctx context.Context, r spec.Request) (spec.Reply, error) {
	name, byName := r.Inputs["name"].(string)
	mail, byMail := r.Inputs["mail"].(string)
	if byName == byMail {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "iam.find_user takes a name or a mail address, one of the two")
	}
	filter, asked := "userPrincipalName eq "+quoted(name), name
	if byMail {
		filter, asked = "mail eq "+quoted(mail)+" or proxyAddresses/any(p:p eq "+quoted("smtp:"+mail)+")", mail
	}
	found, err := list[user](ctx, s, rest.Request{Path: v1("users"), Query: url.Values{"$filter": {filter}, "$select": {userFields}}}, 2)
	if err != nil {
		return spec.Reply{}, err
	}
	switch len(found) {
	case 0:
		return spec.Reply{}, spec.Errorf(spec.NotFound, "the directory has no account %q; check the name, and the tenant", asked)
	case 1:
		return s.userReply(ctx, found[0])
	}
	return spec.Reply{}, spec.Errorf(spec.Ambiguous, "the directory has several accounts %q; name the one by its user principal name", asked)
}

func (s *session) userReply(ctx context.Context, u user) (spec.Reply, error) {
	privileged, last, err := s.roles(ctx, u)
	if err != nil {
		return spec.Reply{}, err
	}
	methods, err := s.methods(ctx, u.ID)
	if err != nil {
		return spec.Reply{}, err
	}
	factor := false
	for _, m := range methods {
		factor = factor || m.factor()
	}
	changed := u.Created
	if u.PasswordChanged != nil {
		changed = *u.PasswordChanged
	}
	out := map[string]any{
		"user": s.userHandle(u), "name": u.Name, "enabled": u.Enabled, "privileged": privileged, "last_admin": last,
		"mfa_registered": factor, "password_changed": changed.UTC(), "synced": u.Synced,
	}
	if kind.Check(kind.Of(kind.Email), u.Mail) == nil {
		out["mail"] = u.Mail
	}
	if u.DisplayName != "" {
		out["display_name"] = plain(u.DisplayName)
	}
	return spec.Reply{Outcome: spec.Done, Output: out}, nil
}

func (s *session) userHandle(u user) kind.Handle {
	label := u.Name
	if label == "" {
		label = u.ID
	}
	return kind.Handle{Name: "user", Instance: s.instance, ID: u.ID, Label: label}
}

// roles says whether an account has a role over others, and whether it is the
// only one that can sign in with the highest.
func (s *session) roles(ctx context.Context, u user) (privileged, last bool, err error) {
	type role struct {
		ID       string `json:"id"`
		Template string `json:"roleTemplateId"`
	}
	held, err := list[role](ctx, s, rest.Request{
		Path:  v1("users", u.ID, "transitiveMemberOf", "microsoft.graph.directoryRole"),
		Query: url.Values{"$select": {"id,roleTemplateId"}},
	}, 0)
	if err != nil {
		return false, false, err
	}
	for _, h := range held {
		privileged = privileged || !harmless[h.Template]
		if h.Template != globalAdministrator || !u.Enabled {
			continue
		}
		members, err := list[user](ctx, s, rest.Request{
			Path: v1("directoryRoles", h.ID, "members"), Query: url.Values{"$select": {"id,accountEnabled"}},
		}, 0)
		if err != nil {
			return false, false, err
		}
		last = true
		for _, m := range members {
			last = last && (m.ID == u.ID || !m.Enabled || !strings.HasSuffix(m.Type, ".user"))
		}
	}
	return privileged, last, nil
}

// account reads one account.
func (s *session) account(ctx context.Context, id string) (user, error) {
	return get[user](ctx, s, rest.Request{Path: v1("users", id), Query: url.Values{"$select": {userFields}}})
}

// signIn lets an account's owner sign in or keeps everyone out.
func (s *session) signIn(want string) func(context.Context, spec.Request) (spec.Reply, error) {
	return func(ctx context.Context, r spec.Request) (spec.Reply, error) {
		h, err := userOf(r)
		if err != nil {
			return spec.Reply{}, err
		}
		return s.drive(ctx, r, change{
			want: want,
			read: func(ctx context.Context) (string, error) {
				u, err := s.account(ctx, h.ID)
				return able(u.Enabled), err
			},
			write: func(ctx context.Context) (string, error) {
				return s.write(ctx, http.MethodPatch, v1("users", h.ID), map[string]any{"accountEnabled": want == enabled})
			},
			output: func(state string) map[string]any { return map[string]any{"enabled": state == enabled} },
		})
	}
}

func able(yes bool) string {
	if yes {
		return enabled
	}
	return disabled
}
