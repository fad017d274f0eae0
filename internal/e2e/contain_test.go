package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/server/api"
)

// hostsOf makes n hosts in the lab, host-00001 and on.
func (l *labProcess) hostsOf(n int) {
	l.t.Helper()
	l.control("POST", "/hosts", fmt.Appendf(nil, `{"count": %d}`, n), nil)
}

func hostname(i int) string { return fmt.Sprintf("host-%05d", i) }

// approveAll says yes to every approval until the test stops it, and resolves
// nothing else.
func (h *house) approveAll(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		list, err := h.requests()
		if err != nil {
			continue
		}
		for _, a := range list {
			if a.Kind == api.RequestApproval {
				_ = h.approve(a)
			}
		}
	}
}

// TestContain runs the example by alert and by hand: the host is isolated and
// released again, the ticket opened and commented, the alert a second time
// starts nothing, and the ledger verifies.
func TestContain(t *testing.T) {
	l := startLab(t)
	l.hostsOf(4)
	h := newHouse(t, l, "")
	h.start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.approveAll(ctx)

	got, err := h.alert("det-1", hostname(1))
	if err != nil || len(got.Runs) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	again, err := h.alert("det-1", hostname(1))
	if err != nil || len(again.Runs) != 1 || again.Runs[0].Run != got.Runs[0].Run {
		t.Fatalf("the same alert: %+v, %v", again, err)
	}
	byHand, err := h.client().Start(t.Context(), api.StartRun{Playbook: "contain-infected-host", Inputs: map[string]json.RawMessage{"hostname": []byte(`"` + hostname(2) + `"`)}}, "")
	if err != nil {
		t.Fatal(err)
	}
	// The person who launched may not approve.
	other := h.token("lena", "analyst,ir-lead")
	eventually(t, 60*time.Second, "a second person approves the run by hand", func() (bool, error) {
		list, err := h.requests()
		for _, a := range list {
			if a.Run == byHand.Run && a.Kind == api.RequestApproval {
				if err := h.approve(a); err == nil {
					t.Fatal("the person who launched approved")
				}
				_, err = other.Vote(t.Context(), a.ID, api.Vote{Decision: api.Approve, Seal: a.Seal})
				return err == nil, err
			}
		}
		return false, err
	})
	for _, r := range h.ended(2, 90*time.Second) {
		if r.Closing != "completed" {
			d, _ := h.client().Run(t.Context(), r.ID)
			raw, _ := json.MarshalIndent(d, "", " ")
			t.Errorf("%s closed %s: %s", r.ID, r.Closing, raw)
		}
	}
	l.check(t, []string{hostname(1), hostname(2)})
	h.auditOK()
}

// token makes a person with roles and returns their client.
func (h *house) token(name, roles string) *api.Client {
	h.t.Helper()
	c, err := api.Dial(api.Options{Server: "http://" + h.listen, Token: h.secret(name, roles)})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// secret makes a person with roles and returns their token.
func (h *house) secret(name, roles string) string {
	h.t.Helper()
	made, err := h.client().CreateToken(h.t.Context(), api.NewToken{
		Name: name, User: name, Roles: strings.Split(roles, ","), Scopes: []string{"read", "launch", "respond", "approve"}, Expires: "1d",
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return made.Secret
}

// check compares the lab's world with what containing and releasing each host
// once means.
func (l *labProcess) check(t *testing.T, hosts []string) {
	t.Helper()
	changed := map[string]int{}
	issues, comments := 0, 0
	for _, e := range l.effects("") {
		switch {
		case e.Vendor == "jira" && e.Operation == "create":
			issues++
		case e.Vendor == "jira" && e.Operation == "comment":
			comments++
		case e.Operation == "contain" || e.Operation == "lift":
			if e.Before != e.After {
				changed[e.Operation+" "+strings.ToLower(e.Object)]++
			}
		}
	}
	for _, h := range hosts {
		if changed["contain "+h] != 1 || changed["lift "+h] != 1 {
			t.Errorf("%s: isolated %d times, released %d times", h, changed["contain "+h], changed["lift "+h])
		}
	}
	if issues != len(hosts) || comments != len(hosts) {
		t.Errorf("%d issues and %d comments for %d runs", issues, comments, len(hosts))
	}
}

// auditOK verifies the ledger through the API's export, as a person would.
func (h *house) auditOK() {
	h.t.Helper()
	rep := h.audit()
	if !rep.OK {
		h.t.Errorf("the ledger does not verify: %+v", rep.Findings)
	}
}

// audit exports the ledger through the API and verifies it offline.
func (h *house) audit() ledger.Report {
	h.t.Helper()
	return h.auditBy(filepath.Join(h.dir, "data-keys", "ledger.key.pub"))
}

// auditBy is audit with the public key in a file of another place.
func (h *house) auditBy(file string) ledger.Report {
	h.t.Helper()
	var b bytes.Buffer
	if err := h.client().ExportLedger(h.t.Context(), &b); err != nil {
		h.t.Fatal(err)
	}
	pub, err := os.ReadFile(file)
	if err != nil {
		h.t.Fatal(err)
	}
	rep, err := ledger.VerifyExport(&b, ledger.Trust{Public: strings.TrimSpace(string(pub))})
	if err != nil {
		h.t.Fatal(err)
	}
	return rep
}
