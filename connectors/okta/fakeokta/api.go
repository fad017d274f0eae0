package fakeokta

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// Handler serves the API; base is the org's URL as its answers name it.
func (o *Okta) Handler(base string) http.Handler {
	o.base = base
	mux := http.NewServeMux()
	on := func(pattern, name string, prepare func(*fake.Call) fake.Act) {
		mux.Handle(pattern, o.world.Handler(o.vendor, fake.Operation{Name: name, Public: name == "token", Prepare: prepare}))
	}
	of := func(pattern, name string, prepare func(*fake.Call, *user) fake.Act) {
		on(pattern, name, func(c *fake.Call) fake.Act {
			u := o.find(c.PathValue("user"))
			if u == nil {
				return fake.Say("", failure(c, http.StatusNotFound, "E0000007", "Not found: Resource not found: "+c.PathValue("user")+" (User)"))
			}
			return prepare(c, u)
		})
	}
	on("POST /oauth2/v1/token", "token", o.token)
	on("GET /api/v1/users", "list-users", o.listUsers)
	of("GET /api/v1/users/{user}", "get-user", o.getUser)
	of("POST /api/v1/users/{user}/lifecycle/suspend", "suspend", o.lifecycle("ACTIVE", "SUSPENDED"))
	of("POST /api/v1/users/{user}/lifecycle/unsuspend", "unsuspend", o.lifecycle("SUSPENDED", "ACTIVE"))
	of("DELETE /api/v1/users/{user}/sessions", "clear-sessions", o.clearSessions)
	of("POST /api/v1/users/{user}/lifecycle/expire_password_with_temp_password", "temp-password", o.tempPassword)
	of("GET /api/v1/users/{user}/factors", "list-factors", o.listFactors)
	of("DELETE /api/v1/users/{user}/factors/{factor}", "delete-factor", o.deleteFactor)
	of("GET /api/v1/users/{user}/grants", "list-grants", o.listGrants)
	of("GET /api/v1/users/{user}/clients/{client}/grants", "client-grants", o.listGrants)
	of("DELETE /api/v1/users/{user}/clients/{client}/grants", "revoke-grants", o.revokeGrants)
	of("GET /api/v1/users/{user}/clients/{client}/tokens", "client-tokens", o.listTokens)
	of("DELETE /api/v1/users/{user}/clients/{client}/tokens", "revoke-tokens", o.revokeTokens)
	of("GET /api/v1/users/{user}/roles", "user-roles", o.userRoles)
	of("GET /api/v1/users/{user}/groups", "user-groups", o.userGroups)
	on("GET /api/v1/groups", "list-groups", o.listGroups)
	of("PUT /api/v1/groups/{group}/users/{user}", "add-member", o.member(true))
	of("DELETE /api/v1/groups/{group}/users/{user}", "remove-member", o.member(false))
	on("GET /api/v1/iam/assignees/users", "assignees", o.assignees)
	on("GET /api/v1/logs", "logs", o.logs)
	return mux
}

func headers(c *fake.Call) map[string]string {
	return map[string]string{
		"X-Okta-Request-Id": c.ID, "X-Rate-Limit-Limit": "600", "X-Rate-Limit-Remaining": "599",
		"X-Rate-Limit-Reset": strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10),
	}
}

func success(c *fake.Call, status int, body any) fake.Answer {
	return fake.Answer{Status: status, Header: headers(c), Body: body}
}

func failure(c *fake.Call, status int, code, summary string, causes ...string) fake.Answer {
	list := []any{}
	for _, s := range causes {
		list = append(list, map[string]any{"errorSummary": s})
	}
	return fake.Answer{Status: status, Header: headers(c), Body: map[string]any{
		"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "oae" + c.ID, "errorCauses": list,
	}}
}

