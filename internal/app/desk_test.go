package app_test

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

const (
	goodToken = "quell_good"
	runID     = "contain-infected-host/3fa9c1/1"
	sourceKey = "0123456789abcdef"
	seal      = "sha256:51ea1"
)

// desk answers as the server does, from a few fixed things, and keeps what it
// was told.
type desk struct {
	t   *testing.T
	mux *http.ServeMux

	mu    sync.Mutex // guards what follows
	keys  map[string]string
	votes []api.Voted
	polls int
	kill  api.KillSwitch
}

// hostile is what an attacker writes to own a terminal.
const hostile = "ws-1\x1b]0;owned\x07\x1b[2J\r\nfake line\u202e"

func newDesk(t *testing.T, work string) *desk {
	t.Helper()
	d := &desk{t: t, mux: http.NewServeMux(), keys: map[string]string{}}
	export := writeLedger(t, work)
	d.answers(export)
	for route, file := range map[string]string{"POST /v1/plans": "plan.json", "POST /v1/backtests": "backtest.json"} {
		raw, err := os.ReadFile(filepath.Join("testdata", "plan", file))
		if err != nil {
			t.Fatal(err)
		}
		d.mux.HandleFunc(route, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(raw) })
	}
	d.mux.HandleFunc("POST /v1/runs", d.start)
	d.mux.HandleFunc("GET /v1/runs/{p}/{h}/{g}", d.run)
	d.mux.HandleFunc("GET /v1/runs/{p}/{h}/{g}/events", d.events)
	d.mux.HandleFunc("GET /v1/runs/{p}/{h}/{g}/{review}", d.review)
	d.mux.HandleFunc("POST /v1/runs/{p}/{h}/{g}/undo", d.undone)
	d.mux.HandleFunc("GET /v1/runs/{p}/{h}/{g}/undo/{n}", d.undone)
	d.mux.HandleFunc("GET /v1/approvals/{id}", d.approval)
	d.mux.HandleFunc("POST /v1/approvals/{id}/vote", d.vote)
	d.mux.HandleFunc("POST /v1/approvals/{id}/resolve", d.resolve)
	d.mux.HandleFunc("POST /v1/approvals/{id}/answer", d.answer)
	d.mux.HandleFunc("POST /v1/alerts/{source}", d.alert)
	d.mux.HandleFunc("POST /v1/tokens", d.token)
	d.mux.HandleFunc("POST /v1/guard/kill", d.turn(true))
	d.mux.HandleFunc("POST /v1/guard/lift", d.turn(false))
	return d
}

// figures are metrics of a server that has seen better days.
const figures = `# TYPE quell_state_up gauge
quell_state_up 1.0
quell_ledger_entries 1234.0
quell_ledger_checkpoint_lag_seconds 95.5
quell_ledger_unexported_entries 77.0
quell_ledger_export_lag_seconds 7200.0
quell_data_bytes{part="store"} 1.048576e+06
quell_data_bytes{part="engine"} 3.145728e+06
quell_effects_unknown 2.0
quell_engine_workflow_tasks_failed_total{failure_reason="NonDeterminismError",workflow_type="quell.playbook"} 3.0
# EOF
`

