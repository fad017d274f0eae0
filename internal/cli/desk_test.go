package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

const (
	goodToken = "qk_good"
	sealNow   = "sha256:aa11"
	oneRunID  = "contain/3fa9c1/1"
	reqID     = oneRunID + "#isolate"
	alertKey  = "alert-secret"
	// evil is what an attacker may write into an alert: it clears the screen,
	// sets a title by a C1 control, and turns the writing direction.
	evil = "ws-\x1b[2J\u009b31m\u202egnp\nBAD"
)

// desk is a server of canned answers that remembers what it was asked.
type desk struct {
	mu       sync.Mutex
	requests []string
	votes    []api.Voted
	kill     api.KillSwitch
	undos    int
	export   []byte
}

func newDesk() *desk { return &desk{} }

// seen counts requests by method and path.
func (d *desk) seen(route string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, r := range d.requests {
		if r == route {
			n++
		}
	}
	return n
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code api.Code, detail string) {
	p := api.Problem(code, detail)
	p.Request = "req-1"
	if code == api.CodeRateLimited {
		w.Header().Set("Retry-After", "7")
	}
	w.Header().Set("Content-Type", api.ProblemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

func (d *desk) mux() http.Handler {
	m := http.NewServeMux()
	const one = "/v1/runs/{p}/{h}/{g}"
	for route, h := range map[string]http.HandlerFunc{
		"GET /v1/whoami": func(w http.ResponseWriter, _ *http.Request) {
			reply(w, api.Whoami{Actor: "user:ana", Scopes: []string{"read", "approve"}})
		},
		"GET /v1/ready":               ready,
		"GET /v1/playbooks":           playbooks,
		"POST /v1/runs":               startRun,
		"GET /v1/runs":                listRuns,
		"GET " + one:                  showRun,
		"GET " + one + "/events":      events,
		"POST " + one + "/cancel":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"POST " + one + "/undo":       d.undo,
		"GET " + one + "/undo/{n}":    d.undoResult,
		"GET /v1/approvals":           d.listApprovals,
		"GET /v1/approvals/{id}":      d.showApproval,
		"POST /v1/approvals/{id}/{v}": d.decide,
		"POST /v1/alerts/{source}":    receive,
		"GET /v1/alerts":              listAlerts,
		"GET /v1/alerts/{id}": func(w http.ResponseWriter, r *http.Request) {
			reply(w, api.AlertDetail{Alert: api.Alert{ID: r.PathValue("id"), Source: "falcon", Title: evil}, Value: json.RawMessage(`{"severity":"high"}`)})
		},
		"GET /v1/ledger/entries": func(w http.ResponseWriter, _ *http.Request) {
			reply(w, api.Entries{Entries: []api.Entry{voteEntry()}, Next: 4})
		},
		"GET /v1/connectors": connectors,
		"POST /v1/connectors/{i}/check": func(w http.ResponseWriter, r *http.Request) {
			state := map[string]string{"falcon": "ready", "jira": "broken"}[r.PathValue("i")]
			if state == "" {
				refuse(w, api.CodeNotFound, "there is no such instance")
				return
			}
			reply(w, api.Connector{Instance: r.PathValue("i"), Type: "t", State: state})
		},
		"GET /v1/guard/kill":    func(w http.ResponseWriter, _ *http.Request) { reply(w, d.kill) },
		"POST /v1/guard/{turn}": d.turn,
		"GET /v1/ledger/export": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(d.export) },
		"GET /v1/ledger/checkpoint": func(w http.ResponseWriter, _ *http.Request) {
			reply(w, api.Checkpoint{Note: "quell\n10\nroot\n\n— quell sig\n", Size: 10})
		},
		"POST /v1/tokens": createToken,
		"GET /v1/tokens": func(w http.ResponseWriter, _ *http.Request) {
			reply(w, api.Tokens{Tokens: []api.Token{{ID: "t1", Name: "ci", User: "robot", Scopes: []string{"read"}, Expires: now.Add(time.Hour)}}})
		},
		"DELETE /v1/tokens/{id}": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		m.HandleFunc(route, h)
	}
	return d.guarded(m)
}

// guarded lets only the good token in, and signed alerts.
func (d *desk) guarded(m http.Handler) http.Handler {
	health := func(w http.ResponseWriter, _ *http.Request) { reply(w, api.Health{Status: "ok", Version: "v1"}) }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.requests = append(d.requests, r.Method+" "+r.URL.Path)
		d.mu.Unlock()
		w.Header().Set("Date", now.Add(3*time.Second).Format(http.TimeFormat))
		switch {
		case r.URL.Path == "/v1/health":
			health(w, r)
		case r.Header.Get("Authorization") != "Bearer "+goodToken && r.Header.Get(api.HeaderWebhookID) == "":
			refuse(w, api.CodeUnauthenticated, "the token is not known")
		default:
			m.ServeHTTP(w, r)
		}
	})
}

func ready(w http.ResponseWriter, _ *http.Request) {
	reply(w, api.Ready{Parts: []api.PartReady{{Name: "store", OK: true}, {Name: "engine", Why: "Temporal does not answer"}}})
}

