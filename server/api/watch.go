package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/workflows/run"
)

// maxEvent bounds one event of a stream, in bytes.
const maxEvent = 8 << 20

// Watch follows a run from after the ledger entry of number after, and calls f
// for each event until the run ends, f fails or ctx is done. A broken stream is
// taken up again where it broke; only an answer that refuses ends it.
func (c *Client) Watch(ctx context.Context, id string, after uint64, f func(Event) error) error {
	path, err := runPath(id, "/events")
	if err != nil {
		return err
	}
	wait := 200 * time.Millisecond
	for {
		seen, err := c.watchOnce(ctx, path, &after, f)
		var broken *Unreachable
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &broken):
			return err
		case seen:
			wait = 200 * time.Millisecond
		case wait > 10*time.Second:
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		wait *= 2
	}
}

// watchOnce follows one stream; nil means that the run ended. seen says whether
// any event came.
func (c *Client) watchOnce(ctx context.Context, path string, after *uint64, f func(Event) error) (seen bool, err error) {
	head := http.Header{"Accept": {"text/event-stream"}}
	if *after > 0 {
		head.Set("Last-Event-ID", strconv.FormatUint(*after, 10))
	}
	res, err := c.send(ctx, c.flow, http.MethodGet, path, nil, head)
	if err != nil {
		return false, err
	}
	defer func() { _ = res.Body.Close() }()
	sc := bufio.NewScanner(res.Body)
	sc.Buffer(make([]byte, 64<<10), maxEvent)
	var name, data string
	for sc.Scan() {
		line := sc.Text()
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if name == "" || data == "" {
				continue
			}
			ev, err := readEvent(EventType(name), data, *after)
			name, data = "", ""
			if err != nil {
				return seen, err
			}
			seen = true
			if err := f(ev); err != nil {
				return seen, err
			}
			if ev.Type == EventEnd {
				return seen, nil
			}
		case field == "event":
			name = value
		case field == "data":
			data += value
		case field == "id":
			if n, err := strconv.ParseUint(value, 10, 64); err == nil {
				*after = n
			}
		}
	}
	if err = sc.Err(); err == nil {
		err = io.ErrUnexpectedEOF
	}
	return seen, &Unreachable{Where: c.where, Err: err}
}

func readEvent(t EventType, data string, seq uint64) (Event, error) {
	ev := Event{Seq: seq, Type: t}
	var into any
	switch t {
	case EventEntry:
		ev.Entry = &Entry{}
		into = ev.Entry
	case EventProgress:
		ev.Tree = &run.Progress{}
		into = ev.Tree
	case EventEnd:
		ev.Run = &Run{}
		into = ev.Run
	default: // a later server may say more
		return ev, nil
	}
	if err := json.Unmarshal([]byte(data), into); err != nil {
		return ev, fmt.Errorf("watch: event %s: %w", t, err)
	}
	return ev, nil
}
