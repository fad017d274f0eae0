package fakegraph

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// Handler serves the three APIs; base is where a client finds them, for the
// links to next pages.
func (g *Graph) Handler(base string) http.Handler {
	g.base = strings.TrimRight(base, "/")
	mux := http.NewServeMux()
	on := func(pattern, name string, prepare func(c *fake.Call) fake.Act) {
		mux.Handle(pattern, g.world.Handler(g.vendor, fake.Operation{Name: name, Public: name == "token", Prepare: prepare}))
	}
	on("POST /{tenant}/oauth2/v2.0/token", "token", g.token)
	g.directory(on)
	g.mail(on)
	exchange := func(name string) http.Handler {
		return g.world.Handler(g.vendor, fake.Operation{Name: name, Prepare: g.command})
	}
	reads, writes := exchange("read-senders"), exchange("write-senders")
	mux.HandleFunc("POST /adminapi/beta/{tenant}/InvokeCommand", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("X-CmdletName"), "Get-") {
			reads.ServeHTTP(w, r)
			return
		}
		writes.ServeHTTP(w, r)
	})
	return mux
}

type route func(pattern, name string, prepare func(c *fake.Call) fake.Act)

func (g *Graph) directory(on route) {
	on("GET /v1.0/users", "list-users", g.listUsers)
	on("GET /v1.0/users/{user}", "get-user", g.getUser)
	on("PATCH /v1.0/users/{user}", "update-user", g.updateUser)
	on("POST /v1.0/users/{user}/revokeSignInSessions", "revoke-sessions", g.revokeSessions)
	on("GET /v1.0/users/{user}/manager", "get-manager", g.getManager)
	on("POST /v1.0/users/{user}/sendMail", "send-mail", g.sendMail)
	on("GET /v1.0/users/{user}/authentication/methods", "list-methods", g.listMethods)
	on("DELETE /v1.0/users/{user}/authentication/{list}/{method}", "delete-method", g.deleteMethod)
	on("GET /v1.0/users/{user}/oauth2PermissionGrants", "list-grants", g.listGrants)
	on("GET /v1.0/oauth2PermissionGrants", "list-grants", g.listGrants)
	on("GET /v1.0/oauth2PermissionGrants/{grant}", "get-grant", g.oneGrant(false))
	on("DELETE /v1.0/oauth2PermissionGrants/{grant}", "delete-grant", g.oneGrant(true))
	on("GET /v1.0/users/{user}/appRoleAssignments", "list-assignments", g.listAssignments)
	on("POST /v1.0/directoryObjects/getByIds", "get-objects", g.getObjects)
	on("GET /v1.0/users/{user}/memberOf", "list-memberships", g.listMemberships)
	on("GET /v1.0/users/{user}/transitiveMemberOf/microsoft.graph.directoryRole", "list-roles", g.listRoles)
	on("GET /v1.0/groups", "list-groups", g.listGroups)
	on("POST /v1.0/groups/{group}/members/$ref", "add-member", g.addMember)
	on("DELETE /v1.0/groups/{group}/members/{user}/$ref", "remove-member", g.removeMember)
	on("GET /v1.0/directoryRoles", "list-roles", g.listRoles)
	on("GET /v1.0/directoryRoles/{role}/members", "list-role-members", g.listRoleMembers)
}

func (g *Graph) mail(on route) {
	on("GET /v1.0/users/{user}/messages", "list-messages", g.listMessages)
	on("GET /v1.0/users/{user}/messages/{message}", "get-message", g.oneMessage)
	on("GET /v1.0/users/{user}/messages/{message}/$value", "get-mime", g.mime)
	on("POST /v1.0/users/{user}/messages/{message}/move", "move-message", g.move)
	on("GET /v1.0/users/{user}/mailFolders/{folder}", "get-folder", g.getFolder)
	on("GET /v1.0/users/{user}/mailFolders/inbox/messageRules", "list-rules", g.listRules)
	on("GET /v1.0/users/{user}/mailFolders/inbox/messageRules/{rule}", "get-rule", g.oneRule(false))
	on("PATCH /v1.0/users/{user}/mailFolders/inbox/messageRules/{rule}", "update-rule", g.oneRule(true))
}

func reply(c *fake.Call, status int, body any) fake.Answer {
	return fake.Answer{Status: status, Header: map[string]string{"Request-Id": c.ID}, Body: body}
}

// refuse is Graph's error.
func refuse(c *fake.Call, status int, code, message string) fake.Answer {
	return reply(c, status, map[string]any{"error": map[string]any{
		"code": code, "message": message,
		"innerError": map[string]any{"date": time.Now().UTC().Format("2006-01-02T15:04:05"), "request-id": c.ID, "client-request-id": c.ID},
	}})
}

