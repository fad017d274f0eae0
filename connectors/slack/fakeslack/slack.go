package fakeslack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// User describes a person to seed.
type User struct {
	Email   string `json:"email"`
	Name    string `json:"name,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
}

// Channel describes a channel to seed.
type Channel struct {
	Name string `json:"name"`
	// ID is the channel's; empty makes one of the name.
	ID string `json:"id,omitempty"`
	// Foreign says that the app is no member.
	Foreign bool `json:"foreign,omitempty"`
}

// Message is one message as it stands in a conversation.
type Message struct {
	TS       string          `json:"ts"`
	Text     string          `json:"text"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	// App says that our app posted it.
	App  bool `json:"app"`
	seen time.Time
}

type user struct {
	id string
	User
}

type conversation struct {
	id, name string
	foreign  bool
	messages []Message // oldest first
}

// Slack is the fake.
type Slack struct {
	world         *fake.World
	vendor        *fake.Vendor
	token         string
	users         []*user
	conversations []*conversation
	serial        int
	page, chatter int
}

// New makes an empty workspace in the world that accepts one bot token.
func New(w *fake.World, token string) *Slack {
	s := &Slack{world: w, token: token, page: 1000}
	s.vendor = &fake.Vendor{
		Name: "slack", Authorize: s.authorize, Refused: refused, Dump: s.dump, Expire: func() {},
		Soft: func(c *fake.Call) fake.Answer { return failure(c, "is_archived") },
	}
	w.Lag("slack.history", 0)
	w.Lag("slack.latency", 0)
	w.Add(s.vendor)
	return s
}

// Pages sets how many messages a page of the history has at most.
func (s *Slack) Pages(n int) { s.world.Do(func() { s.page = n }) }

// Chatter lets others write n messages after each of ours.
func (s *Slack) Chatter(n int) { s.world.Do(func() { s.chatter = n }) }

// Seed adds people and channels.
func (s *Slack) Seed(channels []Channel, users ...User) {
	s.world.Do(func() {
		for _, c := range channels {
			if c.ID == "" {
				c.ID = fmt.Sprintf("C0LAB%05d", len(s.conversations)+1)
			}
			s.conversations = append(s.conversations, &conversation{id: c.ID, name: c.Name, foreign: c.Foreign})
		}
		for _, u := range users {
			s.users = append(s.users, &user{fmt.Sprintf("U0LAB%05d", len(s.users)+1), u})
		}
	})
}

// Messages returns what stands in a channel, or in the direct messages with a
// mail address, oldest first.
func (s *Slack) Messages(name string) []Message {
	var out []Message
	s.world.Do(func() {
		for _, c := range s.conversations {
			if c.name == name {
				out = append(out, c.messages...)
			}
		}
	})
	return out
}

func (s *Slack) dump() any {
	out := map[string]any{}
	for _, c := range s.conversations {
		if len(c.messages) == 0 {
			continue // a conversation that was only opened shows to nobody
		}
		texts := []string{}
		for _, m := range c.messages {
			texts = append(texts, m.Text)
		}
		out[c.name] = texts
	}
	return out
}

// Handler serves the API.
func (s *Slack) Handler() http.Handler {
	mux := http.NewServeMux()
	on := func(method, name string, prepare func(*fake.Call, url.Values) fake.Act) {
		mux.Handle("/"+method, s.world.Handler(s.vendor, fake.Operation{Name: name, Prepare: func(c *fake.Call) fake.Act {
			return prepare(c, arguments(c))
		}}))
	}
	on("auth.test", "auth", func(c *fake.Call, _ url.Values) fake.Act {
		return fake.Say("", success(c, map[string]any{
			"url": "https://lab.slack.example/", "team": "Lab", "user": "quell", "team_id": "T0LAB00001", "user_id": "U0LAB00000",
		}))
	})
	on("users.lookupByEmail", "lookup", s.lookup)
	on("conversations.open", "open", s.open)
	on("chat.postMessage", "post", s.post)
	on("conversations.history", "history", s.history)
	return mux
}

