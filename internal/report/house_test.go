package report_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/report"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

const tenant = "default"

// clock is the time of a test; every look moves it by a millisecond.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Millisecond)
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// house is a store with all rooms that a review reads, and one run in it.
type house struct {
	*testing.T
	db    *store.DB
	clock *clock
	report.Builder
	run string
	fx  int
}

var epoch = time.Date(2026, 3, 1, 3, 12, 0, 0, time.UTC)

func newHouse(t *testing.T) *house {
	t.Helper()
	db := storetest.Open(t, store.Options{Dir: t.TempDir()}, ledger.Schema(), guard.Schema(), effects.Schema(), approval.Schema(), runs.Schema())
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(guard.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{T: t, db: db, clock: &clock{at: epoch}}
	led := ledger.New(db, key, h.clock.now)
	h.Builder = report.Builder{
		Runs: runs.New(db, h.clock.now), Effects: effects.New(db, led, g, h.clock.now),
		Approvals: approval.New(db, led, h.clock.now), Ledger: led, Now: h.clock.now,
	}
	return h
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func isolate() spec.Action {
	return spec.Action{Name: "edr.isolate_host", Title: "Isolate a host", Class: spec.Idempotent, ReadBack: spec.Strong, Deadline: 6 * time.Second, Reversal: spec.Exact, Inverse: "edr.release_host"}
}

func ticket() spec.Action {
	return spec.Action{Name: "ticket.create_ticket", Title: "Open a ticket", Class: spec.Keyed, ReadBack: spec.Lagging, Deadline: 6 * time.Second, Reversal: spec.Irreversible}
}

func release() spec.Action {
	return spec.Action{Name: "edr.release_host", Title: "Release a host", Class: spec.Idempotent, ReadBack: spec.Strong, Deadline: 6 * time.Second, Reversal: spec.Unneeded}
}

func scan() spec.Action {
	return spec.Action{Name: "edr.scan_host", Title: "Scan a host", Class: spec.Once, ReadBack: spec.NoReadBack, Deadline: 6 * time.Second, Reversal: spec.Unneeded}
}

// begin stores an alert and the run that it starts. text stands wherever text
// from outside may.
func (h *house) begin(title, mode string) {
	h.Helper()
	p := &plan.Plan{
		Format: plan.Format, Language: 1, Playbook: "contain-infected-host", Title: title, Owner: "soc-platform",
		Phases: []plan.Phase{
			{Name: plan.Triage, Steps: []plan.Step{{Kind: plan.Uses, Path: "triage.asset", ID: "asset", Phase: plan.Triage, Action: &plan.ActionCall{Name: "asset.find_host"}}}},
			{Name: plan.Contain, Steps: []plan.Step{{Kind: plan.Uses, Path: "contain.isolate", ID: "isolate", Phase: plan.Contain, Action: &plan.ActionCall{Name: "edr.isolate_host", Effect: true}, Approve: &plan.Approve{When: new(plan.ExprRef(0))}, Hold: &plan.Hold{For: 24 * time.Hour, Then: plan.HoldAsk}}}},
		},
		Exprs:   []plan.Expr{{Text: "steps.?asset.criticality.orValue(criticality.high) >= criticality.high", Type: kind.Of(kind.Boolean), Line: 1, Column: 1}},
		Actions: []plan.Action{{Name: "edr.isolate_host", Spec: isolate()}, {Name: "ticket.create_ticket", Spec: ticket()}, {Name: "edr.scan_host", Spec: scan()}},
	}
	raw, err := p.Encode()
	h.must(err)
	title = strings.ToValidUTF8(strings.ReplaceAll(title, "\x00", ""), "?") // as intake does
	h.must(h.db.Update(h.Context(), func(tx *store.Tx) error {
		a := alert.Alert{ID: "det-1", Source: "crowdstrike", Kind: "detection", Title: title, Severity: "critical", Occurred: epoch.Add(-40 * time.Second), Received: epoch, Hosts: []alert.Host{{Name: "host-00007"}}, Raw: []byte("{}")}
		id, _, err := h.Runs.PutAlert(tx, tenant, a)
		if err != nil {
			return err
		}
		got, err := h.Runs.Claim(tx, runs.Claim{
			Tenant: tenant, Playbook: p.Playbook, Digest: plan.DigestOf(raw), Plan: raw, OnceValue: []byte(`["host-00007"]`), Mode: mode, Severity: "critical",
			Inputs: []byte(`{"hostname":"host-00007"}`), Trigger: run.Trigger{Kind: "alert", Actor: "source:crowdstrike", Source: "crowdstrike", Alert: id},
		})
		if err != nil {
			return err
		}
		h.run = got.ID
		if err := h.Runs.Judge(tx, id, runs.Verdict{Playbook: p.Playbook, Run: got.ID, Verdict: "started"}); err != nil {
			return err
		}
		_, err = h.Ledger.Append(tx, ledger.Row{Kind: "run.claimed", Tenant: tenant, Run: got.ID, Key: id, Actor: "source:crowdstrike"}, map[string]string{"title": title})
		return err
	}))
	h.must(h.Runs.MarkStarted(h.Context(), h.run))
}

func (h *house) intent(step string, a spec.Action, mode guard.Mode, targets ...string) effects.Intent {
	h.fx++
	in := effects.Intent{
		Key:    run.Key{Tenant: tenant, Run: h.run, Step: step, Direction: run.Do, Generation: h.fx},
		Action: a, Instance: "falcon", Mode: mode, Actor: "source:crowdstrike", Playbook: "contain-infected-host",
	}
	raw, err := json.Marshal(targets)
	h.must(err)
	in.Inputs = raw
	for _, t := range targets {
		in.Targets = append(in.Targets, guard.Target{ID: t, Label: t})
	}
	return in
}

// acts brings an effect to an outcome and returns its key.
func (h *house) acts(in effects.Intent, r effects.Result) string {
	h.Helper()
	v, err := h.Effects.Admit(h.Context(), in)
	h.must(err)
	if v.Go == nil {
		if v.Settled == nil {
			h.Fatalf("%s is neither let out nor settled: %+v", in.Key, v)
		}
		return in.Key.String()
	}
	h.clock.pass(800 * time.Millisecond)
	_, err = h.Effects.Settle(h.Context(), v.Go.Key, v.Go.Fence, r)
	h.must(err)
	return in.Key.String()
}

// undoes takes an effect back.
func (h *house) undoes(key string, r effects.Result) {
	h.Helper()
	k, err := run.ParseKey(key)
	h.must(err)
	k.Direction = run.Undo
	h.acts(effects.Intent{Key: k, Action: release(), Instance: "falcon", Of: key, Mode: guard.Act, Actor: "user:lena", Inputs: []byte("{}")}, r)
}

// asks puts a request before people.
func (h *house) asks(n int, kind, text string) string {
	h.Helper()
	id := run.RequestID(h.run, "contain.isolate", "", n)
	label, err := json.Marshal(text)
	h.must(err)
	show := fmt.Sprintf(`[{"action":"edr.isolate_host","instance":"falcon","inputs":{"host":{"label":%s}}}]`, label)
	h.must(h.Approvals.Open(h.Context(), approval.Request{
		ID: id, Tenant: tenant, Run: h.run, Step: "contain.isolate", Kind: kind, Text: text, Seal: "s", Show: json.RawMessage(show),
		Levels: []approval.Level{{Who: []string{"oncall.soc"}, Within: 10 * time.Minute}, {Who: []string{"ir-lead"}, Within: 20 * time.Minute}},
		Quorum: 1, Requester: "source:crowdstrike", Silent: "act", Opened: h.clock.now(),
	}))
	return id
}

func (h *house) votes(id, actor, reason string, approve bool) {
	h.Helper()
	_, err := h.Approvals.Vote(h.Context(), approval.Ballot{Tenant: tenant, Request: id, Actor: actor, Names: []string{"oncall.soc", "analyst"}, Approve: approve, Seal: "s", Reason: reason})
	h.must(err)
	_, err = h.Approvals.Decide(h.Context(), id, h.clock.now())
	h.must(err)
}

// ends ends the run with a tree.
func (h *house) ends(closing, reason string, steps ...run.StepProgress) {
	h.Helper()
	raw, err := json.Marshal(run.Result{Closing: closing, Reason: reason, Tree: run.Progress{Run: h.run, Steps: steps}})
	h.must(err)
	h.must(h.Runs.MarkEnded(h.Context(), h.run, closing, reason, raw))
	_, err = h.Ledger.Sign(h.Context())
	h.must(err)
}

func (h *house) build() *report.Report {
	h.Helper()
	r, err := h.Build(h.Context(), tenant, h.run, nil)
	h.must(err)
	return r
}

func step(path, kind, status string, from, to time.Time) run.StepProgress {
	phase := path[:len(path)-len(path[indexDot(path):])]
	return run.StepProgress{Path: path, Kind: kind, Phase: phase, Status: status, Began: from.UTC(), Ended: to.UTC()}
}

func indexDot(s string) int {
	for i := range s {
		if s[i] == '.' {
			return i
		}
	}
	return len(s)
}
