package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/signin"
	"github.com/quell-soar/quell/server/api"
)

// provider stands in for the identity provider.
type provider struct {
	mu    sync.Mutex
	who   signin.Identity
	gone  error
	asked int
}

func (p *provider) Begin(context.Context, bool) (string, string, error) {
	return "https://idp.example/auth?state=s", "ticket", nil
}

func (p *provider) Finish(_ context.Context, ticket, state, code string) (signin.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ticket != "ticket" || state != "s" || code != "c" {
		return signin.Identity{}, &signin.RefusedError{Reason: "begin again"}
	}
	return p.who, nil
}

func (p *provider) Recheck(context.Context, signin.Identity) (signin.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	return p.who, p.gone
}

func (p *provider) set(f func()) { p.mu.Lock(); defer p.mu.Unlock(); f() }

// browser keeps cookies as a browser would, though the test's server has no TLS.
type browser struct {
	h   *house
	jar map[string]string
}

// send sends a request with the browser's cookies; csrf adds the header that
// only a page of ours can send.
func (b *browser) send(method, path, body string, csrf bool, head map[string]string) (int, http.Header, *api.Error) {
	b.h.t.Helper()
	all := map[string]string{}
	var cookies []string
	for name, v := range b.jar {
		cookies = append(cookies, name+"="+v)
	}
	if len(cookies) > 0 {
		all["Cookie"] = strings.Join(cookies, "; ")
	}
	if csrf {
		all[api.HeaderCSRF] = b.jar[csrfCookie]
	}
	if body != "" {
		all["Content-Type"] = "application/json"
	}
	maps.Copy(all, head)
	status, got, problem := b.h.raw(method, path, "", strings.NewReader(body), all)
	for _, c := range (&http.Response{Header: got}).Cookies() {
		if c.MaxAge < 0 {
			delete(b.jar, c.Name)
		} else {
			b.jar[c.Name] = c.Value
		}
		if !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || (c.HttpOnly == (c.Name == csrfCookie)) {
			b.h.t.Errorf("cookie %s: %+v", c.Name, c)
		}
	}
	return status, got, &problem
}

