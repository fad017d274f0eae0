package backtest

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/readings"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows"
	"github.com/quell-soar/quell/workflows/run"
)

// products are the connectors behind the activities: what they answer about host n
// follows from n, so that what a change of the playbook changes is known.
type products struct {
	calls   atomic.Int64
	mu      sync.Mutex
	done    map[string]bool
	tickets int
}

func (p *products) Action(_, name string) (spec.Action, bool) { return vocabulary.Lookup(name) }

func (p *products) Binary(string) (sha, version string) { return "sha", "1.0.0" }

func (p *products) Attend(context.Context, string) (func(), time.Duration) { return func() {}, 0 }

func (p *products) Enter(context.Context, string) (func(bool), error) { return func(bool) {}, nil }

func (p *products) TryCall(ctx context.Context, i string, r spec.Request, pm host.Permit) (spec.Reply, error) {
	return p.Call(ctx, i, r, pm)
}

func (p *products) Call(_ context.Context, _ string, r spec.Request, _ host.Permit) (spec.Reply, error) {
	p.calls.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	a, _ := vocabulary.Lookup(r.Action)
	raw, err := kind.Canonical(r.Inputs)
	if err != nil {
		return spec.Reply{}, err
	}
	key := r.Action + string(raw)
	if r.Mode == spec.Back {
		if p.done[key] {
			return spec.Reply{Outcome: spec.Present}, nil
		}
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	if a.Effect() {
		if r.Action == "ticket.create_ticket" {
			p.tickets++
			return spec.Reply{Outcome: spec.Done, Output: map[string]any{
				"ticket": kind.Handle{Name: "ticket", Instance: "one", ID: fmt.Sprint(p.tickets), Label: fmt.Sprintf("SEC-%d", p.tickets)}, "status": "open",
			}}, nil
		}
		p.done[key] = true
		switch r.Action {
		case "edr.quarantine_file":
			return spec.Reply{Outcome: spec.Done, Output: map[string]any{"file": kind.Handle{Name: "quarantined_file", Instance: "one", ID: key, Label: "/x"}}}, nil
		case "edr.scan_host":
			return spec.Reply{Outcome: spec.Done, Output: map[string]any{"scan": kind.Handle{Name: "scan", Instance: "one", ID: key, Label: "scan"}, "findings": int64(0)}}, nil
		}
		return spec.Reply{Outcome: spec.Done, Output: map[string]any{"state": vocabulary.HostIsolated}}, nil
	}
	name, _ := r.Inputs["hostname"].(string)
	switch r.Action {
	case "edr.find_host":
		return spec.Reply{Output: map[string]any{"device": kind.Handle{Name: "device", Instance: "one", ID: "id-" + name, Label: name}, "hostname": name, "state": "normal", "os": "Linux"}}, nil
	case "asset.find_host":
		return spec.Reply{Output: map[string]any{"criticality": criticality(numberOf(name)), "owner": "desk", "vip": false}}, nil
	case "intel.lookup_hash":
		hash, _ := r.Inputs["value"].(string)
		n := 0
		_, _ = fmt.Sscanf(strings.TrimLeft(strings.TrimPrefix(hash, "a"), "0"), "%d", &n)
		return spec.Reply{Output: map[string]any{"verdict": verdict(n), "score": int64(50), "source": "lab"}}, nil
	}
	return spec.Reply{}, spec.Errorf(spec.NotFound, "nothing is known of it")
}

// What is known of alert n.
func criticality(n int) string { return []string{"low", "medium", "high", "critical"}[n%4] }

func verdict(n int) string { return []string{"malicious", "clean", "suspicious"}[n%3] }

func denied(n int) bool { return n%5 == 0 }

func twoHosts(n int) bool { return n%7 == 0 }

func grave(n int) bool { return n%6 != 5 }

func clean(n int) bool { return verdict(n) == "clean" }

// asked reports whether the playbook asks for an approval.
func asked(n int) bool {
	return !clean(n) && (criticality(n) == "high" || criticality(n) == "critical")
}

// goesOn reports whether the run comes past the approval.
func goesOn(n int) bool { return !clean(n) && !(asked(n) && denied(n)) }

func numberOf(host string) int {
	n := 0
	_, _ = fmt.Sscanf(host, "ws-%d", &n)
	return n
}

// playbook is the version that the runs are recorded with.
const playbook = `quell: 1
playbook: contain
title: Contain
inputs:
  hostname: { type: hostname }
  hash: { type: hash }
  second: { type: hostname }
on:
  alert:
    - from: [siem]
      when: alert.severity >= severity.medium
      inputs:
        hostname: ${{ alert.hosts[0].name }}
        hash: ${{ alert.files[0].sha256 }}
        second: ${{ alert.hosts[1].name }}
      once_per: inputs.hostname
limits: { edr.isolate_host: 1, edr.quarantine_file: 2 }
triage:
  - id: host
    uses: edr.find_host
    with: { hostname: "${{ inputs.hostname }}" }
  - id: other
    uses: edr.find_host
    with: { hostname: "${{ inputs.second }}" }
  - id: asset
    uses: asset.find_host
    with: { hostname: "${{ inputs.hostname }}" }
  - id: known
    uses: intel.lookup_hash
    with: { value: "${{ inputs.hash }}" }
  - id: harmless
    if: steps.known.verdict == "clean"
    stop: benign
contain:
  - id: isolate
    if: steps.asset.criticality >= criticality.medium
    uses: edr.isolate_host
    with: { host: "${{ steps.host.device }}" }
    approve:
      when: steps.asset.criticality >= criticality.high
      ask: Isolate ${{ inputs.hostname }}?
      from: [{ who: [ir-lead], within: 1h }]
      denied: stop
      silent: stop
    hold: { for: 24h, then: ask }
  - id: quarantine
    uses: edr.quarantine_file
    with: { host: "${{ steps.host.device }}", path: /x }
    hold: { for: 24h, then: ask }
  - uses: edr.scan_host
    with: { host: "${{ steps.other.device }}" }
review:
  - id: case
    uses: ticket.create_ticket
    with: { key: "${{ run.incident }}", title: "Malware on ${{ inputs.hostname }}" }
  - uses: ticket.add_comment
    with: { ticket: "${{ steps.case.ticket }}", body: "It ended ${{ run.closing }}." }
`

// house is an installation without a Temporal server: the real store, intake,
// activities and interpreter, against products.
type house struct {
	t testing.TB
	*Record
	db       *store.DB
	set      activities.Set
	products *products
	now      time.Time
	wf       *workflows.Workflows
	// numbers are those of alerts by id.
	numbers map[string]int
}

var start0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func (h *house) clock() time.Time { return h.now }

var sourceKey = []byte("0123456789abcdef0123456789abcdef")

func openHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, now: start0, numbers: map[string]int{}, products: &products{done: map[string]bool{}}, wf: workflows.New()}
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), ledger.Schema(), guard.Schema(), effects.Schema(), approval.Schema(), runs.Schema(), readings.Schema()); err != nil {
		t.Fatal(err)
	}
	h.db = db
	key, err := ledger.LoadKey(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(guard.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(db, key, h.clock)
	fx := effects.New(db, l, g, h.clock)
	fx.Approved = approval.Approved
	h.Record = &Record{Tenant: "default", Runs: runs.New(db, h.clock), Effects: fx, Approvals: approval.New(db, l, h.clock), Readings: readings.New(db, h.clock, 90*24*time.Hour)}
	if h.Intake, err = intake.New(intake.Config{Tenant: "default", Sources: []intake.Source{{Name: "siem", Format: intake.Generic, Keys: [][]byte{sourceKey}, Rate: 1e6, Burst: 1e6}}},
		intake.Deps{DB: db, Runs: h.Runs, Ledger: l, Book: shelf{h.load(playbook)}, Nudge: func() {}}, h.clock); err != nil {
		t.Fatal(err)
	}
	h.set = activities.Set{
		Reader:   &activities.Reader{Host: h.products, Keep: h.Readings.Keep},
		Actor:    &activities.Actor{Host: h.products, Effects: fx, Charter: activities.Everything, Now: h.clock},
		Recorder: &activities.Recorder{DB: db, Ledger: l, Effects: fx, Approvals: h.Approvals, Runs: h.Runs, Host: h.products},
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); h.Readings.Run(ctx, func(err error) { t.Error(err) }) }()
	t.Cleanup(func() { stop(); <-ended })
	return h
}

