package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

// What is left of runs, and when nothing is, on both databases.
func TestForgotten(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *store.DB){
		"ids are not given away again": testForgottenIDs, "a caller stays for what it called": testForgottenFamily, "keeps": testKeeps,
	} {
		t.Run(name, func(t *testing.T) { storetest.Each(t, []store.Schema{Schema()}, test) })
	}
}

func end(t *testing.T, r *Runs, id string) {
	t.Helper()
	err := errors.Join(r.MarkStarted(t.Context(), id), r.MarkEnded(t.Context(), id, "completed", "", json.RawMessage(`{}`)))
	if err != nil {
		t.Fatal(err)
	}
}

func shed(t *testing.T, r *Runs, db *store.DB, id string) {
	t.Helper()
	end(t, r, id)
	update(t, db, func(tx *store.Tx) error { return r.Shed(tx, id) })
}

func forget(t *testing.T, r *Runs, db *store.DB, id string, want bool) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		ok, err := r.Forget(tx, id)
		if ok != want {
			t.Errorf("forgot %s: %v, wanted %v", id, ok, want)
		}
		return err
	})
}

func testForgottenIDs(t *testing.T, db *store.DB) {
	r, _, at := room(t, db)
	seen := map[string]bool{}
	run := func(value string, generation int) string {
		t.Helper()
		got := claim(t, r, db, aClaim(value))
		if !got.New || got.Generation != generation || seen[got.ID] {
			t.Fatalf("%+v, wanted a new one of generation %d", got, generation)
		}
		seen[got.ID] = true
		shed(t, r, db, got.ID)
		at.pass(24 * time.Hour)
		return got.ID
	}
	first, second := run(`["a"]`, 1), run(`["a"]`, 2)
	forget(t, r, db, first, true) // the later one goes on counting
	third := run(`["a"]`, 3)
	forget(t, r, db, second, true)
	forget(t, r, db, third, true)
	forget(t, r, db, third, false)
	run(`["a"]`, 4)      // what begins anew is after all that was
	b := run(`["b"]`, 4) // whatever it is about
	forget(t, r, db, b, true)
	open := claim(t, r, db, aClaim(`["c"]`))
	forget(t, r, db, open.ID, false) // it has its detail
	if _, err := r.Get(t.Context(), b); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func testForgottenFamily(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	c := aClaim(`["ws-12"]`)
	c.Calls = []Callee{{Playbook: "q", Digest: "dq", Plan: []byte(`{}`), Mode: "act"}}
	parent := claim(t, r, db, c).ID
	var called string
	update(t, db, func(tx *store.Tx) error {
		in, err := r.Called(tx, Call{Parent: parent, Step: "contain.q", Generation: 1, Playbook: "q", Digest: "dq", Inputs: []byte(`{}`)})
		called = in.Run
		return err
	})
	shed(t, r, db, called)
	shed(t, r, db, parent)
	forget(t, r, db, parent, false)
	forget(t, r, db, called, true)
	forget(t, r, db, parent, true)
}

func testKeeps(t *testing.T, db *store.DB) {
	r, _, at := room(t, db)
	keeps := func(id string, before time.Time) bool {
		t.Helper()
		var got bool
		update(t, db, func(tx *store.Tx) (err error) {
			got, err = r.Keeps(tx, id, before)
			return err
		})
		return got
	}
	id := claim(t, r, db, aClaim(`["a"]`)).ID
	far := at.now().Add(time.Hour)
	if keeps("p/none/1", far) || !keeps(id, far) {
		t.Error("one that is not known keeps nothing, one that waits does")
	}
	end(t, r, id)
	if !keeps(id, far) {
		t.Error("its detail is there")
	}
	shed(t, r, db, id)
	if keeps(id, far) || !keeps(id, far.Add(-2*time.Hour)) {
		t.Error("it is old at one time and young at the other")
	}
	ids := func(from, before time.Time) string {
		t.Helper()
		list, err := r.Forgettable(t.Context(), from, before, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(list)
	}
	if got := ids(time.Time{}, far); got != "["+id+"]" {
		t.Error(got)
	}
	if got := ids(far, far.Add(time.Hour)) + ids(time.Time{}, far.Add(-2*time.Hour)); got != "[][]" {
		t.Error(got)
	}
}