// answers are the routes that always say the same.
func (d *desk) answers(export string) {
	fixed := map[string]any{
		"GET /v1/health":                       api.Health{Status: "ok", Version: "1.2.3"},
		"GET /v1/ready":                        api.Ready{Ready: false, Parts: []api.PartReady{{Name: "store", OK: true}, {Name: "engine", Why: "Temporal does not answer"}}},
		"GET /v1/whoami":                       api.Whoami{Actor: "user:alice", Roles: []string{"analyst"}, Scopes: []string{"read", "launch"}, OnCall: []string{"oncall.soc"}},
		"GET /v1/connectors":                   api.Connectors{Connectors: []api.Connector{{Instance: "edr", Type: "crowdstrike", Version: "0.1.0", State: "ready", Mode: "act"}, {Instance: "it", Type: "jira", State: "broken", Detail: "401 from the vendor"}}},
		"POST /v1/connectors/{instance}/check": api.Connector{Instance: "it", Type: "jira", State: "broken", Mode: "observe", Detail: "401 from the vendor", Checks: []api.ConnectorCheck{{Name: "version", OK: true, Advice: "jira 1.0.0"}, {Name: "credentials", Advice: "401 from the vendor: make another token"}}},
		"GET /v1/installed":                    offered(),
		"GET /v1/playbooks":                    api.Playbooks{Refused: []api.RefusedPlaybook{{File: "old.yaml", Why: "old.yaml:4:5: error: no connector instance serves iam.find_user [action-not-bound]"}}, Playbooks: []api.Playbook{{Name: "contain-infected-host", Mode: "observe", Title: "Contain", From: []string{"siem"}, Manual: true}}},
		"GET /v1/runs":                         api.Runs{Runs: []api.Run{{ID: runID, Status: api.RunWaiting, Mode: "act", Trigger: run.Trigger{Actor: "source:" + hostile}, Created: time.Now().Add(-time.Hour)}}, Next: "c2"},
		"POST /v1/runs/{p}/{h}/{g}/cancel":     nil,
		"GET /v1/approvals":                    api.Approvals{Approvals: []api.Approval{request("r1")}},
		"GET /v1/alerts":                       api.Alerts{Alerts: []api.Alert{{ID: "a-1", Source: "siem", Severity: "high", Title: hostile, Runs: []api.AlertRun{{Verdict: "started", Run: runID}}}}},
		"GET /v1/alerts/{id}":                  api.AlertDetail{Alert: api.Alert{ID: "a-1", Title: hostile}, Value: json.RawMessage(`{}`), Raw: []byte(hostile)},
		"GET /v1/ledger/entries":               api.Entries{Entries: []api.Entry{{Seq: 1, Kind: "alert.received", Actor: "source:siem"}}},
		"GET /v1/ledger/checkpoint":            api.Checkpoint{Note: "quell.ledger\n1\nx\n\n— quell.ledger y\n", Size: 1},
		"GET /v1/tokens":                       api.Tokens{Tokens: []api.Token{{ID: "t-1", Name: "ci", User: "bob", Scopes: []string{"read"}}}},
		"DELETE /v1/tokens/{id}":               nil,
	}
	fixed["GET /v1/guard"] = api.Guards{
		Switch: d.kill, Own: []string{"quell.soc.example"}, Protected: []string{"dc01"},
		Budgets: []api.GuardBudget{{Name: "isolations", Actions: []string{"edr.isolate_host"}, Targets: 5, Per: "1h", Spent: 3, Then: "refuse"}},
		Freezes: []api.GuardFreeze{{Reason: "weekend", Then: "ask"}},
		Rules:   []api.GuardRule{{Name: "tier-0", When: `"tier-0" in target.tags`, Then: "refuse"}},
	}
	at := time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC)
	fixed["GET /v1/observe"] = api.Observations{
		Since: at, Totals: []api.ObservedSum{{Playbook: "contain-infected-host", Action: "edr.isolate_host", Would: 1, Refused: 1, People: 1}},
		Asked: []api.ObservedAsk{
			{Playbook: "contain-infected-host", Runs: 2, Times: 3, Median: new(40.0), Answers: 5, Waiting: new(120.0)},
			{Playbook: "isolate-host", Runs: 1, Times: 1},
		},
		Observations: []api.Observation{
			{At: at, Run: runID, Action: "edr.isolate_host", Targets: []string{hostile}, Would: "done", People: "did", Seen: at.Add(time.Hour)},
			{At: at, Run: runID, Action: "edr.isolate_host", Targets: []string{"dc01"}, Would: "refused", Why: "protected: dc01 is protected", People: "unread"},
		},
	}
	for route, body := range fixed {
		d.mux.HandleFunc(route, func(w http.ResponseWriter, _ *http.Request) { d.say(w, body) })
	}
	d.mux.HandleFunc("GET /v1/guard/kill", func(w http.ResponseWriter, _ *http.Request) { d.say(w, d.kill) })
	d.mux.HandleFunc("GET /v1/metrics", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, figures) })
	d.mux.HandleFunc("GET /v1/ledger/export", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, export) })
}

// offered is a house with one connector, which serves what the vocabulary says of
// hosts.
func offered() api.Installed {
	edr := api.InstalledConnector{Instance: "edr", Connector: "crowdstrike", Version: "0.1.0"}
	for _, a := range vocabulary.All() {
		if strings.HasPrefix(a.Name, "edr.") {
			edr.Actions = append(edr.Actions, a)
		}
	}
	return api.Installed{Instances: []api.InstalledConnector{edr}, Roles: []string{"analyst"}, OnCall: []string{"soc"}}
}

// ServeHTTP lets nobody in without the token, but alerts and health.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	open := r.URL.Path == "/v1/health" || strings.HasPrefix(r.URL.Path, "/v1/alerts/") && r.Method == http.MethodPost
	if !open && r.Header.Get("Authorization") != "Bearer "+goodToken {
		d.refuse(w, api.CodeUnauthenticated, "the token is not good")
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mux.ServeHTTP(w, r)
}

