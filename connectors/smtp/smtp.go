package smtp

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/mail"
	"github.com/quell-soar/quell/connectors/sdk/message"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector is a mail relay.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	m := spec.Manifest{
		Name: "smtp", Version: "1.0.0", Title: "Mail (SMTP)",
		Doc: "Sends plain messages to people through a mail relay. Nobody can be asked afterwards whether one was sent.",
		Settings: []spec.Setting{
			{Name: "relay", Type: kind.Of(kind.String), Doc: "the relay as host:port, such as smtp.example.com:587"},
			{Name: "tls", Type: kind.ChoiceOf(mail.StartTLS, mail.Implicit, mail.Plain), Default: mail.StartTLS, Doc: "starttls (port 587), implicit (port 465), or none, which only a relay on the loopback interface may have"},
			{Name: "authorities", Type: kind.Of(kind.String), Optional: true, Doc: "certificates as PEM that the relay's may be signed by; without it, the machine's"},
			{Name: "user", Type: kind.Of(kind.String), Optional: true, Doc: "the account that signs in; without it nobody does"},
			{Name: "password", Type: kind.Of(kind.Secret), Secret: true, Optional: true, Doc: "the account's password"},
			{Name: "from", Type: kind.Of(kind.Email), Doc: "the sender's address"},
			{Name: "channels", Type: kind.MapOf(kind.Of(kind.Email)), Optional: true, Doc: "the address, such as a mailing list's, of each channel that playbooks may name"},
			message.Setting(),
		},
	}
	if a, ok := vocabulary.Lookup("notify.send_message"); ok {
		a.ReadBack, a.Deadline, a.Settle = spec.NoReadBack, 20*time.Second, 0
		a.Permissions = []string{"send as the address in the setting from"}
		m.Actions = append(m.Actions, a)
	}
	return m
}

// Open checks the settings; it calls nobody.
func (Connector) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	text := func(name string) string { s, _ := c.Settings[name].(string); return s }
	s := &session{channels: map[string]string{}, sent: recall.NewBook[map[string]any](4096)}
	s.relay = &mail.Relay{
		Address: text("relay"), TLS: text("tls"), Authorities: text("authorities"),
		User: text("user"), Password: c.Secrets["password"], From: text("from"),
	}
	if err := s.relay.Check(); err != nil {
		return nil, err
	}
	if (s.relay.User == "") != s.relay.Password.Empty() {
		return nil, spec.Errorf(spec.Invalid, "the settings user and password belong together: give both or neither")
	}
	channels, _ := c.Settings["channels"].(map[string]any)
	for name, v := range channels {
		s.channels[name], _ = v.(string)
	}
	_, s.domain, _ = strings.Cut(s.relay.From, "@")
	var err error
	s.templates, err = message.New(c.Settings["templates"])
	return s, err
}

// session is one relay and sender.
type session struct {
	relay     *mail.Relay
	channels  map[string]string
	templates *message.Templates
	// domain stands behind the Message-ID's @.
	domain string
	// sent remembers by effect key what was accepted.
	sent *recall.Book[map[string]any]
}

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	if r.Action != "notify.send_message" {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "smtp has no action %q", r.Action)
	}
	if r.Mode == spec.Back {
		return spec.Reply{Outcome: spec.Unsure}, nil
	}
	return s.send(ctx, r)
}

// Close has nothing to give back: each message has a connection of its own.
func (s *session) Close() error { return nil }

// Check connects and signs in.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	if err := s.relay.Probe(ctx); err != nil {
		return []sdk.Finding{{Name: "credentials", Advice: err.Error()}}
	}
	return []sdk.Finding{{Name: "credentials", OK: true, Advice: "accepted by " + s.relay.Address}}
}

// send sends one message.
func (s *session) send(ctx context.Context, r spec.Request) (spec.Reply, error) {
	to, err := s.recipient(r)
	if err != nil {
		return spec.Reply{}, err
	}
	text, err := s.templates.Render(r.Inputs)
	if err != nil {
		return spec.Reply{}, err
	}
	if out, ok := s.sent.Get(r.Key); ok {
		return spec.Reply{Outcome: spec.Already, Output: out}, nil
	}
	m := mail.Message{
		To: to, Subject: text.Subject, Text: text.Body, Date: time.Now(),
		ID: "<" + recall.Mark(r.Key) + "@" + s.domain + ">",
	}
	if m.Subject == "" {
		m.Subject = "Message from the security team"
	}
	receipt, err := s.relay.Send(ctx, m)
	if err != nil {
		return spec.Reply{}, err
	}
	out := map[string]any{"message_id": m.ID, "sent_to": to}
	s.sent.First(r.Key, out)
	return spec.Reply{Outcome: spec.Done, Output: out, VendorRequestID: string(receipt)}, nil
}

func (s *session) recipient(r spec.Request) (string, error) {
	to, _ := r.Inputs["to"].(string)
	channel, named := r.Inputs["channel"].(string)
	switch {
	case named == (to != ""):
		return "", spec.Errorf(spec.Invalid, "%s: give either to or channel", r.Action)
	case !named:
		return to, nil
	}
	address, ok := s.channels[channel]
	if !ok {
		return "", spec.Errorf(spec.NotFound, "the setting channels has no %q; it has %s", channel, names(s.channels))
	}
	return address, nil
}

func names(m map[string]string) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
