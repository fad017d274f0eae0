package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/server/api"
)

// as signs somebody in with roles, past the identity provider.
func (h *house) as(name string, roles ...string) *browser {
	h.t.Helper()
	cookie, csrf, err := h.srv.access.Sessions.Begin(h.t.Context(), auth.SignedIn{Actor: "user:" + name, Issuer: "i", Subject: name, Roles: roles, At: time.Now()}, "", "")
	if err != nil {
		h.t.Fatal(err)
	}
	return &browser{h: h, jar: map[string]string{sessionCookie: cookie, csrfCookie: csrf}}
}

// Every route × every role, from the table that the server is built from. A cell
// is 403 exactly where the role does not have the scope, and each refusal is on
// record.
func TestRouteByRole(t *testing.T) {
	h, _, _ := console(t)
	h.srv.refusals.now = func() func() time.Time {
		at := time.Now()
		return func() time.Time { at = at.Add(time.Minute); return at } // each refusal in a minute of its own
	}()
	roles := append(h.srv.access.Rights.Roles(), auth.Role{Name: "ciso"})
	cells, refused := 0, 0
	for _, role := range roles {
		for _, rt := range h.srv.routes() {
			if rt.need == public || rt.need == signed || rt.id == "endSession" {
				continue
			}
			b := h.as("u-"+role.Name, role.Name)
			path := concrete(rt.path)
			if strings.HasSuffix(path, "/events") {
				path = strings.ReplaceAll(path, "/1/1/1/", "/no/such/1/")
			}
			body := ""
			if rt.method == http.MethodPost {
				body = "{}"
			}
			status, _, p := b.send(rt.method, path, body, true, nil)
			cells++
			allowed := rt.need == known || slices.Contains(role.Scopes, auth.Scope(rt.need)) || slices.Contains(role.Scopes, auth.Admin)
			if forbidden := status == http.StatusForbidden || status == http.StatusUnauthorized; forbidden == allowed {
				t.Errorf("%s as %s: %d %s", rt.pattern(), role.Name, status, p.Detail)
			}
			if !allowed {
				refused++
			}
			// Without the session's token no change is taken, whatever the role.
			if rt.method != http.MethodGet {
				cells++
				refused++
				if status, _, _ := b.send(rt.method, path, body, false, nil); status != http.StatusForbidden {
					t.Errorf("%s as %s without the token: %d", rt.pattern(), role.Name, status)
				}
			}
		}
	}
	if n := h.kinds("api.refused"); n != refused {
		t.Errorf("%d refusals, %d on record", refused, n)
	}
	t.Logf("%d routes × %d roles: %d cells tried, %d refused and on record", len(h.srv.routes()), len(roles), cells, refused)
}

// What belongs to another tenant is not there, by any route and for an admin too.
func TestObjectsOfAnotherTenant(t *testing.T) {
	h := open(t)
	err := h.rooms.DB.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO runs (id, tenant, playbook, hash, generation, digest, status, mode, severity, severity_rank, incident, source, trigger_json, inputs, settings, bindings, targets, closing, reason, created, started, ended)
			VALUES ('contain/of-u/1', 'u', 'contain', 'of-u', 1, 'd', 'running', 'act', 'high', 3, '', '', ?, ?, ?, ?, ?, '', '', 1, 1, 0)`,
			[]byte("{}"), []byte("{}"), []byte("{}"), []byte("[]"), []byte("[]"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.rooms.Approvals.Open(t.Context(), approval.Request{ID: "of-u", Tenant: "u", Run: "contain/of-u/1", Kind: approval.Approval, Opened: time.Now(), Levels: []approval.Level{{Who: []string{"ir-lead"}}}}); err != nil {
		t.Fatal(err)
	}
	registryOf(t, h.rooms.DB, h.rooms.Ledger, "u", books{loaded(t, &plan.Plan{Format: plan.Format, Playbook: "of-u"})})
	admin := h.token("root", []string{"ir-lead"}, auth.Admin)
	tried := 0
	for _, rt := range h.srv.routes() {
		if !strings.Contains(rt.path, "{") || rt.need == signed {
			continue
		}
		book := "contain"
		if strings.HasPrefix(rt.path, "/v1/playbooks/") {
			book = "of-u"
		}
		path := strings.NewReplacer("{playbook}", book, "{digest}", "current", "{hash}", "of-u", "{generation}", "1", "{n}", "1", "{id}", "of-u", "{instance}", "of-u", "{name}", "of-u").Replace(rt.path)
		body := map[string]string{"vote": `{"decision":"deny"}`, "answer": `{"done":true}`, "resolve": `{"choice":"skip","reason":"x"}`}[rt.id]
		if body == "" && rt.method == http.MethodPost {
			body = `{"reason":"x"}`
		}
		if rt.id == "promotePlaybook" {
			body = `{"mode":"observe","reason":"x"}`
		}
		if rt.id == "rotateToken" || rt.id == "checkConnector" {
			body = "{}"
		}
		status, _, p := h.raw(rt.method, path, admin, strings.NewReader(body), map[string]string{"Content-Type": "application/json"})
		tried++
		if status != http.StatusNotFound {
			t.Errorf("%s: %d %s", rt.pattern(), status, p.Detail)
		}
	}
	if runs, err := h.client(admin).Runs(t.Context(), api.RunFilter{Limit: 10}); err != nil || len(runs.Runs) != 0 {
		t.Errorf("runs of another tenant are listed: %+v, %v", runs, err)
	}
	if reqs, err := h.client(admin).Approvals(t.Context(), api.ApprovalFilter{}); err != nil || len(reqs.Approvals) != 0 {
		t.Errorf("requests of another tenant are listed: %+v, %v", reqs, err)
	}
	t.Logf("%d routes with an object", tried)
}

// The installation narrows a playbook to roles: whoever has the scope and not the
// role neither launches it nor decides in it.
func TestRightsOfAPlaybook(t *testing.T) {
	h, p, _ := console(t)
	if h.srv.access.Rights.MayLaunch(auth.Actor{Roles: []string{"analyst"}}, "guarded") {
		t.Error("an analyst may launch it")
	}
	n := 0
	vote := func(b *browser) int {
		n++
		id := fmt.Sprintf("g%d", n)
		h.ask(approval.Request{ID: id, Run: "guarded/abc/1", Kind: approval.Approval, Seal: "s", Levels: []approval.Level{{Who: []string{"ir-lead"}}}})
		status, _, _ := b.send("POST", "/v1/approvals/"+url.PathEscape(id)+"/vote", `{"decision":"deny","reason":"no"}`, true, nil)
		return status
	}
	b := &browser{h: h, jar: map[string]string{}}
	b.signIn()
	if status := vote(b); status != http.StatusForbidden {
		t.Errorf("an ir-lead decides where only the ciso may: %d", status)
	}
	p.set(func() { p.who.Roles = []string{"analyst", "ir-lead", "ciso"} })
	if status := vote(b); status != http.StatusOK {
		t.Errorf("a ciso who is an ir-lead: %d", status)
	}
}
