package entra

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// atOnce is how many mailboxes are spoken to at once. Exchange permits four
// requests at once to one mailbox; these are different ones.
const atOnce = 16

// maxMessage is the largest message that is kept as evidence, in bytes.
const maxMessage = 30 << 20

// message is what is read of a copy.
type message struct {
	ID       string    `json:"id"`
	Folder   string    `json:"parentFolderId"`
	Subject  string    `json:"subject"`
	Received time.Time `json:"receivedDateTime"`
	From     recipient `json:"from"`
	Sender   recipient `json:"sender"`
}

type recipient struct {
	Address struct {
		Address string `json:"address"`
	} `json:"emailAddress"`
}

// each runs f on every element, some at once, until stop says that enough is
// known. What was begun is waited for.
func each[T any](ctx context.Context, all []T, f func(ctx context.Context, i int, v T), stop func() bool) {
	turns := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, v := range all {
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil || stop() {
			break
		}
		wg.Go(func() {
			defer func() { <-turns }()
			f(ctx, i, v)
		})
	}
	wg.Wait()
}

// mailboxes reads the accounts that may have one: those with an address.
func (s *session) mailboxes(ctx context.Context) ([]user, error) {
	all, err := list[user](ctx, s, rest.Request{Path: v1("users"), Query: url.Values{"$select": {"id,mail,userPrincipalName"}, "$top": {"999"}}}, 0)
	var out []user
	for _, u := range all {
		if u.Mail != "" {
			out = append(out, u)
		}
	}
	return out, err
}

// copies finds the copies of a message in one mailbox. An account without a
// mailbox has none.
func (s *session) copies(ctx context.Context, mailbox, messageID string) ([]message, error) {
	found, err := list[message](ctx, s, rest.Request{
		Path: v1("users", mailbox, "messages"), Header: immutable,
		Query: url.Values{"$filter": {"internetMessageId eq " + quoted(messageID)}, "$select": {"id,parentFolderId,subject,receivedDateTime,from,sender"}},
	}, 0)
	if spec.KindOf(err) == spec.NotFound {
		return nil, nil
	}
	return found, err
}

// find is what a search through mailboxes has found so far.
type find struct {
	mu       sync.Mutex
	searched int
	copies   map[int][]message // by the mailbox's place in the list
	failed   map[string]string
	wrong    error
	enough   bool
}

// search asks every mailbox. one ends it at the first copy. A rate limit ends it
// unless it has found nothing out yet but how to wait: see again.
func (s *session) search(ctx context.Context, all []user, messageID string, one bool) *find {
	f := &find{copies: map[int][]message{}, failed: map[string]string{}}
	each(ctx, all, func(ctx context.Context, i int, u user) {
		got, err := again(ctx, &f.mu, &f.searched, func() ([]message, error) { return s.copies(ctx, u.ID, messageID) })
		f.mu.Lock()
		defer f.mu.Unlock()
		if err != nil {
			f.failed[u.Mail], f.wrong = err.Error(), err
			// A credential that is refused, or a vendor that is down, is so everywhere.
			f.enough = f.enough || spec.KindOf(err) != spec.Permission
			return
		}
		f.searched++
		if len(got) > 0 {
			f.copies[i] = got
			f.enough = f.enough || one
		}
	}, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.enough
	})
	if ctx.Err() != nil && f.wrong == nil {
		f.wrong = spec.Errorf(spec.Transient, "the deadline came after %d of %d mailboxes", f.searched, len(all))
	}
	return f
}

// again waits for a rate limit's end and tries once more, where other requests of
// the same call went well: thousands of them would else begin anew each time.
// Where none did, the caller waits.
func again[T any](ctx context.Context, mu *sync.Mutex, done *int, f func() (T, error)) (T, error) {
	for {
		v, err := f()
		e, limited := err.(*spec.Error) //nolint:errorlint // rest gives it unwrapped
		mu.Lock()
		progress := *done > 0
		mu.Unlock()
		if !limited || e.Kind != spec.RateLimited || !progress || !pause(ctx, e.RetryAfter) {
			return v, err
		}
	}
}

// findMessages lists every copy of a message. A mailbox that refuses is named; a
// search that could not go on is an error, for a part of the copies would pass
// for all.
func (s *session) findMessages(ctx context.Context, r spec.Request) (spec.Reply, error) {
	id, _ := r.Inputs["message_id"].(string)
	all, err := s.mailboxes(ctx)
	if err != nil {
		return spec.Reply{}, err
	}
	f := s.search(ctx, all, id, false)
	if f.wrong != nil && (f.enough || ctx.Err() != nil || f.searched == 0) {
		return spec.Reply{}, f.wrong
	}
	out := []any{}
	for i, u := range all {
		for _, m := range f.copies[i] {
			out = append(out, s.messageHandle(u, m))
		}
	}
	refused := []any{}
	for _, address := range slices.Sorted(maps.Keys(f.failed)) {
		refused = append(refused, address)
	}
	reply := spec.Reply{Outcome: spec.Done, Output: map[string]any{"messages": out, "mailboxes": int64(f.searched), "refused": refused}}
	if len(f.failed) > 0 {
		reply.Outcome, reply.Failed = spec.Partial, f.failed
	}
	return reply, nil
}

