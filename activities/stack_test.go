package activities

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// desk is a recorder over a store of its own, with an actor beside it.
func desk(t *testing.T) (*Recorder, bench) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), ledger.Schema(), guard.Schema(), effects.Schema(), approval.Schema(), runs.Schema()); err != nil {
		t.Fatal(err)
	}
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "k"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(guard.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(db, key, time.Now)
	e := effects.New(db, l, g, time.Now)
	v := &vendor{isolated: map[string]bool{}}
	r := &Recorder{DB: db, Ledger: l, Effects: e, Approvals: approval.New(db, l, time.Now), Runs: runs.New(db, time.Now), Host: v}
	return r, bench{&Actor{Host: v, Effects: e, Charter: Everything}, v, e, l}
}

// claim is a run of p, which may call those.
func claim(t *testing.T, r *Recorder, calls ...runs.Callee) (id string) {
	t.Helper()
	if err := r.DB.Update(t.Context(), func(tx *store.Tx) error {
		got, err := r.Runs.Claim(tx, runs.Claim{
			Tenant: "default", Playbook: "p", Digest: "dp", Plan: []byte("{}"), Inputs: []byte("{}"), Mode: "act",
			Trigger: run.Trigger{Kind: "manual", Actor: "ann"}, Calls: calls,
		})
		id = got.ID
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestFamily takes back what a run and the run that it called did, newest first,
// and what an author arranged where an action has no inverse.
func TestFamily(t *testing.T) {
	r, b := desk(t)
	parent := claim(t, r, runs.Callee{Playbook: "q", Digest: "dq", Plan: []byte("{}"), Mode: "act"})
	call := task.CallRequest{Place: task.Place{Tenant: "default", Run: parent, Step: "contain.call"}, Generation: 1, Callee: "q", CalleeDigest: "dq", Inputs: []byte("{}")}
	got, err := r.Call(t.Context(), call)
	if err != nil || got.Failure != nil {
		t.Fatal(got.Failure, err)
	}
	call.CalleeDigest = "edited"
	if bad, err := r.Call(t.Context(), call); err != nil || bad.Failure == nil {
		t.Errorf("a playbook that was not locked was called: %+v %v", bad, err)
	}

	b.act(t, isolate(parent, "h1"), task.Done)
	b.act(t, isolate(got.Input.Run, "h2"), task.Done)
	ticket := task.ActRequest{
		Key: run.Key{Tenant: "default", Run: parent, Step: "contain.ticket", Direction: run.Do, Generation: 1}, Action: "ticket.create_ticket", Inst: "jira",
		Inputs: []byte(`{"title":"x"}`), Mode: "act", Actor: "ann", Wait: time.Millisecond,
	}
	b.act(t, ticket, task.Done)

	items := func(q task.StackRequest) (out []string) {
		t.Helper()
		q.Tenant, q.Run = "default", parent
		s, err := r.Stack(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range s.Items {
			k, _ := run.ParseKey(i.Key)
			out = append(out, k.Run[:1]+" "+k.Step+" "+i.Reversal)
		}
		return out
	}
	if all := items(task.StackRequest{}); !slices.Equal(all, []string{"p contain.ticket unneeded", "q contain.isolate exact", "p contain.isolate exact"}) {
		t.Errorf("all: %v", all)
	}
	if called := items(task.StackRequest{Steps: []string{"contain.call"}}); !slices.Equal(called, []string{"q contain.isolate exact"}) {
		t.Errorf("of the call: %v", called)
	}
	if one := items(task.StackRequest{Keys: []string{isolate(parent, "h1").Key.String()}}); !slices.Equal(one, []string{"p contain.isolate exact"}) {
		t.Errorf("of one effect: %v", one)
	}
	open, err := r.InForce(t.Context(), task.InForceRequest{Tenant: "default", Run: parent})
	if err != nil || len(open.Effects) != 2 || open.Effects[0].Targets[0] != "h2" {
		t.Errorf("in force: %+v %v", open, err)
	}

	// The author's way back for what has none: isolate another host, say.
	raw, _ := kind.Canonical(map[string]any{"host": kind.Handle{Name: "device", Instance: "falcon", ID: "h1", Label: "h1"}})
	arrange := task.ArrangeRequest{Place: task.Place{Tenant: "default", Run: parent}, Key: ticket.Key.String(), Action: "edr.release_host", Instance: "falcon", Inputs: raw}
	for range 2 {
		if err := r.Arrange(t.Context(), arrange); err != nil {
			t.Fatal(err)
		}
	}
	if all := items(task.StackRequest{Steps: []string{"contain.ticket"}}); !slices.Equal(all, []string{"p contain.ticket arranged"}) {
		t.Errorf("arranged: %v", all)
	}
	back := ticket
	back.Of, back.Action, back.Inst, back.Inputs, back.Key.Direction = ticket.Key.String(), "", "", nil, run.Undo
	b.act(t, back, task.Done)
	if b.vendor.isolated["h1"] {
		t.Error("what the author arranged was not done")
	}
	if left := items(task.StackRequest{Steps: []string{"contain.ticket"}}); len(left) != 0 {
		t.Errorf("still there: %v", left)
	}
	back.Key.Generation = 2
	b.act(t, back, task.Skipped) // taken back before
}

// TestHeld tells a hold of an effect that its run has not asked for, that is there, and
// that nobody can ask for.
func TestHeld(t *testing.T) {
	r, b := desk(t)
	id := claim(t, r)
	held := func(q task.ActRequest) task.HeldResult {
		t.Helper()
		res, err := r.Held(t.Context(), task.HeldRequest{Tenant: "default", Key: q.Key.String()})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	q := isolate(id, "h1")
	if got, want := held(q), (task.HeldResult{Open: true, Asks: true}); got != want {
		t.Errorf("before it is asked for: %+v", got)
	}
	b.act(t, q, task.Done)
	if got := held(q); !got.Known || got.Open || !got.Held || got.Age <= 0 || got.Age > time.Minute {
		t.Errorf("once it is there: %+v", got)
	}
	if got, want := held(isolate("p/gone/1", "h1")), (task.HeldResult{Open: true}); got != want {
		t.Errorf("of a run that is not there: %+v", got)
	}
	if _, err := r.Held(t.Context(), task.HeldRequest{Key: "nonsense"}); err == nil {
		t.Error("a key that is none is taken")
	}
}
