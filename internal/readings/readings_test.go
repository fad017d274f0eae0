package readings_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/readings"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestReadingsAreBounded: what waits to be written does not fill the memory.
func TestReadingsAreBounded(t *testing.T) {
	storetest.Each(t, []store.Schema{readings.Schema()}, func(t *testing.T, db *store.DB) {
		r := readings.New(db, func() time.Time { return epoch }, time.Hour)
		large := readings.Reading{Run: "p/0/1", Inputs: json.RawMessage("{}"), Output: json.RawMessage(`"` + strings.Repeat("x", readings.MaxOutput-2) + `"`)}
		for range 200 { // 50 MiB, and nobody writes
			r.Keep(large)
		}
		dropped := r.Dropped()
		if dropped < 70 || dropped > 75 {
			t.Errorf("%d of 200 dropped", dropped)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); r.Run(ctx, func(err error) { t.Error(err) }) }()
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 100 { // there is room again
			r.Keep(large)
		}
		stop()
		<-ended
		got, err := r.Of(t.Context(), "p/0/1")
		if err != nil || int64(len(got)) != 300-dropped || r.Dropped() != dropped {
			t.Errorf("%d kept, %d dropped, %v", len(got), r.Dropped(), err)
		}
	})
}

// TestReadings: what is kept comes back whole and in its order, what is old is
// forgotten, and the end of Run loses nothing.
func TestReadings(t *testing.T) {
	storetest.Each(t, []store.Schema{readings.Schema()}, func(t *testing.T, db *store.DB) {
		r := readings.New(db, func() time.Time { return epoch }, time.Hour)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); r.Run(ctx, func(err error) { t.Error(err) }) }()
		const n = 700 // more than two batches
		for i := range n {
			r.Keep(readings.Reading{
				Tenant: "t", Run: fmt.Sprintf("p/%d/1", i%3), Step: "triage.a", Action: "edr.find_host", Instance: "falcon",
				Inputs: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i)), Output: json.RawMessage(`{"ok":true}`), At: epoch.Add(time.Duration(i) * time.Second),
			})
		}
		r.Keep(readings.Reading{Run: "p/0/1", Inputs: json.RawMessage("{}"), Output: json.RawMessage(`"` + strings.Repeat("x", readings.MaxOutput) + `"`)})
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := r.Of(t.Context(), "p/0/1", "p/2/1")
		if err != nil || len(got) != 467 || r.Dropped() != 1 {
			t.Fatalf("%d, %d dropped, %v", len(got), r.Dropped(), err)
		}
		for i := range got[1:] {
			if !got[i].At.Before(got[i+1].At) {
				t.Fatalf("%s comes before %s", got[i].At, got[i+1].At)
			}
		}
		if string(got[1].Inputs) != `{"n":2}` || got[1].Run != "p/2/1" || string(got[1].Output) != `{"ok":true}` || got[1].Step != "triage.a" {
			t.Errorf("%+v", got[1])
		}
		if err := r.Prune(t.Context(), epoch.Add(690*time.Second)); err != nil {
			t.Fatal(err)
		}
		r.Keep(readings.Reading{Run: "p/0/1", Action: "last", Inputs: json.RawMessage("{}"), Error: "not_found", Message: "none"})
		stop()
		<-ended
		got, err = r.Of(t.Context(), "p/0/1", "p/1/1", "p/2/1")
		if err != nil || len(got) != 11 {
			t.Errorf("%d left, %v", len(got), err)
		}
		if err := r.Flush(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("flushed after the end: %v", err)
		}
	})
}

// TestForgets: what is older than it is to be kept goes by itself, and the rest stays.
func TestForgets(t *testing.T) {
	storetest.Each(t, []store.Schema{readings.Schema()}, func(t *testing.T, db *store.DB) {
		r := readings.New(db, func() time.Time { return epoch }, 2*time.Second)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); r.Run(ctx, func(err error) { t.Error(err) }) }()
		defer func() { stop(); <-ended }()
		for i := range 4 {
			r.Keep(readings.Reading{Run: "p/0/1", Action: "a", Inputs: json.RawMessage("{}"), Error: "not_found", At: epoch.Add(-time.Duration(i) * time.Second)})
		}
		if err := r.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(20 * time.Second); ; <-tick.C {
			got, err := r.Of(ctx, "p/0/1")
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 3 && got[0].At.Equal(epoch.Add(-2*time.Second)) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d are left", len(got))
			}
		}
	})
}
