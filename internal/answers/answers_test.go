package answers

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

func TestAnswers(t *testing.T) {
	storetest.Each(t, []store.Schema{Schema()}, func(t *testing.T, db *store.DB) {
		now := time.Unix(1_800_000_000, 0)
		a := New(db, "t", func() time.Time { return now })
		start := Request("POST", "/v1/runs", []byte(`{"playbook":"x"}`))
		take := func(actor, key, request string) (*Answer, error) { return a.Take(t.Context(), actor, key, request) }
		if got, err := take("user:alice", "k", start); got != nil || err != nil {
			t.Fatalf("first: %+v, %v", got, err)
		}
		if _, err := take("user:alice", "k", start); !errors.Is(err, ErrBusy) {
			t.Errorf("while it is worked on: %v", err)
		}
		if got, err := take("user:bob", "k", start); got != nil || err != nil {
			t.Errorf("another caller's key: %+v, %v", got, err)
		}
		if err := a.Keep(t.Context(), "user:alice", "k", Answer{Status: 202, Media: "application/json", Body: []byte(`{"run":"x/1"}`)}); err != nil {
			t.Fatal(err)
		}
		got, err := take("user:alice", "k", start)
		if err != nil || got == nil || got.Status != 202 || string(got.Body) != `{"run":"x/1"}` {
			t.Errorf("again: %+v, %v", got, err)
		}
		if _, err := take("user:alice", "k", Request("POST", "/v1/runs", []byte(`{"playbook":"y"}`))); !errors.Is(err, ErrOther) {
			t.Errorf("another request: %v", err)
		}
		if err := a.Drop(t.Context(), "user:alice", "k"); err != nil {
			t.Fatal(err)
		}
		if got, err := take("user:alice", "k", start); got == nil || err != nil {
			t.Errorf("an answer that was kept is not dropped: %+v, %v", got, err)
		}
		if err := a.Drop(t.Context(), "user:bob", "k"); err != nil {
			t.Fatal(err)
		}
		if got, err := take("user:bob", "k", start); got != nil || err != nil {
			t.Errorf("after a drop: %+v, %v", got, err)
		}
		now = now.Add(3 * time.Minute)
		if _, err := take("user:bob", "k", start); !errors.Is(err, ErrLeft) {
			t.Errorf("left behind: %v", err)
		}
		now = now.Add(Life)
		if got, err := take("user:alice", "k", start); got != nil || err != nil {
			t.Errorf("a day later: %+v, %v", got, err)
		}
	})
}

// Of many at once with one key, one works.
func TestOneWorks(t *testing.T) {
	storetest.Each(t, []store.Schema{Schema()}, func(t *testing.T, db *store.DB) {
		a := New(db, "t", time.Now)
		var works, busy atomic.Int32
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				switch got, err := a.Take(t.Context(), "user:alice", "k", "r"); {
				case err == nil && got == nil:
					works.Add(1)
				case errors.Is(err, ErrBusy):
					busy.Add(1)
				default:
					t.Errorf("%+v, %v", got, err)
				}
			})
		}
		wg.Wait()
		if works.Load() != 1 || busy.Load() != 31 {
			t.Errorf("%d work, %d are told to wait", works.Load(), busy.Load())
		}
	})
}

func TestRequestKeepsPartsApart(t *testing.T) {
	t.Parallel()
	if Request("POST", "/a", []byte("b")) == Request("POST", "/ab", nil) || Request("POST", "/a", nil) == Request("DELETE", "/a", nil) {
		t.Error("two requests have one digest")
	}
}
