package okta

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

// The statuses of an account that matter here.
const (
	active        = "ACTIVE"
	suspended     = "SUSPENDED"
	deprovisioned = "DEPROVISIONED"
	staged        = "STAGED"
)

// account is what is read of a user.
type account struct {
	ID              string     `json:"id"`
	Status          string     `json:"status"`
	Transitioning   string     `json:"transitioningToStatus"`
	Created         time.Time  `json:"created"`
	PasswordChanged *time.Time `json:"passwordChanged"`
	Profile         struct {
		Login       string `json:"login"`
		Email       string `json:"email"`
		SecondEmail string `json:"secondEmail"`
		FirstName   string `json:"firstName"`
		LastName    string `json:"lastName"`
		DisplayName string `json:"displayName"`
		ManagerID   string `json:"managerId"`
	} `json:"profile"`
	Credentials struct {
		Provider struct {
			Type string `json:"type"`
		} `json:"provider"`
	} `json:"credentials"`
}

// enabled reports whether one can sign in with an account of that status, be it
// after a new password, an unlocking or the link in an invitation.
func enabled(status string) bool {
	return status != suspended && status != deprovisioned && status != staged
}

// passwordSet is when the password was last set, or when the account was made.
func (a account) passwordSet() time.Time {
	if a.PasswordChanged != nil {
		return a.PasswordChanged.UTC()
	}
	return a.Created.UTC()
}

func (a account) named() string {
	if a.Profile.DisplayName != "" {
		return a.Profile.DisplayName
	}
	return strings.TrimSpace(a.Profile.FirstName + " " + a.Profile.LastName)
}

// account reads one account; now is the moment of the answer by Okta's clock.
func (s *session) account(ctx context.Context, id string) (a account, now time.Time, err error) {
	rep, err := s.client.DoJSON(ctx, rest.Request{Path: api("users", id)}, &a)
	if err != nil {
		return a, now, err
	}
	if a.ID == "" || a.Status == "" {
		return a, now, spec.Errorf(spec.Transient, "Okta answered without an account; check the base URL")
	}
	if now, err = http.ParseTime(rep.Header.Get("Date")); err != nil {
		now = time.Now().UTC()
	}
	return a, now, nil
}

// findUser finds the one account of a name or mail address.
func (s *session) findUser(ctx context.Context, r spec.Request) (spec.Reply, error) {
	name, _ := r.Inputs["name"].(string)
	mail, _ := r.Inputs["mail"].(string)
	var search string
	var fits func(account) bool
	switch {
	case (name == "") == (mail == ""):
		return spec.Reply{}, spec.Errorf(spec.Invalid, "iam.find_user: give either name or mail")
	case mail != "":
		search = "profile.email eq " + quoted(mail) + " or profile.secondEmail eq " + quoted(mail)
		fits = func(a account) bool {
			return strings.EqualFold(a.Profile.Email, mail) || strings.EqualFold(a.Profile.SecondEmail, mail)
		}
	default:
		// Okta lets people sign in with the part before the @ where it is unique.
		search = "profile.login eq " + quoted(name) + " or profile.login sw " + quoted(name+"@")
		fits = func(a account) bool {
			short, _, _ := strings.Cut(a.Profile.Login, "@")
			return strings.EqualFold(a.Profile.Login, name) || strings.EqualFold(short, name)
		}
	}
	found, err := list[account](ctx, s, api("users"), url.Values{"search": {search}, "limit": {pageSize}})
	if err != nil {
		return spec.Reply{}, err
	}
	var match []account
	for _, a := range found {
		if fits(a) {
			match = append(match, a)
		}
	}
	switch len(match) {
	case 0:
		return spec.Reply{}, spec.Errorf(spec.NotFound, "Okta knows no account %q; check the name, and whether it is an account of another directory", name+mail)
	case 1:
		return s.userReply(ctx, match[0].ID)
	}
	return spec.Reply{}, spec.Errorf(spec.Ambiguous, "Okta knows %d accounts %q; give the whole sign-in name", len(match), name+mail)
}