func refused(c *fake.Call, status int, retry time.Duration) fake.Answer {
	code := map[int]string{
		400: "Request_BadRequest", 401: "InvalidAuthenticationToken", 403: "Authorization_RequestDenied", 404: "Request_ResourceNotFound",
		409: "Request_MultipleObjectsWithSameKeyValue", 429: "TooManyRequests", 503: "serviceNotAvailable",
	}[status]
	if code == "" {
		code = "UnknownError"
	}
	a := refuse(c, status, code, http.StatusText(status))
	if status == http.StatusTooManyRequests {
		a.Header["Retry-After"] = strconv.Itoa(int((retry + time.Second - 1) / time.Second))
	}
	return a
}

func (g *Graph) authorize(c *fake.Call) *fake.Answer {
	token, _ := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
	if expires, ok := g.tokens[token]; ok && g.world.Clock().Now().Before(expires) {
		return nil
	}
	a := refuse(c, http.StatusUnauthorized, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")
	return &a
}

func (g *Graph) token(c *fake.Call) fake.Act {
	form, err := url.ParseQuery(string(c.Body))
	bad := func(status int, code, text string) fake.Act {
		return fake.Say("", reply(c, status, map[string]any{"error": code, "error_description": text, "trace_id": c.ID}))
	}
	switch {
	case err != nil || form.Get("grant_type") != "client_credentials" || !strings.HasSuffix(form.Get("scope"), "/.default"):
		return bad(http.StatusBadRequest, "invalid_request", "AADSTS900144: The request body must contain grant_type and a scope that ends in /.default.")
	case c.PathValue("tenant") != g.tenant:
		return bad(http.StatusBadRequest, "invalid_request", "AADSTS90002: Tenant not found.")
	case form.Get("client_id") != g.id || form.Get("client_secret") != g.secret:
		return bad(http.StatusUnauthorized, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
	}
	return fake.Act{Run: func() fake.Done {
		life := g.world.LagOf("entra.token")
		g.serial++
		token := fmt.Sprintf("graph-token-%06d", g.serial)
		g.tokens[token] = g.world.Clock().Now().Add(life)
		return fake.Done{Answer: reply(c, http.StatusOK, map[string]any{
			"token_type": "Bearer", "expires_in": int(life.Seconds()), "ext_expires_in": int(life.Seconds()), "access_token": token,
		})}
	}}
}

func notFound(c *fake.Call, what string) fake.Done {
	return fake.Done{Answer: refuse(c, http.StatusNotFound, "Request_ResourceNotFound", "Resource '"+what+"' does not exist or one of its queried reference-property objects are not present.")}
}

// onUser makes an act about the account of the path.
func (g *Graph) onUser(c *fake.Call, run func(a *account, now time.Time, lag time.Duration) fake.Done) fake.Act {
	name := c.PathValue("user")
	a := g.named(name)
	object := name
	if a != nil {
		object = a.seed.Name
	}
	return fake.Act{Object: object, Run: func() fake.Done {
		if a == nil {
			return notFound(c, name)
		}
		return run(a, g.world.Clock().Now().UTC(), g.world.LagOf("entra.replication"))
	}}
}

// paged answers one page of a list.
func (g *Graph) paged(c *fake.Call, all []map[string]any) fake.Done {
	q := c.URL.Query()
	size := g.page
	if top, err := strconv.Atoi(q.Get("$top")); err == nil && top > 0 {
		size = min(size, top)
	}
	from, err := strconv.Atoi(strings.TrimPrefix(q.Get("$skiptoken"), "p"))
	if err != nil || from < 0 || from > len(all) {
		from = 0
	}
	to := min(from+size, len(all))
	values := []any{}
	for _, v := range all[from:to] {
		values = append(values, selected(v, q.Get("$select")))
	}
	body := map[string]any{"@odata.context": g.base + "/v1.0/$metadata", "value": values}
	if to < len(all) {
		q.Set("$skiptoken", "p"+strconv.Itoa(to))
		body["@odata.nextLink"] = g.base + c.URL.EscapedPath() + "?" + q.Encode()
	}
	return fake.Done{Answer: reply(c, http.StatusOK, body)}
}

// selected leaves of an object what was asked for.
func selected(v map[string]any, fields string) map[string]any {
	if fields == "" {
		return v
	}
	want := strings.Split(fields, ",")
	out := maps.Clone(v)
	maps.DeleteFunc(out, func(name string, _ any) bool {
		return !slices.Contains(want, name) && !strings.HasPrefix(name, "@")
	})
	return out
}

func one(c *fake.Call, v map[string]any) fake.Done {
	return fake.Done{Answer: reply(c, http.StatusOK, selected(v, c.URL.Query().Get("$select")))}
}

func done(c *fake.Call, status int, body any, changes ...fake.Change) fake.Done {
	return fake.Done{Answer: reply(c, status, body), Effects: changes}
}
