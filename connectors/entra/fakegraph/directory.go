package fakegraph

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

func (n *grant) body() map[string]any {
	return map[string]any{
		"id": n.id, "clientId": n.client, "consentType": "Principal", "principalId": n.owner.id,
		"resourceId": guid("app", "Microsoft Graph"), "scope": n.consent.Scopes,
	}
}

func (g *Graph) listGrants(c *fake.Call) fake.Act {
	run := func(of *account, now time.Time) fake.Done {
		all := []map[string]any{}
		for _, a := range g.accounts {
			for _, n := range a.grants {
				if (of == nil || of == a) && n.there.at(now) {
					all = append(all, n.body())
				}
			}
		}
		return g.paged(c, all)
	}
	if c.PathValue("user") == "" {
		return fake.Act{Run: func() fake.Done { return run(nil, g.world.Clock().Now()) }}
	}
	return g.onUser(c, func(a *account, now time.Time, _ time.Duration) fake.Done { return run(a, now) })
}

func (g *Graph) oneGrant(remove bool) func(c *fake.Call) fake.Act {
	return func(c *fake.Call) fake.Act {
		var found *grant
		for _, a := range g.accounts {
			for _, n := range a.grants {
				if n.id == c.PathValue("grant") {
					found = n
				}
			}
		}
		object := c.PathValue("grant")
		if found != nil {
			object = found.consent.App
		}
		return fake.Act{Object: object, Run: func() fake.Done {
			now, lag := g.world.Clock().Now(), g.world.LagOf("entra.replication")
			switch {
			case found == nil, remove && !found.there.value, !remove && !found.there.at(now):
				return notFound(c, c.PathValue("grant"))
			case !remove:
				return one(c, found.body())
			}
			found.there.set(false, now, lag)
			return done(c, http.StatusNoContent, nil, fake.Change{Object: object, Before: found.consent.Scopes})
		}}
	}
}

func (g *Graph) listAssignments(c *fake.Call) fake.Act {
	return g.onUser(c, func(a *account, _ time.Time, _ time.Duration) fake.Done {
		all := []map[string]any{}
		for _, n := range a.grants {
			if n.consent.Granted != nil {
				all = append(all, map[string]any{
					"id": n.id[:20], "appRoleId": "00000000-0000-0000-0000-000000000000", "principalId": a.id, "resourceId": n.client,
					"resourceDisplayName": n.consent.App, "createdDateTime": n.consent.Granted.UTC().Format(time.RFC3339),
				})
			}
		}
		return g.paged(c, all)
	})
}

func (g *Graph) getObjects(c *fake.Call) fake.Act {
	var in struct {
		IDs   []string `json:"ids"`
		Types []string `json:"types"`
	}
	if err := c.JSON(&in); err != nil || len(in.IDs) == 0 || len(in.IDs) > 1000 {
		return fake.Say("", refuse(c, http.StatusBadRequest, "Request_BadRequest", "ids takes 1 to 1000 ids."))
	}
	return fake.Act{Run: func() fake.Done {
		values := []any{}
		for _, id := range in.IDs {
			if name, ok := g.apps[id]; ok && slices.Contains(in.Types, "servicePrincipal") {
				values = append(values, map[string]any{"@odata.type": "#microsoft.graph.servicePrincipal", "id": id, "displayName": name})
			}
		}
		return done(c, http.StatusOK, map[string]any{"value": values})
	}}
}

func (n *group) body() map[string]any {
	return map[string]any{"@odata.type": "#microsoft.graph.group", "id": n.id, "displayName": n.name}
}

func (g *Graph) listMemberships(c *fake.Call) fake.Act {
	return g.onUser(c, func(a *account, now time.Time, _ time.Duration) fake.Done {
		all := []map[string]any{}
		for _, n := range g.groups {
			if m := n.members[a.id]; m != nil && m.at(now) {
				all = append(all, n.body())
			}
		}
		return g.paged(c, all)
	})
}

