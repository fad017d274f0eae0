package activities

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// vendor is a small EDR and ticket system behind the Connectors interface: hosts
// are isolated or not, tickets are created once per call.
type vendor struct {
	mu       sync.Mutex
	isolated map[string]bool
	tickets  int
	calls    []string
	// next scripts what happens to the next Act calls: "lost", "late",
	// "transient", "permission"; empty is plain success.
	next []string
}

const settle = 30 * time.Millisecond

func (v *vendor) Attend(context.Context, string) (func(), time.Duration) { return func() {}, 0 }

func (v *vendor) Enter(context.Context, string) (func(bool), error) { return func(bool) {}, nil }

func (v *vendor) Action(_, name string) (spec.Action, bool) {
	in := []kind.Field{{Name: "host", Type: kind.HandleOf("device")}}
	base := spec.Action{Name: name, Inputs: in, Class: spec.Idempotent, ReadBack: spec.Strong, Reversal: spec.Exact, Targets: "host", Deadline: 80 * time.Millisecond, Settle: settle}
	switch name {
	case "edr.isolate_host":
		base.Inverse = "edr.release_host"
	case "edr.release_host":
		base.Inverse = "edr.isolate_host"
	case "ticket.create_ticket":
		return spec.Action{
			Name: name, Inputs: []kind.Field{{Name: "title", Type: kind.Of(kind.String)}}, Outputs: []kind.Field{{Name: "ticket", Type: kind.HandleOf("ticket")}},
			Class: spec.Once, ReadBack: spec.Lagging, Reversal: spec.Unneeded, Deadline: 80 * time.Millisecond, Settle: settle,
		}, true
	default:
		return spec.Action{}, false
	}
	return base, true
}

func (v *vendor) Binary(string) (sha, version string) { return "sha", "1.0.0" }

func (v *vendor) TryCall(ctx context.Context, i string, r spec.Request, p host.Permit) (spec.Reply, error) {
	return v.Call(ctx, i, r, p)
}

func (v *vendor) Call(_ context.Context, _ string, r spec.Request, _ host.Permit) (spec.Reply, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.Mode == spec.Back {
		return v.back(r)
	}
	v.calls = append(v.calls, r.Action)
	fault := ""
	if len(v.next) > 0 {
		fault, v.next = v.next[0], v.next[1:]
	}
	switch fault {
	case "transient":
		return spec.Reply{}, spec.Errorf(spec.Transient, "503")
	case "permission":
		return spec.Reply{}, spec.Errorf(spec.Permission, "403")
	}
	rep := v.apply(r)
	if fault == "lost" {
		return spec.Reply{}, spec.Errorf(spec.Uncertain, "the answer was lost")
	}
	return rep, nil
}

func (v *vendor) apply(r spec.Request) spec.Reply {
	if r.Action == "ticket.create_ticket" {
		v.tickets++
		return spec.Reply{Outcome: spec.Done, Output: map[string]any{"ticket": kind.Handle{Name: "ticket", Instance: "jira", ID: "1", Label: "SEC-1"}}}
	}
	id, want := r.Inputs["host"].(kind.Handle).ID, r.Action == "edr.isolate_host"
	before := v.isolated[id]
	if before == want {
		return spec.Reply{Outcome: spec.Already, Prior: map[string]any{"isolated": before}}
	}
	v.isolated[id] = want
	return spec.Reply{Outcome: spec.Done, Prior: map[string]any{"isolated": before}}
}

func (v *vendor) back(r spec.Request) (spec.Reply, error) {
	if r.Action == "ticket.create_ticket" {
		if v.tickets > 0 {
			return spec.Reply{Outcome: spec.Present, Output: map[string]any{"ticket": kind.Handle{Name: "ticket", Instance: "jira", ID: "1", Label: "SEC-1"}}}, nil
		}
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	is := v.isolated[r.Inputs["host"].(kind.Handle).ID]
	out := spec.Absent
	if is == (r.Action == "edr.isolate_host") {
		out = spec.Present
	}
	return spec.Reply{Outcome: out, Prior: map[string]any{"isolated": is}}, nil
}

type bench struct {
	*Actor
	vendor *vendor
	store  *effects.Effects
	ledger *ledger.Ledger
}

func setUp(t *testing.T) bench {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), ledger.Schema(), guard.Schema(), effects.Schema()); err != nil {
		t.Fatal(err)
	}
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "k"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(guard.Rules{Protected: []string{"dc-1"}})
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(db, key, time.Now)
	e := effects.New(db, l, g, time.Now)
	v := &vendor{isolated: map[string]bool{}}
	return bench{&Actor{Host: v, Effects: e, Charter: Everything}, v, e, l}
}