func playbooks(w http.ResponseWriter, _ *http.Request) {
	reply(w, api.Playbooks{Playbooks: []api.Playbook{{
		Name: "contain", Title: "Contain a host", Mode: "ask", Manual: true, From: []string{"crowdstrike"}, Digest: "sha256:0123",
		Inputs: []api.PlaybookInput{{Name: "hostname", Type: kind.Of(kind.String), Required: true}, {Name: "files"}},
	}}})
}

// startRun answers by the playbook's name; lost takes the request and dies.
func startRun(w http.ResponseWriter, r *http.Request) {
	var in api.StartRun
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, api.CodeInvalid, err.Error())
		return
	}
	switch in.Playbook {
	case "lost":
		panic(http.ErrAbortHandler)
	case "busy":
		refuse(w, api.CodeRateLimited, "too many requests")
	case "forbidden":
		refuse(w, api.CodeDenied, "the kill switch is on")
	case "broken":
		refuse(w, api.CodeInternal, "a fault of Quell")
	case "echo":
		raw, _ := json.Marshal(in.Inputs)
		reply(w, api.Started{Run: string(raw)})
	case "contain", "doomed", "denied":
		reply(w, api.Started{Run: in.Playbook + "/3fa9c1/1", Repeated: r.Header.Get(api.HeaderIdempotency) == "again"})
	default:
		refuse(w, api.CodeNotFound, "there is no playbook "+in.Playbook)
	}
}

func runOf(p string) api.Run {
	r := api.Run{
		ID: p + "/3fa9c1/1", Playbook: p, Status: api.RunEnded, Mode: "ask", Incident: "INC-1", Closing: "completed", Severity: "high",
		Trigger: run.Trigger{Kind: "manual", Actor: "user:ana"}, Created: now.Add(-time.Hour), Started: now.Add(-time.Hour), Ended: now.Add(-30 * time.Minute),
	}
	switch p {
	case "doomed":
		r.Closing, r.Reason = "failed", "step isolate: "+evil
	case "denied":
		r.Closing = "denied"
	}
	return r
}

func tree(status string) *run.Progress {
	began := now.Add(-time.Hour)
	s := run.StepProgress{Path: "isolate", Title: "Isolate " + evil, Kind: "call", Phase: "contain", Status: status, Began: began}
	if status == "done" {
		s.Ended = began.Add(72 * time.Second)
	}
	return &run.Progress{Run: oneRunID, Status: "running", Phase: "contain", Steps: []run.StepProgress{s}}
}

func listRuns(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("status") == "odd" {
		refuse(w, api.CodeInvalid, "the status odd is none of waiting, running and ended")
		return
	}
	reply(w, api.Runs{Runs: []api.Run{runOf("contain"), runOf("doomed")}, Next: "c2"})
}

func showRun(w http.ResponseWriter, r *http.Request) {
	p := r.PathValue("p")
	if p == "nothing" {
		refuse(w, api.CodeNotFound, "there is no such run")
		return
	}
	d := api.RunDetail{Run: runOf(p), Tree: tree("done"), Inputs: json.RawMessage(`{"hostname":"ws-1"}`)}
	d.Entries = []api.Entry{voteEntry()}
	outcome := "done"
	if p == "foggy" {
		outcome = "unknown"
	}
	d.Effects = []api.Effect{{Key: "k", Step: "isolate", Action: "edr.isolate_host", Instance: "falcon", Targets: []string{evil}, Outcome: outcome}}
	reply(w, d)
}

func voteEntry() api.Entry {
	return api.Entry{Seq: 4, At: now, Kind: "vote.cast", Actor: "user:ben", Step: "isolate", Payload: json.RawMessage(`{"approve":true,"reason":"sure"}`)}
}

func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(t api.EventType, v any) {
		raw, _ := json.Marshal(v)
		_, _ = fmt.Fprintf(w, "id: 4\nevent: %s\ndata: %s\n\n", t, raw)
	}
	send(api.EventProgress, tree("waiting for approval"))
	if r.PathValue("p") == "endless" {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	send(api.EventEntry, voteEntry())
	send(api.EventProgress, tree("done"))
	send(api.EventEnd, runOf(r.PathValue("p")))
}

// undo is over when it is asked for the third time.
func (d *desk) undo(w http.ResponseWriter, r *http.Request) {
	reply(w, api.Undo{ID: "undo/" + r.PathValue("p") + "/3fa9c1/1/1"})
}

func (d *desk) undoResult(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.undos++
	n := d.undos
	d.mu.Unlock()
	u := api.Undo{ID: "undo/" + r.PathValue("p") + "/3fa9c1/1/1", Done: n%3 == 0}
	if u.Done {
		outcome := map[string]string{"doomed": "failed", "foggy": "unknown"}[r.PathValue("p")]
		if outcome == "" {
			outcome = "done"
		}
		u.Result = &run.UndoResult{Items: []run.UndoItem{{Action: "edr.release_host", Targets: []string{evil}, Outcome: outcome}}}
	}
	reply(w, u)
}