// arguments reads a call's arguments from the query, a form or a JSON body;
// values of JSON that are no text come as JSON.
func arguments(c *fake.Call) url.Values {
	q := c.URL.Query()
	if strings.HasPrefix(c.Header.Get("Content-Type"), "application/json") {
		var in map[string]json.RawMessage
		if c.JSON(&in) != nil {
			return q
		}
		for name, raw := range in {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			q.Set(name, text)
		}
		return q
	}
	if form, err := url.ParseQuery(string(c.Body)); err == nil {
		for name := range form {
			q.Set(name, form.Get(name))
		}
	}
	return q
}

func success(c *fake.Call, fields map[string]any) fake.Answer {
	fields["ok"] = true
	return fake.Answer{Status: http.StatusOK, Header: map[string]string{"X-Slack-Req-Id": c.ID}, Body: fields}
}

func failure(c *fake.Call, code string) fake.Answer {
	return fake.Answer{Status: http.StatusOK, Header: map[string]string{"X-Slack-Req-Id": c.ID}, Body: map[string]any{"ok": false, "error": code}}
}

func refused(c *fake.Call, status int, retry time.Duration) fake.Answer {
	switch {
	case status == http.StatusUnauthorized:
		return failure(c, "invalid_auth")
	case status == http.StatusForbidden:
		return failure(c, "missing_scope")
	case status == http.StatusNotFound:
		return failure(c, "channel_not_found")
	case status == http.StatusTooManyRequests:
		a := failure(c, "ratelimited")
		a.Status, a.Header["Retry-After"] = status, strconv.Itoa(int((retry+time.Second-1)/time.Second))
		return a
	case status >= 500:
		a := failure(c, "internal_error")
		a.Status = status
		return a
	}
	return failure(c, "invalid_arguments")
}

func (s *Slack) authorize(c *fake.Call) *fake.Answer {
	scheme, text, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if scheme == "Bearer" && text == s.token {
		return nil
	}
	a := failure(c, "invalid_auth")
	return &a
}

func (s *Slack) lookup(c *fake.Call, in url.Values) fake.Act {
	return fake.Act{Object: in.Get("email"), Run: func() fake.Done {
		for _, u := range s.users {
			if strings.EqualFold(u.Email, in.Get("email")) {
				return fake.Done{Answer: success(c, map[string]any{"user": s.person(u)})}
			}
		}
		return fake.Done{Answer: failure(c, "users_not_found")}
	}}
}

func (s *Slack) person(u *user) map[string]any {
	name := u.Name
	if name == "" {
		name, _, _ = strings.Cut(u.Email, "@")
	}
	return map[string]any{"id": u.id, "team_id": "T0LAB00001", "name": name, "deleted": u.Deleted}
}

// open opens the direct messages with one person; twice is once.
func (s *Slack) open(c *fake.Call, in url.Values) fake.Act {
	return fake.Act{Object: in.Get("users"), Run: func() fake.Done {
		for _, u := range s.users {
			if u.id != in.Get("users") {
				continue
			}
			if u.Deleted {
				return fake.Done{Answer: failure(c, "user_disabled")}
			}
			id := "D" + u.id[1:]
			if s.find(id) == nil {
				s.conversations = append(s.conversations, &conversation{id: id, name: u.Email})
			}
			return fake.Done{Answer: success(c, map[string]any{"channel": map[string]any{"id": id}})}
		}
		return fake.Done{Answer: failure(c, "user_not_found")}
	}}
}

func (s *Slack) find(id string) *conversation {
	for _, v := range s.conversations {
		if v.id == id {
			return v
		}
	}
	return nil
}

