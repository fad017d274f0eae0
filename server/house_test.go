package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/answers"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/dispatch"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/report"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

var alertKey = []byte("0123456789abcdef0123456789abcdef")

// fakeEngine stands in for the dispatcher and Temporal.
type fakeEngine struct {
	mu        sync.Mutex
	nudges    int
	delivered []string
	undone    []run.UndoInput
	cancelled []string
	tree      run.Progress
	down      error
}

func (e *fakeEngine) Nudge() { e.mu.Lock(); defer e.mu.Unlock(); e.nudges++ }
func (e *fakeEngine) Progress(_ context.Context, id string) (run.Progress, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tree.Run = id
	return e.tree, e.down
}

func (e *fakeEngine) Undo(_ context.Context, in run.UndoInput) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.undone = append(e.undone, in)
	return run.UndoID(in.Run, len(e.undone)), nil
}

func (e *fakeEngine) UndoResult(_ context.Context, id string) (run.UndoResult, bool, error) {
	if id[len(id)-2:] == "/9" {
		return run.UndoResult{}, false, fmt.Errorf("undo: %w", dispatch.ErrNotFound)
	}
	return run.UndoResult{Items: []run.UndoItem{{Key: "k", Outcome: "done"}}}, true, nil
}

func (e *fakeEngine) Cancel(_ context.Context, id, actor, reason string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cancelled = append(e.cancelled, id+" "+actor+" "+reason)
	return nil
}

func (e *fakeEngine) Deliver(_ context.Context, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.delivered = append(e.delivered, id)
}

func (e *fakeEngine) Ready(context.Context) error { e.mu.Lock(); defer e.mu.Unlock(); return e.down }

type someEffects struct{}

func (someEffects) List(_ context.Context, f effects.Filter) ([]*effects.Effect, error) {
	return []*effects.Effect{{Key: "k", Run: f.Run, Action: "edr.isolate_host", Outcome: "done", Targets: []guard.Target{{ID: "1", Label: "ws-12"}}}}, nil
}

func (someEffects) Observations(_ context.Context, _, playbook string, since time.Time, _ int) ([]effects.Observed, error) {
	would := &effects.Effect{
		Run: "p/x/1", Playbook: "contain", Action: "edr.isolate_host", Outcome: "simulated", ReadBack: "strong", Reversal: "exact", Found: "absent",
		Created: since.Add(time.Hour), Targets: []guard.Target{{ID: "1", Label: "ws-12"}},
	}
	not := *would
	not.Refusal, not.Targets = &guard.Refusal{Rule: "protected", Reason: "dc01 is protected"}, []guard.Target{{ID: "2", Label: "dc01"}}
	// Two effects under one approval, and one under another of the same run.
	asked := func(why string) effects.Observed {
		ef := *would
		ef.Refusal, ef.Action = &guard.Refusal{Rule: guard.Approval, Ask: true, Reason: why}, "iam.disable_user"
		return effects.Observed{Effect: &ef, Looked: since}
	}
	if playbook != "" && playbook != "contain" {
		return nil, nil
	}
	return []effects.Observed{{Effect: would, Looked: since, Present: since.Add(2 * time.Hour)}, {Effect: &not, Looked: since}, asked("first"), asked("first"), asked("second")}, nil
}

type fakeConnectors struct{ why error }

func (f fakeConnectors) List(context.Context) ([]api.Connector, error) {
	return []api.Connector{{Instance: "cs", State: "ready"}}, nil
}

func (f fakeConnectors) Check(_ context.Context, name string) (api.Connector, error) {
	if name != "cs" {
		return api.Connector{}, api.Problem(api.CodeNotFound, "no such instance")
	}
	return api.Connector{Instance: "cs", State: "ready"}, nil
}

func (f fakeConnectors) Installed() api.Installed {
	return api.Installed{
		Instances: []api.InstalledConnector{{Instance: "cs", Connector: "crowdstrike", Version: "1.2.3", Actions: []spec.Action{{Name: "edr.find_host", Class: spec.Read}}}},
		Bindings:  map[string]string{"edr": "cs"}, Roles: []string{"ir-lead"}, OnCall: []string{"soc"},
	}
}

func (f fakeConnectors) Ready(context.Context) error { return f.why }

