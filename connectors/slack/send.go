package slack

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/message"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// How far back a mark is looked for, and how long after a lost answer.
const (
	lookback    = 24 * time.Hour
	historyPage = 200
	maxPages    = 10
	lostPoll    = 300 * time.Millisecond
	patience    = time.Second
	margin      = 150 * time.Millisecond
)

// eventType names our metadata; Slack wants one.
const eventType = "quell_message"

// place is a conversation and what people call it.
type place struct{ id, label string }

// send posts one message, or finds the one that was posted for the key.
func (s *session) send(ctx context.Context, r spec.Request) (spec.Reply, error) {
	text, err := s.templates.Render(r.Inputs)
	if err != nil {
		return spec.Reply{}, err
	}
	if out, ok := s.sent.Get(r.Key); ok {
		if r.Mode == spec.Back {
			return spec.Reply{Outcome: spec.Present, Output: out}, nil
		}
		return spec.Reply{Outcome: spec.Already, Output: out}, nil
	}
	to, err := s.resolve(ctx, r)
	if err != nil {
		return spec.Reply{}, err
	}
	mark := recall.Mark(r.Key)
	ts, all, err := s.marked(ctx, to.id, mark)
	switch {
	case err != nil:
		return spec.Reply{}, err
	case ts != "" && r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Present, Output: output(to, ts)}, nil
	case ts != "":
		return spec.Reply{Outcome: spec.Already, Output: output(to, ts)}, nil
	case r.Mode == spec.Back && !all:
		return spec.Reply{Outcome: spec.Unsure}, nil
	case r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	return s.post(ctx, r, to, mark, text)
}

// resolve finds the conversation that the message goes to.
func (s *session) resolve(ctx context.Context, r spec.Request) (place, error) {
	mail, _ := r.Inputs["to"].(string)
	channel, named := r.Inputs["channel"].(string)
	switch {
	case named == (mail != ""):
		return place{}, spec.Errorf(spec.Invalid, "%s: give either to or channel", r.Action)
	case named:
		id, ok := s.channels[channel]
		if !ok {
			return place{}, spec.Errorf(spec.NotFound, "the setting channels has no %q; it has %s", channel, strings.Join(slices.Sorted(maps.Keys(s.channels)), ", "))
		}
		return place{id, channel}, nil
	}
	var found struct {
		User struct {
			ID      string `json:"id"`
			Deleted bool   `json:"deleted"`
		} `json:"user"`
	}
	if _, err := s.call(ctx, rest.Request{Method: http.MethodGet, Path: []string{"users.lookupByEmail"}, Query: url.Values{"email": {mail}}}, &found); err != nil {
		return place{}, err
	}
	if found.User.Deleted || found.User.ID == "" {
		return place{}, spec.Errorf(spec.NotFound, "the Slack account of %s is deactivated", mail)
	}
	var opened struct {
		Channel struct {
			ID string `json:"id"`
		} `json:"channel"`
	}
	// Opening a conversation that is open changes nothing, and one without a
	// message shows to nobody: it counts as a read.
	_, err := s.call(ctx, rest.Request{
		Method: http.MethodPost, Path: []string{"conversations.open"}, Read: true, JSON: map[string]any{"users": found.User.ID},
	}, &opened)
	if err == nil && !channelForm.MatchString(opened.Channel.ID) {
		err = spec.Errorf(spec.Transient, "Slack opened no conversation with %s", mail)
	}
	return place{opened.Channel.ID, mail}, err
}

func (s *session) post(ctx context.Context, r spec.Request, to place, mark string, text message.Text) (spec.Reply, error) {
	body := text.Body
	if text.Subject != "" {
		body = text.Subject + "\n\n" + body
	}
	var made struct {
		TS string `json:"ts"`
	}
	rep, err := s.call(ctx, rest.Request{Method: http.MethodPost, Path: []string{"chat.postMessage"}, JSON: map[string]any{
		"channel": to.id, "text": escape(body), "mrkdwn": false, "parse": "none", "link_names": false, "unfurl_links": false, "unfurl_media": false,
		"metadata": map[string]any{"event_type": eventType, "event_payload": map[string]any{"mark": mark}},
	}}, &made)
	if err != nil && spec.KindOf(err) != spec.Uncertain {
		return spec.Reply{}, err
	}
	// Answered or not, the conversation is the proof.
	for until := time.Now().Add(patience); ; {
		if ts, _, again := s.marked(ctx, to.id, mark); again == nil && ts != "" {
			reply := spec.Reply{Outcome: spec.Done, Output: output(to, ts)}
			if rep != nil {
				reply.VendorRequestID = rep.RequestID
			}
			s.sent.First(r.Key, reply.Output)
			return reply, nil
		}
		if time.Now().After(until) || !pause(ctx, lostPoll) {
			break
		}
	}
	switch {
	case err != nil:
		return spec.Reply{}, err
	case made.TS == "":
		return spec.Reply{}, spec.Errorf(spec.Uncertain, "Slack accepted the message and did not name it; it may be there")
	}
	return spec.Reply{Outcome: spec.Pending, Output: output(to, made.TS), VendorRequestID: rep.RequestID}, nil
}

// history is one page of a conversation, newest first.
type history struct {
	Messages []struct {
		TS       string `json:"ts"`
		Metadata struct {
			EventType string `json:"event_type"`
			Payload   struct {
				Mark string `json:"mark"`
			} `json:"event_payload"`
		} `json:"metadata"`
	} `json:"messages"`
	HasMore bool `json:"has_more"`
	Next    struct {
		Cursor string `json:"next_cursor"`
	} `json:"response_metadata"`
}

func (s *session) page(ctx context.Context, channel string, query url.Values) (history, error) {
	query.Set("channel", channel)
	query.Set("include_all_metadata", "true")
	var h history
	_, err := s.call(ctx, rest.Request{Method: http.MethodGet, Path: []string{"conversations.history"}, Query: query}, &h)
	return h, err
}

// marked finds the message with a mark. all is false where older ones were not
// looked at.
func (s *session) marked(ctx context.Context, channel, mark string) (ts string, all bool, err error) {
	query := url.Values{
		"limit":  {strconv.Itoa(historyPage)},
		"oldest": {strconv.FormatInt(time.Now().Add(-lookback).Unix(), 10)},
	}
	for range maxPages {
		h, err := s.page(ctx, channel, query)
		if err != nil {
			return "", false, err
		}
		for _, m := range h.Messages {
			if m.Metadata.EventType == eventType && m.Metadata.Payload.Mark == mark {
				return m.TS, true, nil
			}
		}
		if h.Next.Cursor == "" {
			return "", !h.HasMore, nil
		}
		query.Set("cursor", h.Next.Cursor)
	}
	return "", false, nil
}

func output(to place, ts string) map[string]any {
	return map[string]any{"message_id": to.id + "/" + ts, "sent_to": to.label}
}

// escape writes a text so that Slack reads nothing in it: a mention, a link and
// a date all begin with "<".
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// pause waits, and reports false where the deadline would come first.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d+margin {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