func refused(c *fake.Call, status int, retry time.Duration) fake.Answer {
	code, summary := "E0000009", "Internal Server Error"
	switch status {
	case http.StatusBadRequest:
		code, summary = "E0000001", "Api validation failed"
	case http.StatusUnauthorized:
		code, summary = "E0000011", "Invalid token provided"
	case http.StatusForbidden:
		code, summary = "E0000006", "You do not have permission to perform the requested action"
	case http.StatusNotFound:
		code, summary = "E0000007", "Not found"
	case http.StatusTooManyRequests:
		code, summary = "E0000047", "API call exceeded rate limit due to too many requests."
	}
	a := failure(c, status, code, summary)
	if status == http.StatusTooManyRequests {
		a.Header["X-Rate-Limit-Remaining"] = "0"
		// A moment in whole seconds, never one that is over.
		a.Header["X-Rate-Limit-Reset"] = strconv.FormatInt(time.Now().Add(retry+999*time.Millisecond).Unix(), 10)
	}
	return a
}

// soft is a write that was accepted and changes nothing: Okta has no error
// within a success, but a success is no proof either.
func soft(c *fake.Call) fake.Answer {
	if c.Method == http.MethodPost {
		return success(c, http.StatusOK, map[string]any{})
	}
	return success(c, http.StatusNoContent, nil)
}

func (o *Okta) authorize(c *fake.Call) *fake.Answer {
	scheme, text, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	switch {
	case scheme == "SSWS" && o.accept.APIToken != "" && text == o.accept.APIToken:
		return nil
	case scheme == "Bearer" && o.now().Before(o.bearer[text]):
		return nil
	}
	a := failure(c, http.StatusUnauthorized, "E0000011", "Invalid token provided")
	return &a
}

// paged answers with one page of a list and the link to the next.
func (o *Okta) paged(c *fake.Call, all []any) fake.Answer {
	q := c.URL.Query()
	first, _ := strconv.Atoi(strings.TrimPrefix(q.Get("after"), "cursor-"))
	size := o.page
	if n, err := strconv.Atoi(q.Get("limit")); err == nil && n > 0 {
		size = min(size, n)
	}
	first = min(max(first, 0), len(all))
	end := min(first+size, len(all))
	a := success(c, http.StatusOK, all[first:end])
	self := o.base + c.URL.Path
	a.Header["Link"] = "<" + self + "?" + q.Encode() + `>; rel="self"`
	if end < len(all) {
		q.Set("after", fmt.Sprintf("cursor-%d", end))
		a.Header["Link"] += ", <" + self + "?" + q.Encode() + `>; rel="next"`
	}
	return a
}

// moment writes a time as Okta does.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// term is one comparison of a search.
type term struct{ field, op, value string }

// terms reads comparisons joined by one word, and or or.
func terms(text, joint string) ([]term, error) {
	var out []term
	for rest := text; ; {
		field, after, ok := strings.Cut(rest, " ")
		op, after, ok2 := strings.Cut(after, " ")
		if !ok || !ok2 || !strings.HasPrefix(after, `"`) || op != "eq" && op != "sw" {
			return nil, fmt.Errorf("invalid search criteria: %s", text)
		}
		end := 1
		for end < len(after) && after[end] != '"' {
			if after[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(after) {
			return nil, fmt.Errorf("invalid search criteria: %s", text)
		}
		value := strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(after[1:end])
		out = append(out, term{field, op, value})
		if after = after[end+1:]; after == "" {
			return out, nil
		}
		if rest, ok = strings.CutPrefix(after, " "+joint+" "); !ok {
			return nil, fmt.Errorf("invalid search criteria: %s", text)
		}
	}
}

// any reports whether one of the terms holds for a thing's fields.
func anyOf(ts []term, fields map[string]string) bool {
	for _, t := range ts {
		have, ok := fields[t.field]
		if ok && (t.op == "eq" && strings.EqualFold(have, t.value) || t.op == "sw" && len(have) >= len(t.value) && strings.EqualFold(have[:len(t.value)], t.value)) {
			return true
		}
	}
	return false
}

func query(c *fake.Call, name string) url.Values {
	if c.URL.Query().Get(name) == "" {
		return nil
	}
	return c.URL.Query()
}
