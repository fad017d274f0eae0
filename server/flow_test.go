package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

func inputs(pairs ...string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for i := 0; i+1 < len(pairs); i += 2 {
		out[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return out
}

func TestStartByHand(t *testing.T) {
	h := open(t)
	c := h.client(h.token("alice", []string{"analyst"}, auth.Launch, auth.Read))
	hash := strings.Repeat("ab", 32)
	got, err := c.Start(t.Context(), api.StartRun{Playbook: "contain", Inputs: inputs("hostname", `"ws-12"`, "n", `"7"`, "hashes", `"`+hash+`"`), Mode: "observe"}, "k1")
	if err != nil || got.Repeated {
		t.Fatalf("%+v, %v", got, err)
	}
	again, err := c.Start(t.Context(), api.StartRun{Playbook: "contain", Inputs: inputs("hostname", `"ws-12"`, "n", `7`, "hashes", `["`+hash+`"]`), Mode: "observe"}, "k1")
	if err != nil || !again.Repeated || again.Run != got.Run {
		t.Errorf("%+v, %v", again, err)
	}
	_, err = c.Start(t.Context(), api.StartRun{Playbook: "contain", Inputs: inputs("hostname", `"ws-13"`)}, "k1")
	wantCode(t, "another request under the key", err, api.CodeConflict)
	in, err := h.rooms.Runs.InputFor(t.Context(), got.Run)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"hashes":["` + hash + `"],"hostname":"ws-12","n":7}`; string(in.Inputs) != want || in.Mode != "observe" || in.Incident != got.Run || in.Trigger.Actor != "user:alice" || in.Trigger.Kind != "manual" {
		t.Errorf("%+v\n%s", in, in.Inputs)
	}
	if h.engine.nudges == 0 || h.kinds("run.requested") != 1 {
		t.Errorf("%d nudges, %d entries", h.engine.nudges, h.kinds("run.requested"))
	}
}

func TestStartRefusals(t *testing.T) {
	h := open(t)
	analyst := h.client(h.token("alice", []string{"analyst"}, auth.Launch))
	other := h.client(h.token("bob", []string{"helpdesk"}, auth.Launch))
	admin := h.client(h.token("root", nil, auth.Admin))
	fine := api.StartRun{Playbook: "contain", Inputs: inputs("hostname", `"ws-12"`)}
	with := func(f func(*api.StartRun)) api.StartRun { r := fine; f(&r); return r }
	for name, tt := range map[string]struct {
		c    *api.Client
		in   api.StartRun
		code api.Code
	}{
		"no such playbook":  {analyst, with(func(r *api.StartRun) { r.Playbook = "nothing" }), api.CodeNotFound},
		"wrong role":        {other, fine, api.CodeForbidden},
		"never by hand":     {admin, with(func(r *api.StartRun) { r.Playbook, r.Inputs = "never-by-hand", nil }), api.CodeForbidden},
		"a higher mode":     {analyst, with(func(r *api.StartRun) { r.Mode = "act" }), api.CodeDenied},
		"no such mode":      {analyst, with(func(r *api.StartRun) { r.Mode = "wild" }), api.CodeInvalid},
		"severity":          {analyst, with(func(r *api.StartRun) { r.Severity = "bad" }), api.CodeInvalid},
		"missing input":     {analyst, with(func(r *api.StartRun) { r.Inputs = nil }), api.CodeInvalid},
		"unknown input":     {analyst, with(func(r *api.StartRun) { r.Inputs = inputs("hostname", `"a"`, "x", `1`) }), api.CodeInvalid},
		"hostile hostname":  {analyst, with(func(r *api.StartRun) { r.Inputs = inputs("hostname", `"a; reboot"`) }), api.CodeInvalid},
		"a list for a text": {analyst, with(func(r *api.StartRun) { r.Inputs = inputs("hostname", `["a"]`) }), api.CodeInvalid},
		"null":              {analyst, with(func(r *api.StartRun) { r.Inputs = inputs("hostname", `null`) }), api.CodeInvalid},
		"too many": {analyst, with(func(r *api.StartRun) {
			r.Inputs = inputs("hostname", `"a"`, "hashes", `["`+strings.Repeat(strings.Repeat("a", 32)+`","`, 2)+strings.Repeat("a", 32)+`"]`)
		}), api.CodeInvalid},
		"not a number":      {analyst, with(func(r *api.StartRun) { r.Inputs = inputs("hostname", `"a"`, "n", `"1e3"`) }), api.CodeInvalid},
		"incident by CR":    {analyst, with(func(r *api.StartRun) { r.Incident = "a\r\nb" }), api.CodeInvalid},
		"too long a reason": {analyst, with(func(r *api.StartRun) { r.Reason = strings.Repeat("a", 2001) }), api.CodeInvalid},
	} {
		_, err := tt.c.Start(t.Context(), tt.in, "")
		wantCode(t, name, err, tt.code)
		var p *api.Error
		if errors.As(err, &p) && (tt.code == api.CodeForbidden || tt.code == api.CodeDenied) != p.Refused() {
			t.Errorf("%s: Refused says %v", name, p.Refused())
		}
	}
	if list, _, err := h.rooms.Runs.List(t.Context(), runs.Filter{Tenant: "t", Limit: 9}); err != nil || len(list) != 0 {
		t.Errorf("%v runs, %v", list, err)
	}
	if _, err := admin.Start(t.Context(), fine, ""); err != nil {
		t.Errorf("an admin needs no role: %v", err)
	}
}

// begun makes a run that goes on.
func (h *house) begun(host string) string {
	h.t.Helper()
	c := h.client("")
	got, err := c.Start(h.t.Context(), api.StartRun{Playbook: "contain", Inputs: inputs("hostname", strconv.Quote(host))}, "")
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.rooms.Runs.MarkStarted(h.t.Context(), got.Run); err != nil {
		h.t.Fatal(err)
	}
	return got.Run
}

func TestShowUndoCancel(t *testing.T) {
	h := open(t)
	id := h.begun("ws-12")
	h.engine.tree = run.Progress{Status: "running", Phase: "contain"}
	c := h.client(h.token("alice", nil, auth.Read, auth.Respond))
	d, err := c.Run(t.Context(), id)
	if err != nil || d.ID != id || d.Status != api.RunRunning || d.Tree == nil || d.Tree.Phase != "contain" || len(d.Effects) != 1 || len(d.Entries) != 1 || d.Entries[0].Kind != "run.requested" {
		t.Fatalf("%+v, %v", d, err)
	}
	h.engine.mu.Lock()
	h.engine.down = errors.New("away")
	h.engine.mu.Unlock()
	if d, err = c.Run(t.Context(), id); err != nil || d.Tree != nil || d.TreeError == "" || len(d.Entries) != 1 {
		t.Errorf("without the engine: %+v, %v", d, err)
	}
	u, err := c.Undo(t.Context(), id, api.UndoRun{Reason: "false positive", Steps: []string{"contain.isolate"}})
	if err != nil || u.ID != "undo/"+id+"/1" || len(h.engine.undone) != 1 || h.engine.undone[0].Actor != "user:alice" || h.engine.undone[0].Run != id {
		t.Fatalf("%+v, %v, %+v", u, err, h.engine.undone)
	}
	if u, err = c.UndoResult(t.Context(), u.ID); err != nil || !u.Done || len(u.Result.Items) != 1 {
		t.Errorf("%+v, %v", u, err)
	}
	_, err = c.UndoResult(t.Context(), "undo/"+id+"/9")
	wantCode(t, "an undo that nobody knows", err, api.CodeNotFound)
	_, err = c.Undo(t.Context(), id, api.UndoRun{})
	wantCode(t, "without a reason", err, api.CodeInvalid)
	_, err = c.Undo(t.Context(), "contain/nope/1", api.UndoRun{Reason: "x"})
	wantCode(t, "undo of nothing", err, api.CodeNotFound)
	if err := c.Cancel(t.Context(), id, api.CancelRun{Reason: "enough"}); err != nil || len(h.engine.cancelled) != 1 {
		t.Errorf("%v, %v", err, h.engine.cancelled)
	}
	for _, kind := range []string{"undo.requested", "run.cancel_requested"} {
		if h.kinds(kind) != 1 {
			t.Errorf("%d entries %s", h.kinds(kind), kind)
		}
	}
	if err := h.rooms.Runs.MarkEnded(t.Context(), id, "cancelled", "enough", json.RawMessage(`{"closing":"cancelled","outputs":{"a":1},"tree":{"run":"x","status":"ended"}}`)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "cancel of what ended", c.Cancel(t.Context(), id, api.CancelRun{Reason: "x"}), api.CodeConflict)
	if d, err = c.Run(t.Context(), id); err != nil || d.Tree == nil || d.Tree.Status != "ended" || string(d.Outputs) != `{"a":1}` {
		t.Errorf("ended: %+v, %v", d, err)
	}
	_, err = c.Run(t.Context(), "not-an-id")
	wantCode(t, "not an id", err, api.CodeInvalid)
	list, err := c.Runs(t.Context(), api.RunFilter{Status: api.RunEnded})
	if err != nil || len(list.Runs) != 1 || list.Runs[0].ID != id {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestAlertOverTheAPI(t *testing.T) {
	h := open(t)
	c := h.client(h.token("alice", nil, auth.Read))
	body := []byte(`{"id":"1","title":"T","severity":"high","hosts":[{"name":"ws-12"},{"name":"a b"}]}`)
	first, err := c.SendAlert(t.Context(), "siem", "", body, alertKey)
	if err != nil || first.Duplicate || len(first.Runs) != 1 || first.Runs[0].Verdict != "started" {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := c.SendAlert(t.Context(), "siem", "", body, alertKey)
	if err != nil || !again.Duplicate || again.Runs[0].Run != first.Runs[0].Run {
		t.Errorf("%+v, %v", again, err)
	}
	joined, err := c.SendAlert(t.Context(), "siem", "", []byte(`{"id":"2","severity":"low","hosts":[{"name":"ws-12"}]}`), alertKey)
	if err != nil || joined.Runs[0].Verdict != "joined" {
		t.Errorf("%+v, %v", joined, err)
	}
	_, err = c.SendAlert(t.Context(), "siem", "", []byte(`[]`), alertKey)
	wantCode(t, "no alert", err, api.CodeInvalid)
	got, err := c.Alert(t.Context(), first.Alert)
	if err != nil || string(got.Raw) != string(body) || got.SourceID != "1" || len(got.Dropped) == 0 || len(got.Runs) != 1 || !json.Valid(got.Value) {
		t.Errorf("%+v, %v", got, err)
	}
	d, err := c.Run(t.Context(), first.Runs[0].Run)
	if err != nil || len(d.Alerts) != 2 || d.Alerts[0] != first.Alert || len(d.Entries) != 2 || d.Entries[0].Kind != "run.claimed" || d.Entries[1].Kind != "run.joined" {
		t.Errorf("%+v, %v", d, err)
	}
	page, err := c.Alerts(t.Context(), api.AlertFilter{Source: "siem", Limit: 1})
	if err != nil || len(page.Alerts) != 1 || page.Next == "" || page.Alerts[0].SourceID != "2" {
		t.Errorf("%+v, %v", page, err)
	}
	if page, err = c.Alerts(t.Context(), api.AlertFilter{Source: "siem", Limit: 1, Cursor: page.Next}); err != nil || len(page.Alerts) != 1 || page.Next != "" {
		t.Errorf("%+v, %v", page, err)
	}
	_, err = c.Alert(t.Context(), "a-nothing")
	wantCode(t, "no such alert", err, api.CodeNotFound)
}

// The whole matrix over HTTP: all 401, nothing stored, and the answers do not
// tell an unknown source from a wrong key.
func TestAlertSignaturesOverHTTP(t *testing.T) {
	h := open(t)
	body := `{"id":"1","severity":"high","hosts":[{"name":"ws-12"}]}`
	now := time.Now()
	head := func(key []byte, at time.Time, id string) map[string]string {
		return map[string]string{
			api.HeaderWebhookID: id, api.HeaderWebhookTimestamp: strconv.FormatInt(at.Unix(), 10), api.HeaderWebhookSignature: api.SignAlert(key, id, at, []byte(body)),
		}
	}
	without := func(name string) map[string]string { m := head(alertKey, now, "m"); delete(m, name); return m }
	details := map[string]bool{}
	for name, tt := range map[string]struct {
		source, body string
		head         map[string]string
	}{
		"wrong key":    {"siem", body, head([]byte("wrong-wrong-wrong-wrong-wrong-wr"), now, "m")},
		"other source": {"edr", body, head(alertKey, now, "m")},
		"unknown":      {"nobody", body, head(alertKey, now, "m")},
		"re-encoded":   {"siem", body + "\n", head(alertKey, now, "m")},
		"stale":        {"siem", body, head(alertKey, now.Add(-6*time.Minute), "m")},
		"early":        {"siem", body, head(alertKey, now.Add(6*time.Minute), "m")},
		"no id":        {"siem", body, without(api.HeaderWebhookID)},
		"no time":      {"siem", body, without(api.HeaderWebhookTimestamp)},
		"no signature": {"siem", body, without(api.HeaderWebhookSignature)},
		"none":         {"siem", body, nil},
	} {
		// A token, even an admin's, replaces no signature.
		for _, token := range []string{"", h.token("root-"+strings.ReplaceAll(name, " ", "-"), nil, auth.Admin)} {
			status, _, p := h.raw("POST", "/v1/alerts/"+tt.source, token, strings.NewReader(tt.body), tt.head)
			if status != http.StatusUnauthorized || p.Code != api.CodeUnauthenticated {
				t.Errorf("%s: %d", name, status)
			}
			if name == "wrong key" || name == "unknown" || name == "other source" {
				details[p.Detail] = true
			}
		}
	}
	if len(details) != 1 {
		t.Errorf("the answers differ: %v", details)
	}
	if list, _, err := h.rooms.Runs.ListAlerts(t.Context(), runs.AlertFilter{Tenant: "t", Limit: 9}); err != nil || len(list) != 0 {
		t.Errorf("%d alerts were stored, %v", len(list), err)
	}
	if status, _, _ := h.raw("POST", "/v1/alerts/siem", "", strings.NewReader(body), head(alertKey, now, "m")); status != http.StatusAccepted {
		t.Errorf("the good one: %d", status)
	}
}

func TestReady(t *testing.T) {
	h := open(t)
	c := h.client("")
	if r, err := c.Ready(t.Context()); err != nil || !r.Ready || len(r.Parts) != 5 {
		t.Fatalf("%+v, %v", r, err)
	}
	h.engine.mu.Lock()
	h.engine.down = errors.New("the engine is away")
	h.engine.mu.Unlock()
	r, err := c.Ready(t.Context())
	if err != nil || r.Ready || r.Parts[2].Name != "engine" || r.Parts[2].OK || r.Parts[2].Why == "" || !r.Parts[0].OK {
		t.Errorf("%+v, %v", r, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.tcp+"/v1/ready", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token("m", nil, auth.Read))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d", res.StatusCode)
	}
}

func TestLedgerOverTheAPI(t *testing.T) {
	h := open(t)
	id := h.begun("ws-12")
	c := h.client(h.token("auditor", nil, auth.Audit))
	list, err := c.Entries(t.Context(), api.EntryFilter{Run: id})
	if err != nil || len(list.Entries) != 1 || list.Entries[0].Kind != "run.requested" || len(list.Entries[0].Payload) == 0 || list.Entries[0].Digest == "" {
		t.Fatalf("%+v, %v", list, err)
	}
	all, err := c.Entries(t.Context(), api.EntryFilter{Limit: 1})
	if err != nil || len(all.Entries) != 1 || all.Next != all.Entries[0].Seq {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := h.rooms.Ledger.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	cp, err := c.Checkpoint(t.Context())
	if err != nil || cp.Size == 0 || cp.Note == "" || cp.Tail != 0 {
		t.Errorf("%+v, %v", cp, err)
	}
	var out strings.Builder
	if err := c.ExportLedger(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(out.String(), "\n")
	var first struct{ Public string }
	if err := json.Unmarshal([]byte(header), &first); err != nil {
		t.Fatal(err)
	}
	rep, err := ledger.VerifyExport(strings.NewReader(out.String()), ledger.Trust{Public: first.Public})
	if err != nil || len(rep.Findings) != 0 {
		t.Errorf("the export does not verify: %+v, %v", rep, err)
	}
	if h.kinds("ledger.exported") != 1 {
		t.Error("nobody can see that the ledger was exported")
	}
}

func TestConnectorsAndPlaybooks(t *testing.T) {
	h := open(t)
	c := h.client("")
	if l, err := c.Connectors(t.Context()); err != nil || len(l.Connectors) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	if one, err := c.CheckConnector(t.Context(), "cs"); err != nil || one.State != "ready" {
		t.Errorf("%+v, %v", one, err)
	}
	_, err := c.CheckConnector(t.Context(), "../cs")
	wantCode(t, "no such instance", err, api.CodeNotFound)
	p, err := c.Playbooks(t.Context())
	if err != nil || len(p.Playbooks) != 2 || !p.Playbooks[0].Manual || p.Playbooks[1].Manual || len(p.Playbooks[0].Inputs) != 3 || !p.Playbooks[0].Inputs[0].Required {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestKillSwitch(t *testing.T) {
	h := open(t)
	bob := h.client(h.token("bob", nil, auth.Respond, auth.Read))
	if k, err := bob.KillSwitch(t.Context()); err != nil || k.On {
		t.Fatalf("%+v, %v", k, err)
	}
	_, err := bob.Kill(t.Context(), " ")
	wantCode(t, "without a reason", err, api.CodeInvalid)
	if _, err := bob.Kill(t.Context(), "too many isolations"); err != nil {
		t.Fatal(err)
	}
	if k, err := bob.KillSwitch(t.Context()); err != nil || !k.On || k.Reason != "too many isolations" {
		t.Errorf("%+v, %v", k, err)
	}
	_, err = bob.LiftKill(t.Context(), "fine again")
	wantCode(t, "lifted by who may only stop", err, api.CodeForbidden)
	if _, err := h.client("").LiftKill(t.Context(), "fine again"); err != nil {
		t.Fatal(err)
	}
	if k, err := bob.KillSwitch(t.Context()); err != nil || k.On || h.kinds("guard.killed") != 1 || h.kinds("guard.lifted") != 1 {
		t.Errorf("%+v, %v", k, err)
	}
}

// A handler that panics is a problem for its caller and for nobody else.
func TestPanic(t *testing.T) {
	h := open(t)
	rt := route{method: "GET", path: "/boom", need: public}
	h.srv.gate.mux.HandleFunc(rt.pattern(), h.srv.guarded(rt, func(http.ResponseWriter, *http.Request) { panic("boom") }))
	srv := *h
	srv.srv.cfg.Socket += "2"
	srv.serve()
	status, _, p := srv.raw("GET", "/boom", "", nil, nil)
	if status != http.StatusInternalServerError || strings.Contains(p.Detail, "boom") || p.Request == "" {
		t.Errorf("%d %+v", status, p)
	}
	if status, _, _ := srv.raw("GET", "/v1/health", "", nil, nil); status != http.StatusOK {
		t.Errorf("after it: %d", status)
	}
}

// Many starts under one key at once are one run.
func TestParallelStarts(t *testing.T) {
	h := open(t)
	c := h.client("")
	var wg sync.WaitGroup
	ids := make(chan string, 64)
	for range 64 {
		wg.Go(func() {
			got, err := c.Start(context.Background(), api.StartRun{Playbook: "contain", Inputs: inputs("hostname", `"ws-12"`)}, "one")
			if err != nil {
				t.Error(err)
			}
			ids <- got.Run
		})
	}
	wg.Wait()
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		seen[id] = true
	}
	n := 0
	if err := h.rooms.DB.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM runs`).Scan(&n) }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || n != 1 {
		t.Errorf("%d ids, %d runs", len(seen), n)
	}
	fmt.Fprintln(h.log, "done")
}