func (d *desk) say(w http.ResponseWriter, body any) {
	if body == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		d.t.Error(err)
	}
}

func (d *desk) refuse(w http.ResponseWriter, code api.Code, detail string) {
	p := api.Problem(code, detail)
	p.Request = "req-1"
	w.WriteHeader(p.Status)
	d.say(w, p)
}

func (d *desk) read(r *http.Request, into any) {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		d.t.Error(err)
	}
}

// start refuses by the playbook's name; "cut" takes the request and hangs up.
func (d *desk) start(w http.ResponseWriter, r *http.Request) {
	var in api.StartRun
	d.read(r, &in)
	switch in.Playbook {
	case "cut":
		panic(http.ErrAbortHandler)
	case "denied":
		d.refuse(w, api.CodeDenied, "the mode is observe")
		return
	case "missing":
		d.refuse(w, api.CodeNotFound, "there is no playbook missing; quell playbook list")
		return
	case "down":
		w.Header().Set("Retry-After", "5")
		d.refuse(w, api.CodeNotReady, "the store cannot be written")
		return
	}
	if got := string(in.Inputs["hostname"]); got != `"ws-1"` {
		d.t.Errorf("input hostname: %s", got)
	}
	key := r.Header.Get(api.HeaderIdempotency)
	_, again := d.keys[key]
	d.keys[key] = runID
	d.say(w, api.Started{Run: runID, Repeated: again})
}

// closing is how a run of a playbook ends.
func closing(playbook string) string {
	if _, how, ok := strings.Cut(playbook, "ends-"); ok {
		return how
	}
	return "true_positive"
}

func tree(id string) *run.Progress {
	at := time.Date(2026, 1, 31, 17, 0, 0, 0, time.UTC)
	return &run.Progress{Run: id, Status: "running", Phase: "contain", Steps: []run.StepProgress{
		{Path: "triage.host", Kind: "uses", Phase: "triage", Title: hostile, Status: "done", Began: at, Ended: at.Add(1500 * time.Millisecond)},
		{Path: "contain.isolate", Kind: "uses", Phase: "contain", Status: "done", Began: at.Add(2 * time.Second), Ended: at.Add(80 * time.Second), Steps: []run.StepProgress{
			{Path: "contain.isolate.each", Iteration: "0", Kind: "uses", Phase: "contain", Status: "unknown", Detail: "no answer", Began: at.Add(2 * time.Second), Ended: at.Add(4 * time.Second)},
		}},
	}}
}

func voteEntry() api.Entry {
	return api.Entry{
		Seq: 4, At: time.Date(2026, 1, 31, 17, 1, 0, 0, time.UTC), Kind: "vote.cast", Actor: "user:bob", Step: "contain.isolate",
		Payload: json.RawMessage(`{"approve":true,"reason":"seen by me"}`),
	}
}

func (d *desk) run(w http.ResponseWriter, r *http.Request) {
	p := r.PathValue("p")
	id := p + "/" + r.PathValue("h") + "/" + r.PathValue("g")
	out := api.RunDetail{
		Run:  api.Run{ID: id, Status: api.RunEnded, Mode: "act", Closing: closing(p), Trigger: run.Trigger{Actor: "user:alice"}},
		Tree: tree(id), Entries: []api.Entry{voteEntry()}, Approvals: []api.Approval{request("r1")},
		Effects: []api.Effect{{Step: "contain.isolate", Action: "edr.isolate_host", Targets: []string{"ws-1"}, Outcome: "done", Direction: "do"}},
	}
	if closing(p) == "unknown" {
		out.Closing, out.Effects[0].Outcome = "completed", "unknown"
	}
	d.say(w, out)
}

func (d *desk) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	p := r.PathValue("p")
	id := p + "/" + r.PathValue("h") + "/" + r.PathValue("g")
	end := api.Run{ID: id, Closing: closing(p), Ended: time.Date(2026, 1, 31, 17, 1, 30, 0, time.UTC)}
	for _, ev := range []struct {
		name string
		body any
	}{{"progress", tree(id)}, {"entry", voteEntry()}, {"end", end}} {
		raw, err := json.Marshal(ev.body)
		if err != nil {
			d.t.Error(err)
		}
		_, _ = fmt.Fprintf(w, "id: 4\nevent: %s\ndata: %s\n\n", ev.name, raw)
	}
}

