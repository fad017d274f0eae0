package fakeokta

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/quell-soar/quell/connectors/fake"
)

func (o *Okta) show(u *user) map[string]any {
	profile := map[string]any{"login": u.login, "email": u.email}
	for name, text := range map[string]string{"firstName": u.first, "lastName": u.last, "secondEmail": u.second, "managerId": u.manager} {
		profile[name] = nil
		if text != "" {
			profile[name] = text
		}
	}
	return map[string]any{
		"id": u.id, "status": u.shown(o.now()), "created": moment(u.created), "lastUpdated": moment(o.now()),
		"passwordChanged": moment(u.passwordChanged), "type": map[string]any{"id": "otyfake"}, "profile": profile,
		"credentials": map[string]any{"provider": map[string]any{"type": u.provider, "name": u.provider}},
	}
}

func (o *Okta) listUsers(c *fake.Call) fake.Act {
	var ts []term
	if q := query(c, "search"); q != nil {
		var err error
		if ts, err = terms(q.Get("search"), "or"); err != nil {
			return fake.Say("", failure(c, http.StatusBadRequest, "E0000031", err.Error()))
		}
	}
	return fake.Act{Run: func() fake.Done {
		found := []any{}
		for _, u := range o.users {
			switch {
			case ts == nil && u.status == "DEPROVISIONED": // a list without a search leaves them out
			case ts == nil, anyOf(ts, map[string]string{"profile.login": u.login, "profile.email": u.email, "profile.secondEmail": u.second}):
				found = append(found, o.show(u))
			}
		}
		return fake.Done{Answer: o.paged(c, found)}
	}}
}

func (o *Okta) getUser(c *fake.Call, u *user) fake.Act {
	return fake.Act{Object: u.login, Run: func() fake.Done { return fake.Done{Answer: success(c, http.StatusOK, o.show(u))} }}
}

// lifecycle is a transition that only one status allows.
func (o *Okta) lifecycle(from, to string) func(*fake.Call, *user) fake.Act {
	return func(c *fake.Call, u *user) fake.Act {
		return fake.Act{Object: u.login, Run: func() fake.Done {
			if u.status != from {
				return fake.Done{Answer: failure(c, http.StatusBadRequest, "E0000001", "Api validation failed: lifecycle",
					"Cannot do this to a user that is not "+from)}
			}
			o.turn(u, to)
			return fake.Done{
				Answer:  success(c, http.StatusOK, map[string]any{}),
				Effects: []fake.Change{{Object: u.login, Before: from, After: to}},
			}
		}}
	}
}

func (o *Okta) clearSessions(c *fake.Call, u *user) fake.Act {
	return fake.Act{Object: u.login, Run: func() fake.Done {
		before := fmt.Sprintf("%d sessions", u.sessions)
		u.sessions = 0
		if c.URL.Query().Get("forgetDevices") != "false" {
			u.devices = 0
		}
		if c.URL.Query().Get("oauthTokens") == "true" {
			clear(u.tokens)
		}
		o.log("user.session.clear", u)
		return fake.Done{
			Answer:  success(c, http.StatusNoContent, nil),
			Effects: []fake.Change{{Object: u.login, Before: before, After: "0 sessions"}},
		}
	}}
}

func (o *Okta) tempPassword(c *fake.Call, u *user) fake.Act {
	return fake.Act{Object: u.login, Run: func() fake.Done {
		if !slices.Contains([]string{"ACTIVE", "LOCKED_OUT", "RECOVERY", "PASSWORD_EXPIRED"}, u.status) || u.provider != "OKTA" {
			return fake.Done{Answer: failure(c, http.StatusForbidden, "E0000038", "This operation is not allowed in the user's current status.")}
		}
		before := u.status
		u.passwords++
		u.passwordChanged = o.now()
		o.turn(u, "PASSWORD_EXPIRED")
		if c.URL.Query().Get("revokeSessions") == "true" {
			u.sessions = 0
		}
		return fake.Done{
			Answer:  success(c, http.StatusOK, map[string]any{"tempPassword": u.password()}),
			Effects: []fake.Change{{Object: u.login, Before: before, After: fmt.Sprintf("password %d", u.passwords)}},
		}
	}}
}

// Password is the temporary password that an account has now; "" where none was
// given out.
func (o *Okta) Password(login string) (text string) {
	o.world.Do(func() {
		if u := o.find(login); u != nil && u.passwords > 0 {
			text = u.password()
		}
	})
	return text
}

func (u *user) password() string { return fmt.Sprintf("%s-%d", id("Tmp", u.login), u.passwords) }

func (o *Okta) listFactors(c *fake.Call, u *user) fake.Act {
	return fake.Act{Object: u.login, Run: func() fake.Done {
		all := []any{}
		for _, f := range u.factors {
			all = append(all, map[string]any{
				"id": f.id, "factorType": f.kind, "provider": "OKTA", "vendorName": "OKTA", "status": "ACTIVE",
				"created": moment(f.created), "lastUpdated": moment(f.created),
			})
		}
		return fake.Done{Answer: success(c, http.StatusOK, all)}
	}}
}

func (o *Okta) deleteFactor(c *fake.Call, u *user) fake.Act {
	return fake.Act{Object: u.login, Run: func() fake.Done {
		n := slices.IndexFunc(u.factors, func(f *factor) bool { return f.id == c.PathValue("factor") })
		if n < 0 {
			return fake.Done{Answer: failure(c, http.StatusNotFound, "E0000007", "Not found: Resource not found: "+c.PathValue("factor")+" (UserFactor)")}
		}
		kind := u.factors[n].kind
		u.factors = slices.Delete(u.factors, n, n+1)
		return fake.Done{
			Answer:  success(c, http.StatusNoContent, nil),
			Effects: []fake.Change{{Object: u.login, Before: kind, After: "removed"}},
		}
	}}
}

func (o *Okta) userRoles(c *fake.Call, u *user) fake.Act {
	return fake.Act{Object: u.login, Run: func() fake.Done {
		all := []any{}
		for _, r := range u.roles {
			all = append(all, map[string]any{"id": id("ra1", u.login+r), "label": r, "type": r, "status": "ACTIVE", "assignmentType": "USER"})
		}
		return fake.Done{Answer: success(c, http.StatusOK, all)}
	}}
}

// assignees lists who has a role; its pages are linked in the body.
func (o *Okta) assignees(c *fake.Call) fake.Act {
	return fake.Act{Run: func() fake.Done {
		all := []any{}
		for _, u := range o.users {
			if len(u.roles) > 0 {
				all = append(all, map[string]any{"id": u.id})
			}
		}
		a := o.paged(c, all)
		links := map[string]any{}
		if next := nextOf(a.Header["Link"]); next != "" {
			links["next"] = map[string]any{"href": next}
		}
		delete(a.Header, "Link")
		a.Body = map[string]any{"value": a.Body, "_links": links}
		return fake.Done{Answer: a}
	}}
}