// books is a shelf of playbooks.
type books []intake.Loaded

func (b books) Active() []intake.Loaded                 { return b }
func (b books) ForSource(source string) []intake.Loaded { return b }
func (b books) Playbook(name string) (intake.Loaded, bool) {
	for _, l := range b {
		if l.Plan.Playbook == name {
			return l, true
		}
	}
	return intake.Loaded{}, false
}

func loaded(t testing.TB, p *plan.Plan) intake.Loaded {
	t.Helper()
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	set, err := expr.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	return intake.Loaded{Plan: p, Digest: plan.DigestOf(raw), Raw: raw, Set: set, Mode: "ask"}
}

func shelf(t testing.TB) books {
	ref := func(i int) *plan.ExprRef { r := plan.ExprRef(i); return &r }
	host := kind.Of(kind.Hostname)
	none := &plan.Value{Literal: []byte("[]"), Type: kind.ListOf(kind.Of(kind.Hash))}
	zero := &plan.Value{Literal: []byte("0"), Type: kind.Of(kind.Int)}
	return books{
		loaded(t, &plan.Plan{
			Format: plan.Format, Playbook: "contain", Title: "T",
			Inputs: []plan.Input{
				{Name: "hostname", Type: host}, {Name: "hashes", Type: none.Type, Max: 2, Default: none}, {Name: "n", Type: zero.Type, Default: zero},
			},
			Triggers: plan.Triggers{
				Manual: &plan.ManualTrigger{Roles: []string{"analyst"}},
				Alerts: []plan.AlertTrigger{{
					From: []string{"siem"}, OncePer: []plan.ExprRef{1},
					Inputs: []plan.NamedValue{{Name: "hostname", Value: plan.Value{Expr: ref(0), Type: host}}},
				}},
			},
			Exprs: []plan.Expr{{Text: "alert.hosts[0].name", Type: host, Line: 1, Column: 1}, {Text: "inputs.hostname", Type: host, Line: 2, Column: 1}},
		}),
		loaded(t, &plan.Plan{Format: plan.Format, Playbook: "never-by-hand"}),
	}
}

// house is a server over a real store, with its fakes.
type house struct {
	t      testing.TB
	srv    *Server
	tcp    string
	socket string
	rooms  Rooms
	engine *fakeEngine
	tokens *auth.Tokens
	log    *safeBuffer
	access func(*house, *Access)
	plays  Rehearsals
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *safeBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// open starts a server on a socket and on TCP.
func open(t testing.TB, change ...func(*Config)) *house {
	t.Helper()
	return openWith(t, nil, change...)
}

// openWith is open with other doors than tokens.
func openWith(t testing.TB, doors func(*house, *Access), change ...func(*Config)) *house {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), runs.Schema(), auth.Schema(), answers.Schema(), ledger.Schema(), approval.Schema(), guard.Schema(), effects.Schema()); err != nil {
		t.Fatal(err)
	}
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(db, key, time.Now)
	h := &house{t: t, access: doors, engine: &fakeEngine{}, log: &safeBuffer{}, socket: filepath.Join(t.TempDir(), "run", "quell.sock")}
	h.rooms = Rooms{DB: db, Runs: runs.New(db, time.Now), Effects: someEffects{}, Approvals: approval.New(db, l, time.Now), Ledger: l, Guard: guards(t)}
	h.tokens = auth.NewTokens(db, l, "t", time.Now)
	shelf := shelf(t)
	in, err := intake.New(intake.Config{Tenant: "t", Sources: []intake.Source{
		{Name: "siem", Format: intake.Generic, Keys: [][]byte{alertKey}},
		{Name: "edr", Format: intake.CrowdStrike, Keys: [][]byte{[]byte("another-key-another-key-another!")}},
	}}, intake.Deps{DB: db, Runs: h.rooms.Runs, Ledger: l, Book: shelf, Nudge: h.engine.Nudge}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Tenant: "t", Socket: h.socket, Listen: "127.0.0.1:0", Origins: []string{"https://console.example"}, Hosts: []string{"quell.example"}, BodyTime: 2 * time.Second}
	for _, f := range change {
		f(&cfg)
	}
	access := Access{Tokens: h.tokens, Duties: auth.Duties{"soc": {"alice"}}}
	if h.access != nil {
		h.access(h, &access)
	}
	h.srv, err = New(cfg, access, h.rooms, Work{
		Engine: h.engine, Books: shelf, Registry: registryOf(t, db, l, "t", shelf), Connectors: fakeConnectors{}, Intake: in, Rehearsals: h.plays,
		Reviews: &report.Builder{Runs: h.rooms.Runs, Effects: effects.New(db, l, nil, time.Now), Approvals: h.rooms.Approvals, Ledger: l, Now: time.Now},
	}, zerolog.New(h.log))
	if err != nil {
		t.Fatal(err)
	}
	h.serve()
	return h
}