// undone starts an undo, which is done at the second question.
func (d *desk) undone(w http.ResponseWriter, r *http.Request) {
	out := api.Undo{ID: "undo/" + r.PathValue("p") + "/" + r.PathValue("h") + "/" + r.PathValue("g") + "/7"}
	if r.Method == http.MethodPost {
		d.polls = 0
	} else if d.polls++; d.polls > 1 {
		outcome := "done"
		if closing(r.PathValue("p")) != "true_positive" {
			outcome = closing(r.PathValue("p"))
		}
		out.Done = true
		out.Result = &run.UndoResult{Items: []run.UndoItem{{Action: "edr.isolate_host", Targets: []string{"ws-1"}, Outcome: outcome}}}
	}
	d.say(w, out)
}

func request(id string) api.Approval {
	return api.Approval{
		ID: id, Kind: api.RequestApproval, Run: runID, Step: "contain.isolate", Question: "Isolate " + hostile + "?", Status: "open", Seal: seal, Silent: "act",
		Effects: []api.SealedEffect{{Step: "contain.isolate", Action: "edr.isolate_host", Instance: "edr", Inputs: json.RawMessage(`{"host":"ws-1"}`)}},
		Levels:  []api.Level{{Who: []string{"oncall.soc"}}},
	}
}

func (d *desk) approval(w http.ResponseWriter, r *http.Request) {
	out := request(r.PathValue("id"))
	out.Votes = d.votes
	d.say(w, out)
}

func (d *desk) vote(w http.ResponseWriter, r *http.Request) {
	var in api.Vote
	d.read(r, &in)
	if in.Seal != seal {
		d.t.Errorf("the vote carries the seal %q", in.Seal)
	}
	switch r.PathValue("id") {
	case "mine":
		d.refuse(w, api.CodeSelfApproval, "user:alice asked for this and cannot decide it")
		return
	case "moved":
		d.refuse(w, api.CodeSealChanged, "what would be done is not what you saw")
		return
	}
	out := request(r.PathValue("id"))
	out.Status = map[api.Decision]string{api.Approve: "approved", api.Deny: "denied"}[in.Decision]
	d.votes = append(d.votes, api.Voted{Actor: "user:alice", Decision: string(in.Decision), Reason: in.Reason})
	out.Votes = d.votes
	d.say(w, out)
}

// review says what was asked for.
func (d *desk) review(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("h") == "nowhere" {
		d.refuse(w, api.CodeNotFound, "there is no such run")
		return
	}
	_, _ = fmt.Fprintf(w, "%s kept=%s\n", r.PathValue("review"), r.URL.Query().Get("kept"))
}

func (d *desk) resolve(w http.ResponseWriter, r *http.Request) {
	var in api.Resolve
	d.read(r, &in)
	d.say(w, api.Approval{ID: r.PathValue("id"), Kind: api.RequestFailure, Status: "answered", Votes: []api.Voted{{Actor: "user:alice", Decision: in.Choice, Reason: in.Reason}}})
}

func (d *desk) answer(w http.ResponseWriter, r *http.Request) {
	var in api.Answer
	d.read(r, &in)
	word := fmt.Sprint(string(in.Fields["scope"]), string(in.Fields["n"]))
	if in.Done != nil {
		word = fmt.Sprint("done ", *in.Done)
	}
	d.say(w, api.Approval{ID: r.PathValue("id"), Kind: api.RequestQuestion, Status: "answered", Votes: []api.Voted{{Actor: "user:alice", Decision: word}}})
}

func (d *desk) alert(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Error(err)
	}
	mac := api.AlertMAC([]byte(sourceKey), r.Header.Get(api.HeaderWebhookID), r.Header.Get(api.HeaderWebhookTimestamp), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac)
	if !hmac.Equal([]byte(r.Header.Get(api.HeaderWebhookSignature)), []byte(want)) {
		d.refuse(w, api.CodeUnauthenticated, "the signature does not hold")
		return
	}
	w.WriteHeader(http.StatusAccepted)
	d.say(w, api.AlertReceived{Alert: "a-1", Runs: []api.AlertRun{{Playbook: "contain-infected-host", Verdict: "started", Run: runID}}})
}

func (d *desk) token(w http.ResponseWriter, r *http.Request) {
	var in api.NewToken
	d.read(r, &in)
	w.WriteHeader(http.StatusCreated)
	d.say(w, api.CreatedToken{Token: api.Token{ID: "t-9", Name: in.Name, User: in.User, Scopes: in.Scopes}, Secret: "quell_new"})
}

func (d *desk) turn(on bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in api.TurnSwitch
		d.read(r, &in)
		d.kill = api.KillSwitch{On: on, Reason: in.Reason}
		d.say(w, d.kill)
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

// keep writes a file of the script's directory.
func keep(t *testing.T, work, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
