package rehearse

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

type generic struct{}

func (generic) Action(name string) (spec.Action, bool) { return vocabulary.Lookup(name) }
func (generic) Names() []string                        { return nil }

// answering are the sources of a test.
type answering struct {
	reads   map[string]string
	foresee func(q task.ActRequest) activities.Foreseen
	called  atomic.Int64
}

func (a *answering) Read(_ context.Context, q task.ReadRequest) (task.ReadResult, error) {
	a.called.Add(1)
	out, ok := a.reads[q.Action]
	if !ok {
		return task.ReadResult{Failure: &task.Failure{Kind: "not_found", Message: "none"}}, nil
	}
	return task.ReadResult{Output: json.RawMessage(out)}, nil
}

func (a *answering) Foresee(_ context.Context, q task.ActRequest) (*activities.Foreseen, error) {
	f := activities.Foreseen{Mode: guard.Act}
	if a.foresee != nil {
		f = a.foresee(q)
	}
	return &f, nil
}

var device = map[string]string{
	"edr.find_host":      `{"device":{"handle":"device","id":"1","instance":"one","label":"ws-1"},"hostname":"ws-1","os":"Linux","state":"normal"}`,
	"edr.get_host_state": `{"state":"normal"}`,
}

const head = `quell: 1
playbook: p
inputs: { hostname: { type: hostname } }
triage:
  - id: host
    uses: edr.find_host
    with: { hostname: "${{ inputs.hostname }}" }
`

func previewed(t *testing.T, text, mode string, from *answering) *api.Plan {
	t.Helper()
	p, list := compile.Compile(source.NewFile("p.yaml", []byte(head+text)), compile.Options{Actions: generic{}})
	if p == nil {
		t.Fatal(list)
	}
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	in := run.Input{
		ABI: run.ABI, Tenant: "default", Run: run.ID("p", "preview", 1), Playbook: "p", Digest: plan.DigestOf(raw), Plan: raw, Mode: mode,
		Inputs: json.RawMessage(`{"hostname":"ws-1"}`), Settings: json.RawMessage(`{}`), Incident: "I", Trigger: run.Trigger{Kind: "manual", Actor: "ann"},
	}
	for _, a := range p.Actions {
		in.Bindings = append(in.Bindings, run.Binding{Action: a.Name, Instance: "one", Mode: mode})
	}
	got, err := Preview{Plan: p, Input: in, Now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), Sources: from}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func effectOn(t *testing.T, p *api.Plan, action string) api.PlanEffect {
	t.Helper()
	i := slices.IndexFunc(p.Effects, func(e api.PlanEffect) bool { return e.Action == action && e.Undoes == "" })
	if i < 0 {
		t.Fatalf("no %s in %+v", action, p.Effects)
	}
	return p.Effects[i]
}

const isolate = `contain:
  - id: isolate
    uses: edr.isolate_host
    with: { host: "${{ steps.host.device }}" }
    hold: { for: 4h, then: ask }
`

// TestGuards: what guards say stands in the plan, and what follows from it is
// played: an ask opens a question, a refusal asks what to do.
func TestGuards(t *testing.T) {
	refusal := func(r guard.Refusal, mode guard.Mode) func(task.ActRequest) activities.Foreseen {
		return func(q task.ActRequest) activities.Foreseen {
			f := activities.Foreseen{Mode: mode, Found: spec.Absent, Prior: json.RawMessage(`{"state":"normal"}`)}
			if !r.Ask || q.Approval == "" {
				f.Refusal = &r
			}
			return f
		}
	}
	for name, c := range map[string]struct {
		foresee func(task.ActRequest) activities.Foreseen
		mode    string
		verdict string
		ask     string
	}{
		"let out":  {func(task.ActRequest) activities.Foreseen { return activities.Foreseen{Mode: guard.Act} }, "act", "allow", ""},
		"freeze":   {refusal(guard.Refusal{Rule: "freeze", Reason: "holidays", Ask: true}, guard.Act), "act", "ask", "approval"},
		"refused":  {refusal(guard.Refusal{Rule: "protected", Reason: "a domain controller"}, guard.Act), "act", "refuse", "failure"},
		"observed": {refusal(guard.Refusal{Rule: "protected", Reason: "a domain controller"}, guard.Observe), "observe", "simulate", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := previewed(t, isolate, c.mode, &answering{reads: device, foresee: c.foresee})
			e := effectOn(t, got, "edr.isolate_host")
			if (e.Ask > 0) != (name == "freeze") {
				t.Errorf("question %d", e.Ask)
			}
			if e.Guard == nil || e.Guard.Verdict != c.verdict || got.Mode != c.mode {
				t.Errorf("%+v, mode %s", e.Guard, got.Mode)
			}
			kinds := ""
			for _, a := range got.Asks {
				kinds += a.Kind
			}
			if kinds != c.ask {
				t.Errorf("asks %q", kinds)
			}
			if name != "let out" && name != "refused" && string(e.Inverse.Restores) != `{"state":"normal"}` {
				t.Errorf("%+v", e.Inverse)
			}
		})
	}
}