func (h *house) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	up, end := make(chan string, 1), make(chan error, 1)
	go func() { end <- h.srv.Serve(ctx, func(tcp string) { up <- tcp }) }()
	select {
	case h.tcp = <-up:
	case err := <-end:
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		cancel()
		if err := <-end; err != nil {
			h.t.Error(err)
		}
	})
}

// token makes a token of a user with scopes.
func (h *house) token(user string, roles []string, scopes ...auth.Scope) string {
	h.t.Helper()
	_, secret, err := h.tokens.Create(h.t.Context(), auth.Actor{Name: "test", Scopes: []auth.Scope{auth.Admin}},
		auth.Wish{Name: fmt.Sprintf("%s-%d", user, time.Now().UnixNano()), User: user, Roles: roles, Scopes: scopes})
	if err != nil {
		h.t.Fatal(err)
	}
	return secret
}

// client speaks with a token over TCP, or over the socket without one.
func (h *house) client(token string) *api.Client {
	h.t.Helper()
	o := api.Options{Socket: h.socket}
	if token != "" {
		o = api.Options{Server: "http://" + h.tcp, Token: token}
	}
	c, err := api.Dial(o)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// stays is a client that follows no redirect.
var stays = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// raw makes one request over TCP.
func (h *house) raw(method, path, token string, body io.Reader, head map[string]string) (int, http.Header, api.Error) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.tcp+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for k, v := range head {
		if k == "Host" {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	res, err := stays.Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	var p api.Error
	if res.StatusCode >= 400 {
		if ct := res.Header.Get("Content-Type"); ct != api.ProblemType {
			h.t.Errorf("%s %s: %d with content type %q", method, path, res.StatusCode, ct)
		}
		if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
			h.t.Errorf("%s %s: %v", method, path, err)
		}
	}
	return res.StatusCode, res.Header, p
}

// kinds counts ledger entries of a kind.
func (h *house) kinds(kind string) int {
	h.t.Helper()
	list, err := h.rooms.Ledger.Read(h.t.Context(), ledger.Filter{Kind: kind})
	if err != nil {
		h.t.Fatal(err)
	}
	return len(list)
}

func wantCode(t *testing.T, what string, err error, code api.Code) {
	t.Helper()
	var p *api.Error
	if !errors.As(err, &p) || p.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// ask puts a request before people.
func (h *house) ask(r approval.Request) {
	h.t.Helper()
	r.Tenant, r.Opened = "t", time.Now()
	if r.Levels == nil {
		r.Levels = []approval.Level{{Who: []string{"ir-lead"}}}
	}
	if err := h.rooms.Approvals.Open(h.t.Context(), r); err != nil {
		h.t.Fatal(err)
	}
}

// votes returns the stored votes of a request.
func (h *house) votes(id string) []approval.Vote {
	h.t.Helper()
	r, err := h.rooms.Approvals.Get(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return r.Votes
}

// guards are one of each.
func guards(t testing.TB) *guard.Guard {
	t.Helper()
	g, err := guard.New(guard.Rules{
		Protected: []string{"dc01"}, Own: []string{"quell"}, Domains: []string{"partner.example"},
		Conditions: []guard.Condition{{Name: "tier-0", When: `target.kind == "device"`, Then: guard.AskFirst}},
		Budgets:    []guard.Budget{{Name: "isolations", Actions: []string{"edr"}, Targets: 5, Per: time.Hour, Criticality: []string{"high"}}},
		Freezes:    []guard.Freeze{{From: time.Unix(0, 0), To: time.Now().Add(time.Hour), Reason: "audit"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}