// messageHandle names a copy by its mailbox and its immutable id.
func (s *session) messageHandle(u user, m message) kind.Handle {
	return kind.Handle{Name: "message", Instance: s.instance, ID: u.ID + "/" + m.ID, Label: u.Mail}
}

// getMessage finds one copy and keeps it whole.
func (s *session) getMessage(ctx context.Context, r spec.Request) (spec.Reply, error) {
	id, _ := r.Inputs["message_id"].(string)
	u, m, err := s.oneCopy(ctx, r, id)
	if err != nil {
		return spec.Reply{}, err
	}
	sender := m.From.Address.Address
	if sender == "" {
		sender = m.Sender.Address.Address
	}
	if kind.Check(kind.Of(kind.Email), sender) != nil {
		return spec.Reply{}, spec.Errorf(spec.Conflict, "the message's sender %q is no address; look at it in Exchange", plain(sender))
	}
	raw, err := s.graph.Do(ctx, rest.Request{Path: v1("users", u.ID, "messages", m.ID, "$value"), Header: map[string]string{
		"Prefer": immutable["Prefer"], "Accept": "text/plain, */*",
	}})
	if err != nil {
		return spec.Reply{}, err
	}
	if len(raw.Body) == 0 || len(raw.Body) > maxMessage {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "the message has %d bytes; between 1 and %d are kept", len(raw.Body), maxMessage)
	}
	eml := kind.ArtifactOf(raw.Body)
	return spec.Reply{
		Outcome: spec.Done, Artifacts: map[string][]byte{eml: raw.Body},
		Output: map[string]any{
			"message": s.messageHandle(u, m), "mailbox": u.Mail, "sender": sender, "subject": m.Subject,
			"received": m.Received.UTC(), "eml": eml,
		},
	}, nil
}

// oneCopy finds a copy, in the mailbox that the call names first.
func (s *session) oneCopy(ctx context.Context, r spec.Request, id string) (user, message, error) {
	if address, ok := r.Inputs["mailbox"].(string); ok {
		u, err := get[user](ctx, s, rest.Request{Path: v1("users", address), Query: url.Values{"$select": {"id,mail,userPrincipalName"}}})
		if err == nil && u.Mail != "" {
			found, err := s.copies(ctx, u.ID, id)
			if err != nil || len(found) > 0 {
				return u, first(found), err
			}
		}
		if err != nil && spec.KindOf(err) != spec.NotFound {
			return user{}, message{}, err
		}
	}
	all, err := s.mailboxes(ctx)
	if err != nil {
		return user{}, message{}, err
	}
	f := s.search(ctx, all, id, true)
	for i, u := range all {
		if len(f.copies[i]) > 0 {
			return u, first(f.copies[i]), nil
		}
	}
	if f.wrong != nil {
		return user{}, message{}, f.wrong
	}
	return user{}, message{}, spec.Errorf(spec.NotFound, "none of %d mailboxes has a message with the Message-ID %s", f.searched, plain(id))
}

func first(m []message) message {
	if len(m) == 0 {
		return message{}
	}
	return m[0]
}

// copyOf takes a handle apart.
func copyOf(action string, v any) (mailbox, id string, h kind.Handle, err error) {
	h, _ = v.(kind.Handle)
	mailbox, id, ok := strings.Cut(h.ID, "/")
	if !ok || !guidForm.MatchString(mailbox) || id == "" {
		return "", "", h, spec.Errorf(spec.Invalid, "%s: a message is none of Exchange; find it with mail.find_messages", action)
	}
	return mailbox, id, h, nil
}

// locate reads in which folder a copy lies.
func (s *session) locate(ctx context.Context, mailbox, id string) (string, error) {
	m, err := get[message](ctx, s, rest.Request{
		Path: v1("users", mailbox, "messages", id), Query: url.Values{"$select": {"id,parentFolderId"}}, Header: immutable,
	})
	return m.Folder, err
}

// move asks for a copy to be put into a folder, by id or well-known name.
func (s *session) move(ctx context.Context, mailbox, id, folder string) error {
	_, err := s.write(ctx, http.MethodPost, v1("users", mailbox, "messages", id, "move"), map[string]any{"destinationId": folder})
	return err
}
