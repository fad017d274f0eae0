package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/server/api"
)

const (
	// lookEvery is how often a watched run is looked at.
	lookEvery = 500 * time.Millisecond
	// beatEvery keeps proxies from closing a quiet stream.
	beatEvery = 15 * time.Second
	// watchAtOnce is how many entries one look takes.
	watchAtOnce = 200
)

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
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return invalid("Last-Event-ID is not a number")
		}
	}
	st := &stream{w: c.w, ctl: http.NewResponseController(c.w), time: a.answerTime}
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	w := &watcher{api: a, stream: st, id: rec.ID, seq: after}
	for {
		// The answer has begun: a failure can only end the stream, and the
		// client takes it up again.
		if ended, err := w.look(c.Context()); err != nil || ended {
			return nil //nolint:nilerr // see above
		}
		select {
		case <-c.Context().Done():
			return nil
		case <-beat.C:
			if st.send(": beat\n\n") != nil {
				return nil
			}
		case <-look.C:
		}
	}
}

// watcher is what a stream has sent so far.
type watcher struct {
	api    *runsAPI
	stream *stream
	id     string
	seq    uint64
	tree   []byte
}

// look sends what is new. The run is read before its entries: when it says
// ended, all its entries stand already.
func (w *watcher) look(ctx context.Context) (ended bool, err error) {
	rec, err := w.api.rooms.Runs.Get(ctx, w.id)
	if err != nil {
		return false, err
	}
	for {
		list, err := w.api.rooms.entriesOf(ctx, w.id, w.seq, watchAtOnce)
		if err != nil {
			return false, err
		}
		for _, e := range list {
			w.seq = e.Seq
			if err := w.send(api.EventEntry, e); err != nil {
				return false, err
			}
		}
		if len(list) < watchAtOnce {
			break
		}
	}
	if tree, _, err := w.api.tree(ctx, rec); err == nil && tree != nil {
		raw, err := json.Marshal(tree)
		if err == nil && !bytes.Equal(raw, w.tree) {
			w.tree = raw
			if err := w.send(api.EventProgress, tree); err != nil {
				return false, err
			}
		}
	}
	if rec.Status != runs.Ended {
		return false, nil
	}
	return true, w.send(api.EventEnd, runOf(rec))
}

func (w *watcher) send(t api.EventType, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("event %s: %w", t, err)
	}
	return w.stream.send(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", w.seq, t, raw))
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