func isolate(runID, hostID string) task.ActRequest {
	raw, _ := kind.Canonical(map[string]any{"host": kind.Handle{Name: "device", Instance: "falcon", ID: hostID, Label: hostID}})
	return task.ActRequest{
		Key:    run.Key{Tenant: "default", Run: runID, Step: "contain.isolate", Direction: run.Do, Generation: 1},
		Action: "edr.isolate_host", Inst: "falcon", Inputs: raw, Mode: "act", Actor: "ann", Wait: time.Millisecond, Fields: []string{"*"},
	}
}

func undo(of task.ActRequest) task.ActRequest {
	q := task.ActRequest{Key: of.Key, Of: of.Key.String(), Mode: "act", Actor: "ann", Wait: time.Millisecond}
	q.Key.Direction = run.Undo
	return q
}

func (b bench) act(t *testing.T, q task.ActRequest, want task.Outcome) task.ActResult {
	t.Helper()
	r, err := b.Act(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if r.Outcome != want {
		t.Fatalf("%s: %s, want %s (%+v, %s)", q.Key, r.Outcome, want, r.Failure, r.Detail)
	}
	return r
}

func TestLostAnswer(t *testing.T) {
	b := setUp(t)
	b.vendor.next = []string{"lost"}
	q := isolate("r1", "h1")
	r := b.act(t, q, task.Done)
	if len(b.vendor.calls) != 1 || !strings.Contains(r.Detail, "read-back") || !r.Held {
		t.Errorf("calls %v, detail %q, held %v", b.vendor.calls, r.Detail, r.Held)
	}
	// The same activity again, as after a crash: the stored outcome, no call.
	b.act(t, q, task.Done)
	if len(b.vendor.calls) != 1 {
		t.Errorf("calls %v", b.vendor.calls)
	}
	b.act(t, undo(q), task.Done)
	if b.vendor.isolated["h1"] {
		t.Error("it was not released")
	}
}

func TestNotOurs(t *testing.T) {
	for _, fault := range []string{"", "lost"} {
		b := setUp(t)
		b.vendor.isolated["h1"] = true // somebody else did it
		b.vendor.next = []string{fault}
		q := isolate("r1", "h1")
		if r := b.act(t, q, task.Already); r.Held {
			t.Errorf("%q: what was not ours is held", fault)
		}
		b.act(t, undo(q), task.Skipped)
		if !b.vendor.isolated["h1"] {
			t.Errorf("%q: what was not ours was released", fault)
		}
	}
}

func TestLastHolder(t *testing.T) {
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		b := setUp(t)
		q := [2]task.ActRequest{isolate("r1", "h1"), isolate("r2", "h1")}
		b.act(t, q[0], task.Done)
		b.act(t, q[1], task.Already)
		b.act(t, undo(q[order[0]]), task.Skipped)
		if !b.vendor.isolated["h1"] {
			t.Fatal("released while another run holds it")
		}
		b.act(t, undo(q[order[1]]), task.Done)
		if b.vendor.isolated["h1"] || len(b.vendor.calls) != 3 {
			t.Fatalf("order %v: isolated %v, calls %v", order, b.vendor.isolated["h1"], b.vendor.calls)
		}
	}
}

func TestAgain(t *testing.T) {
	b := setUp(t)
	q := isolate("r1", "h1")
	b.act(t, q, task.Done)
	b.act(t, undo(q), task.Done)
	q.Key.Generation = 2
	b.act(t, q, task.Done)
	if !b.vendor.isolated["h1"] || len(b.vendor.calls) != 3 {
		t.Errorf("calls %v", b.vendor.calls)
	}
}