type shelf []intake.Loaded

func (s shelf) ForSource(string) []intake.Loaded { return s }

type generic struct{}

func (generic) Action(name string) (spec.Action, bool) { return vocabulary.Lookup(name) }
func (generic) Names() []string                        { return nil }

// load compiles a version as a server would.
func (h *house) load(text string) intake.Loaded {
	h.t.Helper()
	p, list := compile.Compile(source.NewFile("contain.yaml", []byte(text)), compile.Options{Actions: generic{}})
	if p == nil {
		h.t.Fatalf("%v", list)
	}
	raw, err := p.Encode()
	if err != nil {
		h.t.Fatal(err)
	}
	set, err := expr.Load(p)
	if err != nil {
		h.t.Fatal(err)
	}
	b := intake.Loaded{Plan: p, Raw: raw, Digest: plan.DigestOf(raw), Set: set, Mode: "act"}
	for _, a := range p.Actions {
		b.Bindings = append(b.Bindings, run.Binding{Action: a.Name, Instance: "one", Mode: "act"})
	}
	return b
}

// alert sends alert n, signed, and plays what it starts to its end.
func (h *house) alert(n int) {
	h.t.Helper()
	h.now = h.now.Add(time.Minute)
	first, severity := fmt.Sprintf("ws-%d", n), "high"
	second := first
	if twoHosts(n) {
		second = fmt.Sprintf("ws-%d", n+1000)
	}
	if !grave(n) {
		severity = "medium"
	}
	body, err := json.Marshal(map[string]any{
		"id": fmt.Sprintf("a-%d", n), "kind": "malware", "title": "T", "severity": severity, "occurred": h.now.Format(time.RFC3339),
		"hosts": []any{map[string]any{"name": first}, map[string]any{"name": second}},
		"files": []any{map[string]any{"path": "/x", "sha256": fmt.Sprintf("a%063d", n)}},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	id := fmt.Sprintf("d-%d", n)
	got, err := h.Intake.Receive(h.t.Context(), "siem", intake.Delivery{ID: id, Timestamp: fmt.Sprint(h.now.Unix()), Signature: api.SignAlert(sourceKey, id, h.now, body), Body: body})
	if err != nil || len(got.Verdicts) != 1 || got.Verdicts[0].Verdict != intake.Started {
		h.t.Fatalf("alert %d: %+v, %v", n, got, err)
	}
	h.numbers[got.Alert] = n
	h.play(n, got.Verdicts[0].Run)
}

// play runs a claimed run with the real activities; the lead answers at once.
func (h *house) play(n int, id string) {
	h.t.Helper()
	in, err := h.Runs.InputFor(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.Runs.MarkStarted(h.t.Context(), id); err != nil {
		h.t.Fatal(err)
	}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(h.now)
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	h.wf.Register(env)
	h.set.Register(&voting{env, h, n})
	env.OnWorkflow(run.HoldWorkflow, mock.Anything, mock.Anything).Return(func(workflow.Context, run.HoldInput) (string, error) { return "", nil }).Maybe()
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil).Maybe()
	env.ExecuteWorkflow(run.PlaybookWorkflow, in)
	if err := env.GetWorkflowError(); err != nil || !env.IsWorkflowCompleted() {
		h.t.Fatalf("run %d: %v", n, err)
	}
	h.now = h.now.Add(time.Second)
}

// voting registers the real activities; a request is answered when it was opened.
type voting struct {
	*testsuite.TestWorkflowEnvironment
	h *house
	n int
}

func (v *voting) RegisterActivityWithOptions(a any, o activity.RegisterOptions) {
	if o.Name == task.OpenActivity {
		a = func(ctx context.Context, q task.OpenRequest) error {
			if err := v.h.set.Recorder.Open(ctx, q); err != nil {
				return err
			}
			_, err := v.h.Approvals.Vote(ctx, approval.Ballot{
				Tenant: "default", Request: q.ID, Actor: "user:lena", Names: []string{"ir-lead"}, Approve: !denied(v.n), Seal: q.Seal,
			})
			return err
		}
	}
	v.TestWorkflowEnvironment.RegisterActivityWithOptions(a, o)
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// against plays what was recorded through a version; old and new are pairs of
// texts that are replaced.
func (h *house) against(replace ...string) *api.Backtest {
	h.t.Helper()
	text := playbook
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			h.t.Fatalf("the playbook has no %q", replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	if err := h.Readings.Flush(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	before := h.products.calls.Load()
	got, err := h.Run(h.t.Context(), h.load(text), start0)
	if err != nil {
		h.t.Fatal(err)
	}
	if n := h.products.calls.Load() - before; n != 0 {
		h.t.Errorf("the backtest called connectors %d times", n)
	}
	return got
}

// changed are the numbers of the alerts that a backtest names, with one verdict.
func (h *house) changed(b *api.Backtest, verdict string) []int {
	var out []int
	for _, c := range b.Cases {
		if c.Verdict == verdict {
			out = append(out, h.numbers[c.Alert])
		}
	}
	slices.Sort(out)
	return out
}