// signIn goes through both halves.
func (b *browser) signIn() int {
	b.h.t.Helper()
	if status, _, _ := b.send("GET", "/v1/session/begin", "", false, nil); status != http.StatusSeeOther {
		b.h.t.Fatalf("begin: %d", status)
	}
	status, _, _ := b.send("GET", "/v1/session/callback?state=s&code=c", "", false, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
	return status
}

// console is a house where people sign in: alice is on call and an ir-lead.
func console(t *testing.T) (*house, *provider, *browser) {
	t.Helper()
	p := &provider{who: signin.Identity{Issuer: "https://idp", Subject: "00u1", Roles: []string{"analyst", "ir-lead"}, At: time.Now()}}
	h := openWith(t, func(h *house, a *Access) {
		a.Sessions = auth.NewSessions(h.rooms.DB, h.rooms.Ledger, "t", auth.SessionLimits{}, time.Now)
		a.SignIn, a.First = p, auth.NewFirst(h.tokens)
		var err error
		if a.People, err = auth.NewPeople([]auth.Person{{Name: "alice", Subject: "00u1"}}); err != nil {
			t.Fatal(err)
		}
		if a.Rights, err = auth.NewRights(nil, map[string]auth.PlaybookRights{"guarded": {Launch: []string{"lead"}, Approve: []string{"ciso"}}}); err != nil {
			t.Fatal(err)
		}
	})
	return h, p, &browser{h: h, jar: map[string]string{}}
}

func TestASessionIsAPerson(t *testing.T) {
	h, _, b := console(t)
	if status, _, _ := b.send("GET", "/v1/whoami", "", false, nil); status != http.StatusUnauthorized {
		t.Errorf("before: %d", status)
	}
	if status := b.signIn(); status != http.StatusSeeOther {
		t.Fatalf("sign-in: %d", status)
	}
	if b.jar[ticketCookie] != "" {
		t.Error("the ticket stays")
	}
	list, err := h.client("").Sessions(t.Context())
	if err != nil || len(list.Sessions) != 1 || list.Sessions[0].Actor != "user:alice" || list.Sessions[0].Subject != "00u1" {
		t.Fatalf("%+v, %v", list, err)
	}
	start := `{"playbook":"contain","inputs":{"hostname":"ws-12"}}`
	for name, c := range map[string]struct {
		csrf bool
		head map[string]string
		want int
	}{
		"of our page":               {true, map[string]string{"Sec-Fetch-Site": "same-origin"}, http.StatusAccepted},
		"without the token":         {false, nil, http.StatusForbidden},
		"another token":             {false, map[string]string{api.HeaderCSRF: strings.Repeat("a", 52)}, http.StatusForbidden},
		"a form of another site":    {false, map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		"another origin":            {true, map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden},
		"a sandboxed frame":         {true, map[string]string{"Origin": "null"}, http.StatusForbidden},
		"another host of the world": {true, map[string]string{"Host": "evil.example"}, http.StatusForbidden},
	} {
		if status, _, p := b.send("POST", "/v1/runs", start, c.csrf, c.head); status != c.want {
			t.Errorf("%s: %d %s", name, status, p.Detail)
		}
	}
	if status, _, _ := b.send("POST", "/v1/session/end", "", false, nil); status != http.StatusForbidden {
		t.Errorf("signed out from another site: %d", status)
	}
	if status, _, _ := b.send("POST", "/v1/session/end", "", true, nil); status != http.StatusNoContent || b.jar[sessionCookie] != "" {
		t.Errorf("sign-out: %d", status)
	}
	if h.kinds("session.began") != 1 || h.kinds("session.ended") != 1 {
		t.Error("sign-in and sign-out do not stand in the record")
	}
}

// A cookie that was there before the sign-in, planted by who wants to share the
// session, is not the session.
func TestFixation(t *testing.T) {
	_, _, b := console(t)
	planted := strings.Repeat("b", 52)
	b.jar[sessionCookie] = planted
	b.signIn()
	if b.jar[sessionCookie] == planted {
		t.Error("the planted cookie became the session")
	}
	other := &browser{h: b.h, jar: map[string]string{sessionCookie: planted}}
	if status, _, _ := other.send("GET", "/v1/whoami", "", false, nil); status != http.StatusUnauthorized {
		t.Errorf("the planter is in: %d", status)
	}
	first := b.jar[sessionCookie]
	b.signIn()
	old := &browser{h: b.h, jar: map[string]string{sessionCookie: first}}
	if status, _, _ := old.send("GET", "/v1/whoami", "", false, nil); status != http.StatusUnauthorized {
		t.Errorf("a session outlives the next sign-in of its browser: %d", status)
	}
}

func TestWhoIsNotLetIn(t *testing.T) {
	h, p, b := console(t)
	if status, _, _ := b.send("GET", "/v1/session/callback?state=s&code=c", "", false, nil); status != http.StatusUnauthorized {
		t.Errorf("without a begin: %d", status)
	}
	if status, _, _ := b.send("GET", "/v1/session/begin", "", false, nil); status != http.StatusSeeOther {
		t.Errorf("a begin: %d", status)
	}
	if status, _, _ := b.send("GET", "/v1/session/callback?error=access_denied", "", false, nil); status != http.StatusUnauthorized {
		t.Errorf("the provider said no: %d", status)
	}
	if status, _, _ := b.send("GET", "/v1/session/callback?state=s&code=c", "", false, map[string]string{"Sec-Fetch-Site": "cross-site"}); status != http.StatusForbidden {
		t.Errorf("fetched by another site: %d", status)
	}
	p.set(func() { p.who.Roles = []string{"tourist"} })
	if status := b.signIn(); status != http.StatusForbidden || b.jar[sessionCookie] != "" {
		t.Errorf("somebody without a role: %d", status)
	}
	if h.kinds("api.refused") == 0 {
		t.Error("no refusal stands in the record")
	}
}

// Between asking and approving, people are let go.
func TestADecisionAsksTheProviderAgain(t *testing.T) {
	h, p, b := console(t)
	b.signIn()
	asked := 0
	vote := func() (int, *api.Error) {
		t.Helper()
		asked++
		id, seal := fmt.Sprintf("r%d", asked), "s"
		h.ask(approval.Request{ID: id, Run: aRun, Kind: approval.Approval, Seal: seal, Levels: []approval.Level{{Who: []string{"ir-lead"}, Within: time.Hour}}})
		body, err := json.Marshal(api.Vote{Decision: api.Approve, Seal: seal})
		if err != nil {
			t.Fatal(err)
		}
		status, _, p := b.send("POST", "/v1/approvals/"+url.PathEscape(id)+"/vote", string(body), true, nil)
		return status, p
	}
	if status, p := vote(); status != http.StatusOK || h.kinds("vote.cast") != 1 {
		t.Fatalf("a good vote: %d %s", status, p.Detail)
	}
	p.set(func() { p.who.Roles = []string{"viewer"} })
	if status, p := vote(); status != http.StatusForbidden {
		t.Errorf("the role was taken: %d %s", status, p.Code)
	}
	p.set(func() { p.who.Roles = []string{"analyst"} })
	if status, p := vote(); status != http.StatusForbidden {
		t.Errorf("no role of the chain: %d %s", status, p.Code)
	}
	p.set(func() { p.who.Roles, p.gone = []string{"analyst", "ir-lead"}, errors.New("network") })
	if status, p := vote(); status != http.StatusServiceUnavailable || p.Code != api.CodeNotReady {
		t.Errorf("the provider is away: %d %s", status, p.Code)
	}
	p.set(func() { p.gone = &signin.RefusedError{Reason: "the account is disabled"} })
	if status, p := vote(); status != http.StatusUnauthorized {
		t.Errorf("the person was let go: %d %s", status, p.Code)
	}
	p.set(func() { p.gone = nil })
	if status, _ := vote(); status != http.StatusUnauthorized {
		t.Errorf("the session goes on: %d", status)
	}
	p.set(func() { p.who.At = time.Now().Add(-time.Hour) })
	b.signIn()
	if status, p := vote(); status != http.StatusForbidden || p.Code != api.CodeSignInAgain {
		t.Errorf("a sign-in of an hour ago: %d %s", status, p.Code)
	}
	p.set(func() { p.who.At = time.Now() })
	b.signIn()
	h.srv.sessions.mu.Lock()
	clear(h.srv.sessions.seen)
	h.srv.sessions.mu.Unlock()
	if status, p := vote(); status != http.StatusForbidden || p.Code != api.CodeSignInAgain {
		t.Errorf("after a restart: %d %s", status, p.Code)
	}
	if n := h.kinds("vote.cast"); n != 1 {
		t.Errorf("%d votes were taken, want 1", n)
	}
}

func TestFirstAdminOverTheAPI(t *testing.T) {
	h, _, _ := console(t)
	code, err := auth.NewFirst(h.tokens).Offer(t.Context())
	if err != nil || code == "" {
		t.Fatalf("%q, %v", code, err)
	}
	take := func(code string) (int, *api.Error) {
		body, _ := json.Marshal(api.FirstAdmin{Code: code, User: "root", Name: "laptop"})
		status, _, got := h.raw("POST", "/v1/first-admin", "", strings.NewReader(string(body)), map[string]string{"Content-Type": "application/json"})
		return status, &got
	}
	if status, _ := take(auth.FirstPrefix + "guess"); status != http.StatusUnauthorized {
		t.Errorf("a guess: %d", status)
	}
	if status, p := take(code); status != http.StatusCreated {
		t.Fatalf("%d %s", status, p.Detail)
	}
	if status, _ := take(code); status != http.StatusUnauthorized {
		t.Errorf("twice: %d", status)
	}
	limited := false
	for range failuresAMinute + 1 {
		if status, _ := take(auth.FirstPrefix + "guess"); status == http.StatusTooManyRequests {
			limited = true
			break
		}
	}
	if !limited {
		t.Error("guessing is not slowed down")
	}
}

func TestIdempotencyKeys(t *testing.T) {
	h := open(t)
	admin := h.token("root", nil, auth.Admin)
	send := func(token, key, body string) (int, http.Header) {
		t.Helper()
		status, head, _ := h.raw("POST", "/v1/guard/kill", token, strings.NewReader(body), map[string]string{"Content-Type": "application/json", api.HeaderIdempotency: key})
		return status, head
	}
	for i := range 3 {
		status, head := send(admin, "k1", `{"reason":"drill"}`)
		if status != http.StatusOK || (head.Get("Idempotent-Replayed") == "true") != (i > 0) {
			t.Errorf("%d: %d %v", i, status, head)
		}
	}
	if n := h.kinds("guard.killed"); n != 1 {
		t.Errorf("it was done %d times", n)
	}
	if status, _ := send(admin, "k1", `{"reason":"another"}`); status != http.StatusConflict {
		t.Errorf("another request with the key: %d", status)
	}
	if status, _ := send(admin, "k2", `{"reason":""}`); status != http.StatusBadRequest {
		t.Errorf("a bad request: %d", status)
	}
	if status, _ := send(admin, "k2", `{"reason":"now good"}`); status != http.StatusOK && status != http.StatusConflict {
		t.Errorf("its key is free again: %d", status)
	}
	if status, _ := send(h.token("bob", nil, auth.Respond), "k1", `{"reason":"drill"}`); status != http.StatusOK || h.kinds("guard.killed") < 2 {
		t.Errorf("another caller's key: %d", status)
	}
	if status, _ := send(admin, strings.Repeat("x", 201), `{"reason":"drill"}`); status != http.StatusBadRequest {
		t.Errorf("a long key: %d", status)
	}
}

func TestETags(t *testing.T) {
	h := open(t)
	tok := h.token("alice", nil, auth.Read)
	_, head, _ := h.raw("GET", "/v1/playbooks", tok, nil, nil)
	tag := head.Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	for _, have := range []string{tag, "W/" + tag, `"x", ` + tag} {
		if status, _, _ := h.raw("GET", "/v1/playbooks", tok, nil, map[string]string{"If-None-Match": have}); status != http.StatusNotModified {
			t.Errorf("%s: %d", have, status)
		}
	}
	if status, _, _ := h.raw("GET", "/v1/playbooks", tok, nil, map[string]string{"If-None-Match": `"x"`}); status != http.StatusOK {
		t.Errorf("another tag: %d", status)
	}
}

func TestOneCallerIsBounded(t *testing.T) {
	h := open(t)
	loop, other := h.token("loop", nil, auth.Read), h.token("alice", nil, auth.Read)
	limited := 0
	for range callsAtOnce * 2 {
		status, head, _ := h.raw("GET", "/v1/whoami", loop, nil, nil)
		if status == http.StatusTooManyRequests {
			limited++
			if head.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
	}
	if limited == 0 {
		t.Error("a loop is not bounded")
	}
	if status, _, _ := h.raw("GET", "/v1/whoami", other, nil, nil); status != http.StatusOK {
		t.Errorf("another caller: %d", status)
	}
}
