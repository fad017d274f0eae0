package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// beatEvery keeps proxies from closing a quiet stream.
const beatEvery = 15 * time.Second

// watch streams a run as server-sent events. The id of an event is the number
// of the last ledger entry sent, so a client that comes back with
// Last-Event-ID misses no entry. The tree has no number: it is sent whole
// whenever it changed.
func (a *runsAPI) watch(c *call) error {
	rec, err := a.get(c.Context(), c.run())
	if err != nil {
		return err
	}
	var after uint64
	if text := c.Header.Get("Last-Event-ID"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 63); err != nil {
			return invalid("Last-Event-ID is not a number")
		}
	}
	st := &stream{w: c.w, ctl: http.NewResponseController(c.w), time: a.answerTime}
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	f, leave := a.feeds.join(rec.ID, a.known(c.Context(), rec.ID, after))
	defer leave()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	w := &watcher{api: a, stream: st, id: rec.ID, seq: after}
	for {
		v, changed := f.view()
		// The answer has begun: a failure can only end the stream, and the
		// client takes it up again.
		if ended, err := w.show(c.Context(), v); err != nil || ended {
			return nil //nolint:nilerr // see above
		}
		select {
		case <-c.Context().Done():
			return nil
		case <-beat.C:
			if st.send(": beat\n\n") != nil {
				return nil
			}
		case <-changed:
		}
	}
}

// known is the number of an entry where the run has one of that number, else 0:
// what a client says it has seen must not decide what others see.
func (a *runsAPI) known(ctx context.Context, id string, seq uint64) uint64 {
	if seq == 0 {
		return 0
	}
	list, err := a.rooms.entriesOf(ctx, id, seq-1, 1)
	if err != nil || len(list) == 0 || list[0].Seq != seq {
		return 0
	}
	return seq
}

// watcher is what a stream has sent so far.
type watcher struct {
	api    *runsAPI
	stream *stream
	id     string
	seq    uint64
	trees  int
}

// show sends what is new in a view.
func (w *watcher) show(ctx context.Context, v view) (ended bool, err error) {
	if err := w.catchUp(ctx, v.from); err != nil {
		return false, err
	}
	for _, e := range v.entries {
		if e.seq <= w.seq {
			continue
		}
		w.seq = e.seq
		if err := w.send(api.EventEntry, e.body); err != nil {
			return false, err
		}
	}
	if v.trees != w.trees {
		w.trees = v.trees
		if err := w.send(api.EventProgress, v.tree); err != nil {
			return false, err
		}
	}
	if v.end != nil {
		return true, w.send(api.EventEnd, v.end)
	}
	return false, v.err
}

// catchUp sends the entries that stand before a view begins.
func (w *watcher) catchUp(ctx context.Context, from uint64) error {
	for w.seq < from {
		list, err := w.api.rooms.entriesOf(ctx, w.id, w.seq, watchAtOnce)
		if err != nil {
			return err
		}
		for _, e := range list {
			raw, err := json.Marshal(e)
			if err != nil {
				return fmt.Errorf("entry %d: %w", e.Seq, err)
			}
			w.seq = e.Seq
			if err := w.send(api.EventEntry, raw); err != nil {
				return err
			}
		}
		if len(list) < watchAtOnce {
			return nil
		}
	}
	return nil
}

func (w *watcher) send(t api.EventType, body []byte) error {
	return w.stream.send(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", w.seq, t, body))
}

// stream writes pieces of a long answer, each with its own deadline.
type stream struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	time time.Duration
}

func (s *stream) send(text string) error {
	_, err := s.Write([]byte(text))
	return err
}

// Write writes and flushes one piece.
func (s *stream) Write(p []byte) (int, error) {
	// A recorder in a test has no deadlines; everything else does.
	_ = s.ctl.SetWriteDeadline(time.Now().Add(s.time))
	n, err := s.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, s.ctl.Flush()
}