// userReply reads what is told of an account: the search's own copy may be old.
func (s *session) userReply(ctx context.Context, id string) (spec.Reply, error) {
	a, _, err := s.account(ctx, id)
	if err != nil {
		return spec.Reply{}, err
	}
	factors, err := s.factors(ctx, id)
	if err != nil {
		return spec.Reply{}, err
	}
	registered := false
	for _, f := range factors {
		registered = registered || f.Status == active
	}
	privileged, last, err := s.privileges(ctx, id)
	if err != nil {
		return spec.Reply{}, err
	}
	provider := a.Credentials.Provider.Type
	out := map[string]any{
		"user": s.handle(a), "name": a.Profile.Login, "enabled": enabled(a.Status),
		"privileged": privileged, "last_admin": last, "mfa_registered": registered, "password_changed": a.passwordSet(),
		"synced": provider == "ACTIVE_DIRECTORY" || provider == "LDAP",
	}
	if _, err := kind.Parse(kind.Of(kind.Email), a.Profile.Email); err == nil {
		out["mail"] = a.Profile.Email
	}
	if n := a.named(); n != "" {
		out["display_name"] = n
	}
	return spec.Reply{Outcome: spec.Done, Output: out}, nil
}

func (s *session) handle(a account) kind.Handle {
	label := a.Profile.Login
	if label == "" {
		label = a.ID
	}
	return kind.Handle{Name: "user", Instance: s.instance, ID: a.ID, Label: label}
}

// role is one role that an account has, by itself or through a group.
type role struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

// superAdmin is the role that may do everything.
const superAdmin = "SUPER_ADMIN"

func (s *session) roles(ctx context.Context, id string) (any, super bool, err error) {
	roles, err := list[role](ctx, s, api("users", id, "roles"), nil)
	for _, r := range roles {
		if r.Status != "INACTIVE" {
			any, super = true, super || r.Type == superAdmin
		}
	}
	return any, super, err
}

// privileges says whether an account administers others, and whether nobody
// else who can sign in has the highest role.
func (s *session) privileges(ctx context.Context, id string) (privileged, last bool, err error) {
	privileged, super, err := s.roles(ctx, id)
	if err != nil || !super {
		return privileged, false, err
	}
	admins, err := s.administrators(ctx)
	if err != nil {
		return true, false, err
	}
	for _, other := range admins {
		if other == id {
			continue
		}
		_, super, err := s.roles(ctx, other)
		if err != nil {
			return true, false, err
		}
		if !super {
			continue
		}
		a, _, err := s.account(ctx, other)
		if err != nil {
			return true, false, err
		}
		if enabled(a.Status) {
			return true, false, nil
		}
	}
	return true, true, nil
}

// administrators lists the ids of accounts that have any role. The pages' cursor
// stands in the body here.
func (s *session) administrators(ctx context.Context) ([]string, error) {
	var ids []string
	query := url.Values{"limit": {"100"}}
	for range maxPages {
		var page struct {
			Value []struct {
				ID string `json:"id"`
			} `json:"value"`
			Links struct {
				Next struct {
					Href string `json:"href"`
				} `json:"next"`
			} `json:"_links"`
		}
		if _, err := s.client.DoJSON(ctx, rest.Request{Path: api("iam", "assignees", "users"), Query: query}, &page); err != nil {
			return nil, err
		}
		for _, v := range page.Value {
			ids = append(ids, v.ID)
		}
		next, err := url.Parse(page.Links.Next.Href)
		if err != nil || next.Query().Get("after") == "" {
			return ids, nil
		}
		query.Set("after", next.Query().Get("after"))
	}
	return nil, spec.Errorf(spec.Invalid, "more than %d pages of administrators", maxPages)
}
