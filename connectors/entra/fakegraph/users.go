package fakegraph

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// body is the account as Graph shows it now.
func (a *account) body(now time.Time) map[string]any {
	out := map[string]any{
		"@odata.type": "#microsoft.graph.user", "id": a.id, "userPrincipalName": a.seed.Name, "displayName": a.seed.DisplayName, "mail": nil,
		"accountEnabled": a.enabled.at(now), "createdDateTime": a.created.Format(time.RFC3339),
		"lastPasswordChangeDateTime":      a.passwordChanged.at(now).Format(time.RFC3339Nano),
		"signInSessionsValidFromDateTime": a.issued.at(now).Format(time.RFC3339Nano),
		"onPremisesSyncEnabled":           nil, "otherMails": append([]string{}, a.seed.OtherMails...),
	}
	if a.mail != "" {
		out["mail"] = a.mail
	}
	if a.seed.Synced {
		out["onPremisesSyncEnabled"] = true
	}
	return out
}

// shown is what Graph shows of an account without $select.
func shown(c *fake.Call, v map[string]any) map[string]any {
	if c.URL.Query().Get("$select") != "" {
		return v
	}
	return selected(v, "id,displayName,mail,userPrincipalName")
}

var (
	byName = regexp.MustCompile(`^userPrincipalName eq '((?:[^']|'')*)'$`)
	byMail = regexp.MustCompile(`^mail eq '((?:[^']|'')*)' or proxyAddresses/any\(p:p eq 'smtp:((?:[^']|'')*)'\)$`)
)

func (g *Graph) listUsers(c *fake.Call) fake.Act {
	filter := c.URL.Query().Get("$filter")
	fits := func(*account) bool { return true }
	object := ""
	if m := byName.FindStringSubmatch(filter); m != nil {
		object = strings.ReplaceAll(m[1], "''", "'")
		fits = func(a *account) bool { return strings.EqualFold(a.seed.Name, object) }
	} else if m := byMail.FindStringSubmatch(filter); m != nil {
		object = strings.ReplaceAll(m[1], "''", "'")
		fits = func(a *account) bool {
			for _, p := range append([]string{a.mail}, a.seed.Proxies...) {
				if strings.EqualFold(p, object) {
					return true
				}
			}
			return false
		}
	} else if filter != "" {
		return fake.Say("", refuse(c, http.StatusBadRequest, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause."))
	}
	return fake.Act{Object: object, Run: func() fake.Done {
		all := []map[string]any{}
		for _, a := range g.accounts {
			if fits(a) {
				all = append(all, shown(c, a.body(g.world.Clock().Now())))
			}
		}
		return g.paged(c, all)
	}}
}

func (g *Graph) getUser(c *fake.Call) fake.Act {
	return g.onUser(c, func(a *account, now time.Time, _ time.Duration) fake.Done { return one(c, shown(c, a.body(now))) })
}

func (g *Graph) updateUser(c *fake.Call) fake.Act {
	var in struct {
		Enabled  *bool `json:"accountEnabled"`
		Password *struct {
			Force    bool   `json:"forceChangePasswordNextSignIn"`
			Password string `json:"password"`
		} `json:"passwordProfile"`
	}
	if err := c.JSON(&in); err != nil || in.Enabled == nil && in.Password == nil {
		return fake.Say("", refuse(c, http.StatusBadRequest, "Request_BadRequest", "Invalid body."))
	}
	return g.onUser(c, func(a *account, now time.Time, lag time.Duration) fake.Done {
		if a.seed.Synced {
			return fake.Done{Answer: refuse(c, http.StatusBadRequest, "Request_BadRequest", "Unable to update the specified properties for on-premises mastered Directory Sync objects.")}
		}
		change := fake.Change{Object: a.seed.Name}
		if in.Enabled != nil {
			change.Before, change.After = able(a.enabled.value), able(*in.Enabled)
			a.enabled.set(*in.Enabled, now, lag)
		}
		if in.Password != nil {
			if len(in.Password.Password) < 8 {
				return fake.Done{Answer: refuse(c, http.StatusBadRequest, "Request_BadRequest", "The specified password does not comply with password complexity requirements.")}
			}
			change.After = "password"
			a.password = in.Password.Password
			a.passwordChanged.set(now, now, lag)
		}
		return done(c, http.StatusNoContent, nil, change)
	})
}

func able(yes bool) string {
	if yes {
		return "enabled"
	}
	return "disabled"
}

func (g *Graph) revokeSessions(c *fake.Call) fake.Act {
	return g.onUser(c, func(a *account, now time.Time, lag time.Duration) fake.Done {
		a.sessions = 0
		a.issued.set(now, now, lag)
		return done(c, http.StatusOK, map[string]any{"@odata.context": g.base + "/v1.0/$metadata#Edm.Boolean", "value": true}, fake.Change{Object: a.seed.Name, After: "revoked"})
	})
}

func (g *Graph) getManager(c *fake.Call) fake.Act {
	return g.onUser(c, func(a *account, now time.Time, _ time.Duration) fake.Done {
		if a.manager == nil {
			return notFound(c, "manager")
		}
		return one(c, a.manager.body(now))
	})
}

func (g *Graph) sendMail(c *fake.Call) fake.Act {
	var in struct {
		Message json.RawMessage `json:"message"`
	}
	if err := c.JSON(&in); err != nil || len(in.Message) == 0 {
		return fake.Say("", refuse(c, http.StatusBadRequest, "ErrorInvalidRequest", "Invalid body."))
	}
	return g.onUser(c, func(a *account, _ time.Time, _ time.Duration) fake.Done {
		if a.mail == "" {
			return fake.Done{Answer: refuse(c, http.StatusNotFound, "MailboxNotEnabledForRESTAPI", "The mailbox is either inactive, soft-deleted, or is hosted on-premise.")}
		}
		g.mails = append(g.mails, string(in.Message))
		return done(c, http.StatusAccepted, nil, fake.Change{Object: a.seed.Name, After: "sent"})
	})
}

func (g *Graph) listMethods(c *fake.Call) fake.Act {
	return g.onUser(c, func(a *account, now time.Time, _ time.Duration) fake.Done {
		all := []map[string]any{{"@odata.type": "#microsoft.graph.passwordAuthenticationMethod", "id": "28c10230-6103-485e-b985-444c60001490"}}
		for _, m := range a.methods {
			if m.there.at(now) {
				all = append(all, map[string]any{"@odata.type": "#microsoft.graph." + m.kind + "AuthenticationMethod", "id": m.id})
			}
		}
		return g.paged(c, all)
	})
}

// deleteMethod refuses the first, which is the default one, while others are
// there.
func (g *Graph) deleteMethod(c *fake.Call) fake.Act {
	return g.onUser(c, func(a *account, now time.Time, lag time.Duration) fake.Done {
		others := 0
		for _, m := range a.methods {
			if m.there.value {
				others++
			}
		}
		for i, m := range a.methods {
			if m.id != c.PathValue("method") || m.kind+"Methods" != c.PathValue("list") || !m.there.value {
				continue
			}
			if i == 0 && others > 1 {
				return fake.Done{Answer: refuse(c, http.StatusBadRequest, "badRequest", "The method is the default and cannot be deleted while others exist.")}
			}
			m.there.set(false, now, lag)
			return done(c, http.StatusNoContent, nil, fake.Change{Object: a.seed.Name, Before: m.kind})
		}
		return notFound(c, c.PathValue("method"))
	})
}