func (d *desk) request(id string) (api.Approval, bool) {
	a := api.Approval{
		ID: id, Kind: api.RequestApproval, Run: oneRunID, Step: "isolate", Question: "Isolate " + evil + "?", Status: "open",
		Opened: now.Add(-time.Minute), Expires: now.Add(9 * time.Minute), Quorum: 2, Silent: "stop", Votes: d.votes,
	}
	switch _, step, _ := strings.Cut(id, "#"); step {
	case "isolate", "moving":
		a.Seal = sealNow
		raw, _ := json.Marshal(map[string]string{"host": evil, "why": "malware"})
		a.Effects = []api.SealedEffect{{Step: "isolate", Action: "edr.isolate_host", Instance: "falcon", Inputs: raw}}
		a.Levels = []api.Level{{Who: []string{"oncall.soc"}, Until: now.Add(9 * time.Minute)}}
	case "ask":
		a.Kind, a.Fields = api.RequestQuestion, []api.Field{{Name: "verdict", Type: kind.ChoiceOf("good", "bad")}}
	case "task":
		a.Kind = api.RequestQuestion
	case "failed":
		a.Kind, a.Choices = api.RequestFailure, []string{"retry", "skip", "stop"}
	case "mine":
	default:
		return a, false
	}
	return a, true
}

func (d *desk) listApprovals(w http.ResponseWriter, _ *http.Request) {
	a, _ := d.request(reqID)
	reply(w, api.Approvals{Approvals: []api.Approval{a}})
}

func (d *desk) showApproval(w http.ResponseWriter, r *http.Request) {
	a, ok := d.request(r.PathValue("id"))
	if !ok {
		refuse(w, api.CodeNotFound, "there is no such request")
		return
	}
	reply(w, a)
}

// decide writes down what came, so that a script sees it in the next show.
func (d *desk) decide(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if strings.HasSuffix(id, "#mine") {
		refuse(w, api.CodeSelfApproval, "user:ana asked for this and cannot decide it")
		return
	}
	raw, _ := io.ReadAll(r.Body)
	var vote api.Vote
	_ = json.Unmarshal(raw, &vote)
	if vote.Decision == api.Approve && (vote.Seal != sealNow || strings.HasSuffix(id, "#moving")) {
		refuse(w, api.CodeSealChanged, "what would be done is not what you saw; look at the request again")
		return
	}
	d.mu.Lock()
	d.votes = append(d.votes, api.Voted{Actor: "user:ana", Decision: string(vote.Decision), Reason: vote.Reason, Answer: raw, At: now})
	d.mu.Unlock()
	a, _ := d.request(id)
	if vote.Decision == api.Deny {
		a.Status = "denied"
	}
	reply(w, a)
}

// receive checks the signature: a client that signs wrong must not pass here.
func receive(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	at, err := time.ParseDuration(r.Header.Get(api.HeaderWebhookTimestamp) + "s")
	id := r.Header.Get(api.HeaderWebhookID)
	want := api.SignAlert([]byte(alertKey), id, time.Unix(0, 0).Add(at), body)
	if err != nil || want != r.Header.Get(api.HeaderWebhookSignature) {
		refuse(w, api.CodeUnauthenticated, "the signature does not hold")
		return
	}
	got := api.AlertReceived{Alert: "a-" + id, Runs: []api.AlertRun{{Playbook: "contain", Run: oneRunID, Verdict: "started"}}}
	switch {
	case strings.Contains(string(body), "refuse"):
		got.Runs[0].Verdict = "refused"
	case strings.Contains(string(body), "fail"):
		got.Runs[0].Verdict = "failed"
	case strings.Contains(string(body), "twice"):
		got.Duplicate = true
	}
	reply(w, got)
}

func listAlerts(w http.ResponseWriter, _ *http.Request) {
	reply(w, api.Alerts{Alerts: []api.Alert{{ID: "a1", Source: "falcon", Severity: "high", Title: evil, Received: now.Add(-time.Hour)}}})
}

func connectors(w http.ResponseWriter, _ *http.Request) {
	reply(w, api.Connectors{Connectors: []api.Connector{
		{Instance: "falcon", Type: "crowdstrike", State: "ready", Actions: []string{"edr.isolate_host"}},
		{Instance: "jira", Type: "jira", State: "broken", Detail: "401 from " + evil},
	}})
}

func (d *desk) turn(w http.ResponseWriter, r *http.Request) {
	var in api.TurnSwitch
	_ = json.NewDecoder(r.Body).Decode(&in)
	d.kill = api.KillSwitch{On: r.PathValue("turn") == "kill", Reason: in.Reason}
	reply(w, d.kill)
}

func createToken(w http.ResponseWriter, r *http.Request) {
	var in api.NewToken
	_ = json.NewDecoder(r.Body).Decode(&in)
	if in.User == "root" {
		refuse(w, api.CodeForbidden, "a token needs the scope admin")
		return
	}
	out := api.CreatedToken{Secret: "qk_secret"}
	out.ID, out.Name, out.User, out.Roles, out.Scopes, out.Expires = "t1", in.Name, in.User, in.Roles, in.Scopes, now.Add(90*24*time.Hour)
	reply(w, out)
}
