package runs

import (
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

// TestCensus counts what waits and runs, on both databases.
func TestCensus(t *testing.T) {
	storetest.Each(t, []store.Schema{Schema()}, func(t *testing.T, db *store.DB) {
		r, _, c := room(t, db)
		if got, err := r.Census(t.Context(), "t"); err != nil || got != (Counts{}) {
			t.Fatalf("%+v, %v", got, err)
		}
		first := c.at
		var ids []string
		for _, v := range []string{`["a"]`, `["b"]`, `["c"]`} {
			ids = append(ids, claim(t, r, db, aClaim(v)).ID)
			c.at = c.at.Add(time.Minute)
		}
		got, err := r.Census(t.Context(), "t")
		if err != nil || got.Waiting != 3 || got.Running != 0 || got.Oldest.Sub(first) > time.Millisecond {
			t.Errorf("%+v, %v", got, err)
		}
		if err := r.MarkStarted(t.Context(), ids[0]); err != nil {
			t.Fatal(err)
		}
		if err := r.MarkEnded(t.Context(), ids[1], "completed", "", nil); err != nil {
			t.Fatal(err)
		}
		got, err = r.Census(t.Context(), "t")
		if err != nil || got.Waiting != 1 || got.Running != 1 || got.Oldest.Sub(first) < time.Second {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