// TestBudget: effects take one after the other, and what is over the budget is
// refused.
func TestBudget(t *testing.T) {
	from := &answering{reads: device, foresee: func(task.ActRequest) activities.Foreseen {
		b := guard.Account{Budget: guard.Budget{Name: "hosts", Actions: []string{"edr"}, Targets: 3, Per: time.Hour, Then: guard.Refuse}, Spent: 2}
		return activities.Foreseen{Mode: guard.Act, Foresight: effects.Foresight{Charges: []guard.Charge{{Account: b, Takes: 1}}}}
	}}
	got := previewed(t, isolate+`  - id: scan
    uses: edr.scan_host
    with: { host: "${{ steps.host.device }}" }
`, "act", from)
	first, second := effectOn(t, got, "edr.isolate_host"), effectOn(t, got, "edr.scan_host")
	if first.Guard.Verdict != "allow" || first.Guard.Budgets[0].Left != 1 || second.Guard.Verdict != "refuse" || second.Guard.Rule != "budget" || second.Guard.Budgets[0].Left != 0 {
		t.Errorf("%+v\n%+v", first.Guard, second.Guard)
	}
}

// TestWays: each read is made once, whatever ways ask for it; each answer and each
// way of what is not known is played.
func TestWays(t *testing.T) {
	from := &answering{reads: device}
	got := previewed(t, `  - id: case
    uses: ticket.create_ticket
    with: { key: "${{ run.incident }}", title: T }
contain:
  - id: isolate
    uses: edr.isolate_host
    with: { host: "${{ steps.host.device }}" }
    approve: { ask: "Isolate?", from: [{ who: [ir-lead], within: 1h }], denied: skip, silent: stop }
    hold: { for: 4h, then: ask }
  - id: pause
    wait: { for: 10m }
  - id: state
    uses: edr.get_host_state
    with: { host: "${{ steps.host.device }}" }
  - if: steps.state.state == "isolated"
    uses: edr.scan_host
    with: { host: "${{ steps.host.device }}" }
review:
  - if: has(steps.case)
    uses: ticket.add_comment
    with: { ticket: "${{ steps.case.ticket }}", body: "${{ outcome.isolate }}" }
`, "act", from)
	if n := from.called.Load(); n != 2 {
		t.Errorf("%d reads were made", n)
	}
	a := got.Asks[0]
	leads := map[string]string{}
	for _, w := range a.Answers {
		leads[w.Way] = w.Closing
	}
	if leads["approved"] != "completed" || leads["denied"] != "completed" || leads["silence"] != "denied" || len(leads) != 3 || a.Answers[2].After != "1h" {
		t.Errorf("%+v", a.Answers)
	}
	scan := effectOn(t, got, "edr.scan_host")
	if scan.Base || len(scan.Ways) == 0 || len(got.Unknown) != 1 || got.Unknown[0].What != "if" || !slices.Equal(got.Unknown[0].On, []string{"contain.state"}) {
		t.Errorf("%+v, unknown %+v", scan, got.Unknown)
	}
	comment := effectOn(t, got, "ticket.add_comment")
	if !slices.Equal(comment.KnownAfter, []string{"triage.case"}) || comment.Targets[0].KnownAfter != "triage.case" || !strings.Contains(comment.Targets[0].Label, "known after") {
		t.Errorf("%+v", comment)
	}
	if e := effectOn(t, got, "edr.isolate_host"); e.Hold == nil || e.Hold.For != "4h" || e.Ask != 1 || e.Inverse.Action != "edr.release_host" || !slices.Equal(a.Effects, []int{e.N}) {
		t.Errorf("%+v, covers %v", e, a.Effects)
	}
}
