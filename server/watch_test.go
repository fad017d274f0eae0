package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// A watcher that lost its stream misses no entry and sees none twice.
func TestWatchResumes(t *testing.T) {
	h := open(t)
	id := h.begun("ws-12")
	c := h.client(h.token("alice", nil, auth.Read))
	add := func(n int) {
		for range n {
			if err := h.rooms.write(context.Background(), note{kind: "test.entry", tenant: "t", run: id, actor: "x"}); err != nil {
				t.Error(err)
			}
			if err := h.rooms.write(context.Background(), note{kind: "test.other", tenant: "t", run: "other/x/1", actor: "x"}); err != nil {
				t.Error(err)
			}
		}
	}
	add(3)
	stop := errors.New("stop")
	var seen []uint64
	trees := 0
	count := func(e api.Event) {
		switch e.Type {
		case api.EventEntry:
			if e.Entry.Run != id {
				t.Errorf("an entry of %s", e.Entry.Run)
			}
			seen = append(seen, e.Seq)
		case api.EventProgress:
			trees++
		}
	}
	err := c.Watch(t.Context(), id, 0, func(e api.Event) error {
		count(e)
		if len(seen) == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	add(2)
	var last api.Event
	err = c.Watch(t.Context(), id, seen[len(seen)-1], func(e api.Event) error {
		count(e)
		if len(seen) == 6 && trees == 1 { // all that stands was seen: let it end
			trees++
			add(1)
			return h.rooms.Runs.MarkEnded(t.Context(), id, "completed", "", nil)
		}
		last = e
		return nil
	})
	if err != nil || last.Type != api.EventEnd || last.Run == nil || last.Run.Closing != "completed" {
		t.Fatalf("%v, %+v", err, last)
	}
	if len(seen) != 7 { // one of the start, six of ours
		t.Errorf("%v", seen)
	}
	for i := 1; i < len(seen); i++ {
		if seen[i] <= seen[i-1] {
			t.Errorf("twice or out of order: %v", seen)
		}
	}
	wantCode(t, "watch of nothing", c.Watch(t.Context(), "contain/nope/1", 0, func(api.Event) error { return nil }), api.CodeNotFound)
}

// countingEngine counts how often it is asked how a run goes.
type countingEngine struct {
	fakeEngine
	asked atomic.Int32
}

func (e *countingEngine) Progress(ctx context.Context, id string) (run.Progress, error) {
	e.asked.Add(1)
	return e.fakeEngine.Progress(ctx, id)
}

// Fifty who watch one run cost what one does, whatever they say they have seen,
// and all see the same.
func TestWatchersShareOneLook(t *testing.T) {
	h := open(t)
	engine := &countingEngine{}
	h.srv.runs.engine = engine
	id := h.begun("ws-12")
	c := h.client(h.token("alice", nil, auth.Read))
	add := func() {
		if err := h.rooms.write(context.Background(), note{kind: "test.entry", tenant: "t", run: id, actor: "x"}); err != nil {
			t.Error(err)
		}
	}
	for range watchAtOnce + 30 { // more than a feed keeps
		add()
	}
	const watchers = 50
	var begun, ended sync.WaitGroup
	begun.Add(watchers)
	seen := make([][]uint64, watchers)
	was := engine.asked.Load()
	for i := range watchers {
		ended.Go(func() {
			var after uint64
			if i == 0 {
				after = 1 << 62 // one who lies about what it has seen harms itself only
			}
			once := sync.OnceFunc(begun.Done)
			err := c.Watch(t.Context(), id, after, func(e api.Event) error {
				if e.Type == api.EventEntry {
					seen[i] = append(seen[i], e.Seq)
				}
				if len(seen[i]) > watchAtOnce+30 || i == 0 {
					once()
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	began := time.Now()
	add()
	if err := h.rooms.Runs.MarkEnded(t.Context(), id, "completed", "", nil); err != nil {
		t.Fatal(err)
	}
	ended.Wait()
	for i, list := range seen[1:] {
		if len(list) != watchAtOnce+32 || !slices.IsSorted(list) || !slices.Equal(list, seen[1]) {
			t.Errorf("watcher %d saw %d entries: %v", i+1, len(list), list)
		}
	}
	looks := int(time.Since(began)/lookEvery) + 12
	if n := int(engine.asked.Load() - was); n > looks {
		t.Errorf("the engine was asked %d times by %d watchers, want at most %d", n, watchers, looks)
	}
	h.srv.runs.feeds.mu.Lock()
	defer h.srv.runs.feeds.mu.Unlock()
	if left := len(h.srv.runs.feeds.open); left != 0 {
		t.Errorf("%d feeds go on although nobody watches", left)
	}
}
