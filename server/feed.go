package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/quell-soar/quell/internal/runs"
)

const (
	// lookEvery is how often a watched run is looked at.
	lookEvery = 500 * time.Millisecond
	// watchAtOnce is how many entries one look takes, and how many a feed keeps.
	watchAtOnce = 200
)

// feeds are the runs that are watched just now. A run is looked at once for all
// who watch it: a hundred open consoles cost the database and the engine what
// one does.
type feeds struct {
	api  *runsAPI
	mu   sync.Mutex
	open map[string]*feed
}

// feed looks at one run while somebody watches it.
type feed struct {
	id string
	// watchers is guarded by the mutex of feeds.
	watchers int
	stop     context.CancelFunc

	mu      sync.Mutex
	seen    view
	changed chan struct{}
}

// view is what a feed has seen of its run. The slices in it are not written to
// once they are there.
type view struct {
	// entries are all that come after the number from; before it stand others.
	entries []entry
	from    uint64
	// tree is the newest tree as JSON, and trees how many there were.
	tree  []byte
	trees int
	// end is the ended run as JSON. What failed is err; nothing follows either.
	end []byte
	err error
}

// entry is a ledger entry as JSON.
type entry struct {
	seq  uint64
	body []byte
}

// join returns the feed of a run, which begins where nobody watches it yet;
// after is the last entry that is known to who joins. leave must be called once.
func (fs *feeds) join(id string, after uint64) (f *feed, leave func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f = fs.open[id]
	if f == nil {
		ctx, stop := context.WithCancel(context.Background())
		f = &feed{id: id, stop: stop, seen: view{from: after}, changed: make(chan struct{})}
		fs.open[id] = f
		go fs.follow(ctx, f)
	}
	f.watchers++
	return f, func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		if f.watchers--; f.watchers == 0 {
			fs.drop(f)
		}
	}
}

// drop ends a feed: who joins from now on gets a new one. The caller holds the
// mutex.
func (fs *feeds) drop(f *feed) {
	f.stop()
	if fs.open[f.id] == f {
		delete(fs.open, f.id)
	}
}

// follow looks until the run ended, a look fails, or nobody watches.
func (fs *feeds) follow(ctx context.Context, f *feed) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		v, news := fs.look(ctx, f.id, f.seen) // nobody else writes seen
		if news {
			f.mu.Lock()
			f.seen = v
			close(f.changed)
			f.changed = make(chan struct{})
			f.mu.Unlock()
		}
		if v.err != nil || v.end != nil {
			fs.mu.Lock()
			defer fs.mu.Unlock()
			fs.drop(f)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look returns what there is beyond a view. The run is read before its entries:
// when it says ended, all its entries stand already.
func (fs *feeds) look(ctx context.Context, id string, v view) (next view, news bool) {
	rec, err := fs.api.rooms.Runs.Get(ctx, id)
	if err != nil {
		v.err = err
		return v, true
	}
	fresh, err := fs.entries(ctx, id, v)
	if err != nil {
		v.err = err
		return v, true
	}
	if news = len(fresh) > 0; news {
		v = v.with(fresh)
	}
	// Where the engine cannot tell, the last tree stands.
	if tree, _, err := fs.api.tree(ctx, rec); err == nil && tree != nil {
		if raw, err := json.Marshal(tree); err == nil && !bytes.Equal(raw, v.tree) {
			v.tree, news = raw, true
			v.trees++
		}
	}
	if rec.Status == runs.Ended {
		v.end, v.err = json.Marshal(runOf(rec))
		return v, true
	}
	return v, news
}

// entries reads what came after a view.
func (fs *feeds) entries(ctx context.Context, id string, v view) (out []entry, err error) {
	after := v.from
	if n := len(v.entries); n > 0 {
		after = v.entries[n-1].seq
	}
	for {
		list, err := fs.api.rooms.entriesOf(ctx, id, after, watchAtOnce)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			raw, err := json.Marshal(e)
			if err != nil {
				return nil, fmt.Errorf("entry %d: %w", e.Seq, err)
			}
			out, after = append(out, entry{e.Seq, raw}), e.Seq
		}
		if len(list) < watchAtOnce {
			return out, nil
		}
		if n := len(out); n > 2*watchAtOnce { // the view keeps the last ones only
			out = append([]entry{}, out[n-watchAtOnce-1:]...)
		}
	}
}

// with is a view with more entries, of which the last watchAtOnce are kept. Who
// lacks earlier ones reads them from the ledger.
func (v view) with(fresh []entry) view {
	all := append(append([]entry{}, v.entries...), fresh...)
	if over := len(all) - watchAtOnce; over > 0 {
		v.from, all = all[over-1].seq, append([]entry{}, all[over:]...)
	}
	v.entries = all
	return v
}

// view returns what was seen, and a channel that is closed when there is more.
func (f *feed) view() (view, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen, f.changed
}
