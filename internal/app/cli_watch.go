package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// watch follows a run and answers with its outcome as an exit code.
func (c *cli) watch(ctx context.Context, cl *api.Client, id string) error {
	var show interface {
		event(api.Event) error
		close()
	}
	width, height, terminal := c.screen()
	switch {
	case c.output == outputJSON:
		show = &jsonWatch{enc: json.NewEncoder(c.out)}
	case terminal && c.getenv("TERM") != "dumb":
		show = newLiveWatch(c.out, newView(c.now), width, height)
	default:
		show = &lineWatch{w: c.out, now: c.now, seen: map[string]string{}}
	}
	var ended *api.Run
	err := cl.Watch(ctx, id, 0, func(ev api.Event) error {
		if ev.Type == api.EventEnd {
			ended = ev.Run
		}
		return show.event(ev)
	})
	show.close()
	if err != nil {
		return err
	}
	return c.outcome(ctx, cl, id, ended)
}

// outcome turns the end of a run into an exit code.
func (c *cli) outcome(ctx context.Context, cl *api.Client, id string, ended *api.Run) error {
	detail, err := cl.Run(ctx, id)
	if err != nil {
		return err
	}
	for _, e := range detail.Effects {
		if e.Outcome == "unknown" {
			return failed(ExitUnknown, "run %s ended %s, and it is not known whether %s on %s happened; quell run show %s", id, detail.Closing, e.Action, strings.Join(e.Targets, " "), id)
		}
	}
	closing := detail.Closing
	if ended != nil {
		closing = ended.Closing
	}
	switch closing {
	case "failed", "cancelled":
		return quiet(ExitFailed)
	case "denied":
		return quiet(ExitRefused)
	}
	return nil
}

// jsonWatch writes one JSON object a line.
type jsonWatch struct{ enc *json.Encoder }

func (j *jsonWatch) event(ev api.Event) error {
	out := struct {
		Seq   uint64        `json:"seq"`
		Type  api.EventType `json:"type"`
		Entry *api.Entry    `json:"entry,omitempty"`
		Tree  *run.Progress `json:"tree,omitempty"`
		Run   *api.Run      `json:"run,omitempty"`
	}{ev.Seq, ev.Type, ev.Entry, ev.Tree, ev.Run}
	if err := j.enc.Encode(out); err != nil {
		return fmt.Errorf("write the event: %w", err)
	}
	return nil
}

func (j *jsonWatch) close() {}

// lineWatch appends one line for each change; it is for logs and dumb terminals.
type lineWatch struct {
	w    io.Writer
	now  func() time.Time
	seen map[string]string
}

func (l *lineWatch) line(at time.Time, words ...string) {
	if at.IsZero() {
		at = l.now()
	}
	var kept []string
	for _, w := range words {
		if w != "" {
			kept = append(kept, clean(w))
		}
	}
	_, _ = fmt.Fprintf(l.w, "%s  %s\n", at.UTC().Format(time.TimeOnly), strings.Join(kept, "  "))
}

func (l *lineWatch) event(ev api.Event) error {
	switch {
	case ev.Entry != nil:
		l.line(ev.Entry.At, ev.Entry.Kind, ev.Entry.Step, ev.Entry.Actor, decisionOf(ev.Entry), effectOf(ev.Entry))
	case ev.Tree != nil:
		l.steps(ev.Tree.Steps)
	case ev.Run != nil:
		l.line(ev.Run.Ended, "ended", ev.Run.Closing, ev.Run.Reason)
	}
	return nil
}

func (l *lineWatch) steps(list []run.StepProgress) {
	for _, s := range list {
		key := s.Path + round(s.Iteration)
		if l.seen[key] != s.Status {
			l.seen[key] = s.Status
			at, took := s.Began, ""
			if !s.Ended.IsZero() {
				at, took = s.Ended, span(s.Ended.Sub(s.Began))
			}
			l.line(at, s.Status, key, s.Title, took, s.Detail)
		}
		l.steps(s.Steps)
	}
}

func (l *lineWatch) close() {}

// effectOf says what an entry of an effect is about; "" for others.
func effectOf(e *api.Entry) string {
	if !strings.HasPrefix(e.Kind, "effect.") {
		return ""
	}
	var effect struct {
		Action    string `json:"action"`
		Direction string `json:"direction"`
		Outcome   string `json:"outcome"`
	}
	if json.Unmarshal(e.Payload, &effect) != nil {
		return ""
	}
	if effect.Direction == "undo" {
		effect.Action = "undo " + effect.Action
	}
	return strings.TrimSpace(effect.Action + " " + effect.Outcome)
}

// decisionOf says what a vote was; "" for an entry that is no vote.
func decisionOf(e *api.Entry) string {
	if e.Kind != "vote.cast" {
		return ""
	}
	var vote struct {
		Approve bool            `json:"approve"`
		Reason  string          `json:"reason"`
		Answer  json.RawMessage `json:"answer"`
	}
	if json.Unmarshal(e.Payload, &vote) != nil {
		return ""
	}
	word := "denied"
	if vote.Approve {
		word = "approved"
		if len(vote.Answer) > 0 && string(vote.Answer) != "null" {
			word = "answered"
		}
	}
	if vote.Reason != "" {
		word += ": " + vote.Reason
	}
	return word
}

// liveWatch draws the tree anew at each change and each second.
type liveWatch struct {
	w             io.Writer
	width, height int
	stop          chan struct{}
	stopped       chan struct{}

	mu    sync.Mutex // guards what follows
	view  *view
	drawn int
	// said and footer stand beneath the tree: what was said for good, and what
	// is asked now.
	said, footer []string
}

func newLiveWatch(w io.Writer, v *view, width, height int) *liveWatch {
	l := &liveWatch{w: w, view: v, width: width, height: height, stop: make(chan struct{}), stopped: make(chan struct{})}
	go l.tick()
	return l
}

// tick keeps the elapsed times true while nothing happens.
func (l *liveWatch) tick() {
	defer close(l.stopped)
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-t.C:
			l.mu.Lock()
			l.draw()
			l.mu.Unlock()
		}
	}
}

func (l *liveWatch) event(ev api.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case ev.Entry != nil:
		l.view.note(ev.Entry)
	case ev.Tree != nil:
		l.view.tree = ev.Tree
	case ev.Run != nil:
		l.view.end = ev.Run
	}
	l.draw()
	return nil
}

// foot asks something beneath the tree, or nothing.
func (l *liveWatch) foot(lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.footer = lines
	l.draw()
}

// note says something beneath the tree for good.
func (l *liveWatch) note(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, line)
	l.draw()
}

// draw replaces what was drawn. The cursor stands under the last line.
func (l *liveWatch) draw() {
	list := slices.Concat(l.view.lines(), l.said, l.footer)
	if most := l.height - 1; len(list) > most && most > 1 {
		hidden := len(list) - most + 1
		list = append([]string{list[0], fmt.Sprintf("… %d lines above", hidden)}, list[hidden+1:]...)
	}
	var b strings.Builder
	if l.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", l.drawn)
	}
	b.WriteString("\r\x1b[J")
	for _, s := range list {
		b.WriteString(cut(s, l.width-1) + "\n")
	}
	l.drawn = len(list)
	_, _ = io.WriteString(l.w, b.String())
}

func (l *liveWatch) close() {
	close(l.stop)
	<-l.stopped
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draw()
}
