package runs

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
	"github.com/quell-soar/quell/workflows/run"
)

// What runs hear and call, on both databases.
func TestRunsHear(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *store.DB){
		"called": testCalled, "alerts nudge once": testAlertsNudgeOnce, "verbs": testVerbs, "firings": testFirings,
	} {
		t.Run(name, func(t *testing.T) { storetest.Each(t, []store.Schema{Schema()}, test) })
	}
}

func update(t *testing.T, db *store.DB, f func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func testCalled(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	c := aClaim(`["ws-12"]`)
	c.Mode = "act"
	c.Calls = []Callee{
		{Playbook: "q", Digest: "dq", Plan: []byte(`{"q":1}`), Settings: []byte(`{"a":1}`), Mode: "ask", Calendars: []run.Calendar{{Name: "desk", Digest: "c", Hours: []byte(`{}`)}}},
		{Playbook: "s", Digest: "ds", Plan: []byte(`{"s":1}`), Mode: "act"},
	}
	parent := claim(t, r, db, c).ID
	call := func(from, playbook, digest, iteration string, generation int) (in run.Input, err error) {
		err = db.Update(t.Context(), func(tx *store.Tx) error {
			in, err = r.Called(tx, Call{Parent: from, Step: "contain.q", Iteration: iteration, Generation: generation, Playbook: playbook, Digest: digest, Inputs: []byte(`{}`)})
			return err
		})
		return in, err
	}
	in, err := call(parent, "q", "dq", "0", 1)
	if err != nil {
		t.Fatal(err)
	}
	if in.Parent != parent || in.Depth != 1 || in.Mode != "ask" || string(in.Plan) != `{"q":1}` || in.Incident != parent ||
		in.Trigger.Alert != "a-1" || string(in.Settings) != `{"a":1}` || len(in.Calendars) != 1 {
		t.Errorf("%+v", in)
	}
	if rec, err := r.Get(t.Context(), in.Run); err != nil || rec.Status != Running || rec.Parent != parent {
		t.Errorf("%+v %v", rec, err)
	}
	if again, err := call(parent, "q", "dq", "0", 1); err != nil || again.Run != in.Run {
		t.Errorf("the same call again: %v %v", again.Run, err)
	}
	other, _ := call(parent, "q", "dq", "1", 1)
	retried, _ := call(parent, "q", "dq", "0", 2)
	deep, err := call(in.Run, "s", "ds", "", 1)
	if err != nil || other.Run == in.Run || retried.Run == in.Run || deep.Depth != 2 || deep.Mode != "ask" {
		t.Errorf("other %s, retried %s, deep %+v %v", other.Run, retried.Run, deep, err)
	}
	if _, err := call(parent, "q", "another", "", 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("a playbook that was not locked: %v", err)
	}
	all, err := r.Family(t.Context(), parent, nil)
	if want := []string{parent, in.Run, other.Run, retried.Run, deep.Run}; err != nil || !slices.Equal(all, want) {
		t.Errorf("family %v, want %v, %v", all, want, err)
	}
	if all, err := r.Family(t.Context(), parent, []string{"contain.other"}); err != nil || len(all) != 1 {
		t.Errorf("family of another step %v %v", all, err)
	}
	// A called run is not the dispatcher's to start.
	if list, err := r.Unstarted(t.Context(), 10); err != nil || len(list) != 1 {
		t.Errorf("unstarted %v %v", list, err)
	}
}

// A flood about one thing nudges its run once, until the run has looked.
func testAlertsNudgeOnce(t *testing.T, db *store.DB) {
	r, _, clk := room(t, db)
	n := 0
	arrive := func() Claimed {
		n++
		var got Claimed
		update(t, db, func(tx *store.Tx) error {
			id, _, err := r.PutAlert(tx, "t", alert.Alert{ID: fmt.Sprint(n), Source: "siem", Kind: "malware", Title: "x", Severity: "high", Raw: []byte(`{}`), Occurred: clk.now(), Received: clk.now()})
			if err != nil {
				return err
			}
			c := aClaim(`["ws-12"]`)
			c.Trigger.Alert = id
			got, err = r.Claim(tx, c)
			return err
		})
		return got
	}
	id := arrive().ID
	if err := r.MarkStarted(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	nudges := func(want int) {
		t.Helper()
		list, err := r.Alerted(t.Context())
		if err != nil || len(list) != want {
			t.Fatalf("%d to nudge, want %d: %v", len(list), want, err)
		}
	}
	look := func(after int64) []Joined {
		t.Helper()
		list, more, err := r.JoinedAfter(t.Context(), id, after)
		if err != nil || more {
			t.Fatal(more, err)
		}
		return list
	}
	nudges(0)
	for range 3 {
		arrive()
	}
	nudges(1)
	if err := r.AlertTold(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	arrive()
	nudges(0)
	list := look(0)
	if len(list) != 4 || list[0].Seq != 1 || list[3].Seq != 4 || len(list[0].Value) == 0 {
		t.Fatalf("joined %+v", list)
	}
	if got := look(4); len(got) != 0 {
		t.Errorf("after the last: %v", got)
	}
	arrive()
	nudges(1)
	if got := look(4); len(got) != 1 || got[0].Seq != 5 {
		t.Errorf("the next: %v", got)
	}
	for range mostJoined + 1 {
		arrive()
	}
	if got, more, err := r.JoinedAfter(t.Context(), id, 5); err != nil || !more || len(got) != mostJoined {
		t.Errorf("a look has no bound: %d %v %v", len(got), more, err)
	}
}

func testVerbs(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	id := claim(t, r, db, aClaim(`["ws-12"]`)).ID
	put := func(v run.Verb) (n int64, err error) {
		err = db.Update(t.Context(), func(tx *store.Tx) error { n, err = r.PutVerb(tx, id, v); return err })
		return n, err
	}
	for _, v := range []run.Verb{{Verb: "explode"}, {Verb: run.RetryStep}, {Verb: run.SkipStep}, {Verb: run.HandOver}} {
		if _, err := put(v); !errors.Is(err, ErrVerb) {
			t.Errorf("%+v: %v", v, err)
		}
	}
	if n, err := put(run.Verb{Verb: run.Pause, Actor: "ann", Reason: "lunch"}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := put(run.Verb{Verb: run.Resume, Actor: "ann"}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if list, err := r.VerbsToTell(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("a run that waits is told: %v %v", list, err)
	}
	if err := r.MarkStarted(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	list, err := r.VerbsToTell(t.Context())
	if err != nil || len(list) != 2 || list[0].Verb.Verb != run.Pause || list[0].Reason != "lunch" || list[0].At.IsZero() {
		t.Fatalf("%+v %v", list, err)
	}
	if err := r.VerbTold(t.Context(), id, 1); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *store.Tx) error {
		for _, want := range []bool{true, false} {
			if first, err := r.AnswerVerb(tx, id, 2, "done"); err != nil || first != want {
				t.Errorf("answer: %v %v", first, err)
			}
		}
		return nil
	})
	if list, _ := r.VerbsToTell(t.Context()); len(list) != 0 {
		t.Errorf("told again: %v", list)
	}
	if list, err := r.VerbsAfter(t.Context(), id, 1); err != nil || len(list) != 1 || list[0].Answer != "done" {
		t.Errorf("%+v %v", list, err)
	}
	if err := r.MarkEnded(t.Context(), id, "completed", "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := put(run.Verb{Verb: run.Pause}); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}

func testFirings(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	fire := func(id string) Claimed {
		var got Claimed
		update(t, db, func(tx *store.Tx) (err error) {
			got, err = r.Fire(tx, id, aClaim(`["schedule"]`))
			return err
		})
		return got
	}
	first := fire("schedule/p/1-2026-03-01T12:00:00Z")
	if !first.New {
		t.Fatalf("%+v", first)
	}
	if again := fire("schedule/p/1-2026-03-01T12:00:00Z"); !again.Repeated || again.ID != first.ID {
		t.Errorf("the same firing: %+v", again)
	}
	if next := fire("schedule/p/1-2026-03-02T12:00:00Z"); !next.Joined || next.ID != first.ID {
		t.Errorf("while the run lives: %+v", next)
	}
	if err := r.MarkEnded(t.Context(), first.ID, "completed", "", nil); err != nil {
		t.Fatal(err)
	}
	if again := fire("schedule/p/1-2026-03-01T12:00:00Z"); !again.Repeated {
		t.Errorf("the same firing after its run's end: %+v", again)
	}
}