func TestOnce(t *testing.T) {
	q := task.ActRequest{
		Key:    run.Key{Tenant: "default", Run: "r", Step: "triage.case", Direction: run.Do, Generation: 1},
		Action: "ticket.create_ticket", Inst: "jira", Inputs: json.RawMessage(`{"title":"x"}`), Mode: "act", Wait: time.Millisecond, Fields: []string{"ticket"},
	}
	b := setUp(t)
	b.vendor.next = []string{"lost"}
	if r := b.act(t, q, task.Done); b.vendor.tickets != 1 || !strings.Contains(string(r.Output), "SEC-1") {
		t.Errorf("%d tickets, output %s", b.vendor.tickets, r.Output)
	}
	// The process died between intent and call: nothing is guessed.
	b = setUp(t)
	a, _ := b.vendor.Action("jira", q.Action)
	v, err := b.store.Admit(t.Context(), effects.Intent{Key: q.Key, Action: a, Instance: "jira", Inputs: q.Inputs, Mode: guard.Act})
	if err != nil || v.Go == nil {
		t.Fatalf("%+v, %v", v, err)
	}
	b.act(t, q, task.Unknown)
	if b.vendor.tickets != 0 {
		t.Error("it guessed")
	}
}

func TestRefusals(t *testing.T) {
	b := setUp(t)
	if r := b.act(t, isolate("r1", "dc-1"), task.Refused); !strings.Contains(r.Detail, "protected") {
		t.Error(r.Detail)
	}
	q := isolate("r2", "h1")
	q.Mode = "observe"
	b.act(t, q, task.Simulated)
	q = isolate("r3", "h1")
	b.vendor.next = []string{"transient", "transient"}
	b.act(t, q, task.Done)
	q = isolate("r4", "h2")
	b.vendor.next = []string{"permission"}
	if r := b.act(t, q, task.Failed); r.Failure.Kind != "permission" {
		t.Errorf("%+v", r.Failure)
	}
	q = isolate("r5", "h3")
	q.Attempts = 2
	b.vendor.next = []string{"transient", "transient", "transient"}
	b.act(t, q, task.Failed)
	rep, err := b.ledger.VerifyStore(t.Context(), "")
	if err != nil || !rep.OK {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestOtherSchema calls nothing where an instance serves an action with another
// schema than the playbook was compiled against: an older program, or a newer one.
func TestOtherSchema(t *testing.T) {
	b := setUp(t)
	a, _ := b.vendor.Action("falcon", "edr.isolate_host")
	q := isolate("r1", "h1")
	q.Schema = a.SchemaDigest()
	b.act(t, q, task.Done)
	calls := len(b.vendor.calls)
	q = isolate("r2", "h2")
	q.Schema = strings.Repeat("0", len(a.SchemaDigest()))
	if r := b.act(t, q, task.Failed); r.Failure.Kind != "connector_mismatch" || len(b.vendor.calls) != calls || b.vendor.isolated["h2"] {
		t.Errorf("%+v, calls %v", r.Failure, b.vendor.calls)
	}
}

// TestConcurrent lets many runs isolate one host at once: one call changes it,
// all hold it, and only the last release is called.
func TestConcurrent(t *testing.T) {
	b := setUp(t)
	const n = 12
	var wg sync.WaitGroup
	each := func(f func(task.ActRequest) task.ActRequest) {
		for i := range n {
			wg.Go(func() {
				if _, err := b.Act(context.Background(), f(isolate("r"+string(rune('a'+i)), "h1"))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	each(func(q task.ActRequest) task.ActRequest { return q })
	keys, err := b.store.Holders(t.Context(), "default", "falcon", "edr.isolate_host", "device:h1")
	if err != nil || len(keys) != n {
		t.Fatalf("%d holders, %v", len(keys), err)
	}
	each(undo)
	released := 0
	for _, c := range b.vendor.calls {
		if c == "edr.release_host" {
			released++
		}
	}
	if released != 1 || b.vendor.isolated["h1"] {
		t.Errorf("%d releases, isolated %v", released, b.vendor.isolated["h1"])
	}
}