var byDisplayName = regexp.MustCompile(`^displayName eq '((?:[^']|'')*)'$`)

func (g *Graph) listGroups(c *fake.Call) fake.Act {
	name := ""
	if m := byDisplayName.FindStringSubmatch(c.URL.Query().Get("$filter")); m != nil {
		name = strings.ReplaceAll(m[1], "''", "'")
	}
	return fake.Act{Object: name, Run: func() fake.Done {
		all := []map[string]any{}
		for _, n := range g.groups {
			if name == "" || n.name == name {
				all = append(all, n.body())
			}
		}
		return g.paged(c, all)
	}}
}

func (g *Graph) groupOf(c *fake.Call) *group {
	for _, n := range g.groups {
		if n.id == c.PathValue("group") {
			return n
		}
	}
	return nil
}

func (g *Graph) addMember(c *fake.Call) fake.Act {
	var in struct {
		Ref string `json:"@odata.id"`
	}
	if err := c.JSON(&in); err != nil {
		return fake.Say("", refuse(c, http.StatusBadRequest, "Request_BadRequest", "Invalid body."))
	}
	n, a := g.groupOf(c), g.named(in.Ref[strings.LastIndex(in.Ref, "/")+1:])
	object := ""
	if n != nil {
		object = n.name
	}
	return fake.Act{Object: object, Run: func() fake.Done {
		now, lag := g.world.Clock().Now(), g.world.LagOf("entra.replication")
		if n == nil || a == nil || !strings.HasPrefix(in.Ref, g.base+"/v1.0/directoryObjects/") {
			return notFound(c, in.Ref)
		}
		m := n.members[a.id]
		if m != nil && m.value {
			return fake.Done{Answer: refuse(c, http.StatusBadRequest, "Request_BadRequest", "One or more added object references already exist for the following modified properties: 'members'.")}
		}
		if m == nil {
			out := steady(false)
			m = &out
			n.members[a.id] = m
		}
		m.set(true, now, lag)
		return done(c, http.StatusNoContent, nil, fake.Change{Object: n.name, After: a.seed.Name})
	}}
}

func (g *Graph) removeMember(c *fake.Call) fake.Act {
	n := g.groupOf(c)
	act := g.onUser(c, func(a *account, now time.Time, lag time.Duration) fake.Done {
		if n == nil || n.members[a.id] == nil || !n.members[a.id].value {
			return notFound(c, c.PathValue("group"))
		}
		n.members[a.id].set(false, now, lag)
		return done(c, http.StatusNoContent, nil, fake.Change{Object: n.name, Before: a.seed.Name})
	})
	if n != nil {
		act.Object = n.name
	}
	return act
}

func (g *Graph) listRoles(c *fake.Call) fake.Act {
	roles := func(a *account) []map[string]any {
		all := []map[string]any{}
		for _, template := range slices.Sorted(maps.Keys(g.roles)) {
			if a == nil || slices.Contains(g.roles[template], a) {
				all = append(all, map[string]any{"@odata.type": "#microsoft.graph.directoryRole", "id": guid("role", template), "roleTemplateId": template})
			}
		}
		return all
	}
	if c.PathValue("user") == "" {
		return fake.Act{Run: func() fake.Done { return g.paged(c, roles(nil)) }}
	}
	return g.onUser(c, func(a *account, _ time.Time, _ time.Duration) fake.Done { return g.paged(c, roles(a)) })
}

func (g *Graph) listRoleMembers(c *fake.Call) fake.Act {
	return fake.Act{Run: func() fake.Done {
		now := g.world.Clock().Now()
		for template, members := range g.roles {
			if guid("role", template) != c.PathValue("role") {
				continue
			}
			all := []map[string]any{}
			for _, a := range members {
				all = append(all, a.body(now))
			}
			return g.paged(c, all)
		}
		return notFound(c, c.PathValue("role"))
	}}
}