func (s *Slack) post(c *fake.Call, in url.Values) fake.Act {
	v := s.find(in.Get("channel"))
	switch {
	case v == nil:
		return fake.Say("", failure(c, "channel_not_found"))
	case v.foreign:
		return fake.Say(v.name, failure(c, "not_in_channel"))
	case in.Get("text") == "":
		return fake.Say(v.name, failure(c, "no_text"))
	case len([]rune(in.Get("text"))) > 40000:
		return fake.Say(v.name, failure(c, "msg_too_long"))
	}
	return fake.Act{Object: v.name, Run: func() fake.Done {
		m := s.write(v, in.Get("text"), json.RawMessage(in.Get("metadata")), true)
		for n := range s.chatter {
			s.write(v, fmt.Sprintf("so they say (%d)", n+1), nil, false)
		}
		return fake.Done{
			Answer: success(c, map[string]any{"channel": v.id, "ts": m.TS, "message": map[string]any{
				"type": "message", "user": "U0LAB00000", "text": m.Text, "ts": m.TS, "team": "T0LAB00001",
			}}),
			Effects: []fake.Change{{Object: v.name, Key: mark(m.Metadata), After: m.Text}},
		}
	}}
}

// write appends a message. A message's ts is unique in its conversation.
func (s *Slack) write(v *conversation, text string, metadata json.RawMessage, app bool) Message {
	s.serial++
	now := s.world.Clock().Now()
	m := Message{
		TS: fmt.Sprintf("%d.%06d", now.Unix(), s.serial), Text: text, App: app, seen: now.Add(s.world.LagOf("slack.history")),
	}
	if len(metadata) > 0 && json.Valid(metadata) {
		m.Metadata = metadata
	}
	v.messages = append(v.messages, m)
	return m
}

// mark is the text that stands for the caller's key in the journal.
func mark(metadata json.RawMessage) string {
	var m struct {
		Payload map[string]string `json:"event_payload"`
	}
	if json.Unmarshal(metadata, &m) != nil {
		return ""
	}
	return m.Payload["mark"]
}

func (s *Slack) history(c *fake.Call, in url.Values) fake.Act {
	v := s.find(in.Get("channel"))
	switch {
	case v == nil:
		return fake.Say("", failure(c, "channel_not_found"))
	case v.foreign:
		return fake.Say(v.name, failure(c, "not_in_channel"))
	}
	size := s.page
	if n, err := strconv.Atoi(in.Get("limit")); err == nil && n > 0 {
		size = min(size, n)
	}
	oldest, _ := strconv.ParseFloat(in.Get("oldest"), 64)
	skip, _ := strconv.Atoi(strings.TrimPrefix(in.Get("cursor"), "next-"))
	return fake.Act{Object: v.name, Run: func() fake.Done {
		all := []any{}
		for _, m := range slices.Backward(v.messages) {
			at, _ := strconv.ParseFloat(m.TS, 64)
			if at <= oldest || m.seen.After(s.world.Clock().Now()) {
				continue
			}
			shown := map[string]any{"type": "message", "ts": m.TS, "text": m.Text, "user": "U0LAB00000"}
			if in.Get("include_all_metadata") == "true" && m.Metadata != nil {
				shown["metadata"] = m.Metadata
			}
			all = append(all, shown)
		}
		first := min(max(skip, 0), len(all))
		end := min(first+size, len(all))
		next := ""
		if end < len(all) {
			next = fmt.Sprintf("next-%d", end)
		}
		return fake.Done{Answer: success(c, map[string]any{
			"messages": all[first:end], "has_more": next != "", "response_metadata": map[string]any{"next_cursor": next},
		})}
	}}
}

// Control serves the workspace's side of the lab's control API:
//
//	POST /_lab/slack  {"channels": [{"name": "soc"}], "users": [{"email": "ann@example.com"}]}
func (s *Slack) Control(mux *http.ServeMux) {
	mux.HandleFunc("POST /_lab/slack", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Channels []Channel `json:"channels"`
			Users    []User    `json:"users"`
		}
		err := fake.Read(w, r, &in)
		ids := map[string]string{}
		if err == nil {
			s.Seed(in.Channels, in.Users...)
			s.world.Do(func() {
				for _, v := range s.conversations {
					ids[v.name] = v.id
				}
			})
		}
		fake.Reply(w, ids, err, http.StatusBadRequest)
	})
}
