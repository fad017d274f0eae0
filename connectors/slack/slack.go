package slack

import (
	"context"
	"regexp"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/message"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector is Slack.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	m := spec.Manifest{
		Name: "slack", Version: "1.0.0", Title: "Slack",
		Doc: "Sends plain messages to people and channels of one workspace, as an app with a bot token.",
		Settings: []spec.Setting{
			{Name: "base_url", Type: kind.Of(kind.URL), Default: "https://slack.com/api", Doc: "the Web API"},
			{Name: "bot_token", Type: kind.Of(kind.Secret), Secret: true, Doc: "the app's bot token (xoxb-…)"},
			{Name: "channels", Type: kind.MapOf(kind.Of(kind.String)), Optional: true, Doc: "the id, such as C0123456789, of each channel that playbooks may name; the app must be a member"},
			message.Setting(),
			{Name: "allow_http", Type: kind.Of(kind.Boolean), Default: "false", Doc: "permits a base URL without TLS beyond the loopback interface; for labs only"},
		},
	}
	if a, ok := vocabulary.Lookup("notify.send_message"); ok {
		a.Deadline, a.Settle = 15*time.Second, 5*time.Second
		// The scopes that read, then those that act.
		a.Permissions = []string{"users:read.email", "users:read", "channels:history", "groups:history", "im:history", "im:write", "chat:write"}
		m.Actions = append(m.Actions, a)
	}
	return m
}

var channelForm = regexp.MustCompile(`^[CDG][A-Z0-9]{6,20}$`)

// Open checks the settings; it calls nobody.
func (Connector) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	base, _ := c.Settings["base_url"].(string)
	insecure, _ := c.Settings["allow_http"].(bool)
	s := &session{channels: map[string]string{}, sent: recall.NewBook[map[string]any](4096)}
	channels, _ := c.Settings["channels"].(map[string]any)
	for name, v := range channels {
		id, _ := v.(string)
		if !channelForm.MatchString(id) {
			return nil, spec.Errorf(spec.Invalid, "setting channels: %q of %q is no id of a channel, such as C0123456789; Slack shows it at the end of the channel's details", id, name)
		}
		s.channels[name] = id
	}
	var err error
	if s.templates, err = message.New(c.Settings["templates"]); err != nil {
		return nil, err
	}
	s.client, err = rest.New(rest.Options{
		BaseURL: base, AllowHTTP: insecure, Credential: rest.NewKey("Authorization", "Bearer ", c.Secrets["bot_token"]),
		Limits:     []rest.LimitHeader{{Name: "Retry-After", Form: rest.Delay}},
		RequestIDs: []string{"X-Slack-Req-Id"},
		Fault:      fault,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}
