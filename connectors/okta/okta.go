package okta

import (
	"context"
	"encoding/json"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/mail"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector is Okta.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

// The scopes that actions need. Those ending in .read read, those in .manage act.
const (
	usersRead    = "okta.users.read"
	usersManage  = "okta.users.manage"
	groupsRead   = "okta.groups.read"
	groupsManage = "okta.groups.manage"
	rolesRead    = "okta.roles.read"
	logsRead     = "okta.logs.read"
)

// served are the actions with what Okta decides of each.
var served = []struct {
	name        string
	deadline    time.Duration
	settle      time.Duration
	permissions []string
}{
	{"iam.add_group_member", 8 * time.Second, 2 * time.Second, []string{groupsRead, usersRead, groupsManage}},
	{"iam.disable_user", 8 * time.Second, 2 * time.Second, []string{usersRead, usersManage}},
	{"iam.enable_user", 8 * time.Second, 2 * time.Second, []string{usersRead, usersManage}},
	{"iam.find_user", 10 * time.Second, 0, []string{usersRead, rolesRead}},
	{"iam.list_consents", 20 * time.Second, 0, []string{usersRead}},
	{"iam.remove_group_member", 8 * time.Second, 2 * time.Second, []string{groupsRead, usersRead, groupsManage}},
	{"iam.reset_mfa", 15 * time.Second, 2 * time.Second, []string{usersRead, usersManage}},
	{"iam.reset_password", 25 * time.Second, 2 * time.Second, []string{usersRead, usersManage}},
	{"iam.revoke_consent", 10 * time.Second, 2 * time.Second, []string{usersRead, usersManage}},
	{"iam.revoke_sessions", 10 * time.Second, 2 * time.Second, []string{usersRead, logsRead, usersManage}},
}

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	m := spec.Manifest{
		Name: "okta", Version: "1.0.0", Title: "Okta",
		Doc: "Finds accounts, suspends and unsuspends them, ends sessions, resets passwords and factors, revokes consents and changes group memberships in one Okta org. " +
			"It signs in as a service application with a private key, or with an API token. A new password is mailed through a relay of your own.",
		Settings: []spec.Setting{
			{Name: "base_url", Type: kind.Of(kind.URL), Doc: "the org, such as https://example.okta.com; not its -admin address"},
			{Name: "client_id", Type: kind.Of(kind.String), Optional: true, Doc: "the service application's client id; goes with private_key"},
			{Name: "key_id", Type: kind.Of(kind.String), Optional: true, Doc: "the id (kid) of the application's public key, where it has several"},
			{Name: "private_key", Type: kind.Of(kind.Secret), Secret: true, Optional: true, Doc: "the RSA key of the service application, as PEM"},
			{
				Name: "scopes", Type: kind.ListOf(kind.Of(kind.String)), Doc: "the scopes to ask for; they must be granted to the application",
				Default: `["okta.users.read","okta.users.manage","okta.groups.read","okta.groups.manage","okta.roles.read","okta.logs.read"]`,
			},
			{Name: "api_token", Type: kind.Of(kind.Secret), Secret: true, Optional: true, Doc: "an API token (SSWS), in place of client_id and private_key"},
			{Name: "relay", Type: kind.Of(kind.String), Optional: true, Doc: "host:port of the mail relay that new passwords go through; without it iam.reset_password delivers to nobody only"},
			{Name: "relay_tls", Type: kind.ChoiceOf(mail.StartTLS, mail.Implicit, mail.Plain), Default: mail.StartTLS, Doc: "starttls, implicit, or none, which only a relay on the loopback interface may have"},
			{Name: "relay_authorities", Type: kind.Of(kind.String), Optional: true, Doc: "certificates as PEM that the relay's may be signed by; without it, the machine's"},
			{Name: "relay_user", Type: kind.Of(kind.String), Optional: true, Doc: "the account at the relay"},
			{Name: "relay_password", Type: kind.Of(kind.Secret), Secret: true, Optional: true, Doc: "its password"},
			{Name: "relay_from", Type: kind.Of(kind.Email), Optional: true, Doc: "the sender of mail with a new password"},
			{Name: "allow_http", Type: kind.Of(kind.Boolean), Default: "false", Doc: "permits a base URL without TLS beyond the loopback interface; for labs only"},
		},
	}
	for _, s := range served {
		a, ok := vocabulary.Lookup(s.name)
		if !ok {
			continue // the conformance suite fails where an action has no sample
		}
		a.Deadline, a.Settle, a.Permissions = s.deadline, s.settle, s.permissions
		m.Actions = append(m.Actions, a)
	}
	return m
}

// Open checks the settings; it calls nobody.
func (Connector) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	text := func(name string) string { s, _ := c.Settings[name].(string); return s }
	insecure, _ := c.Settings["allow_http"].(bool)
	credential, err := credentialOf(c)
	if err != nil {
		return nil, err
	}
	client, err := rest.New(rest.Options{
		BaseURL: text("base_url"), AllowHTTP: insecure, Credential: credential,
		// Retry-After is not Okta's own; a gateway before it may send it.
		Limits:     []rest.LimitHeader{{Name: "X-Rate-Limit-Reset", Form: rest.Epoch}, {Name: "Retry-After", Form: rest.Delay}},
		RequestIDs: []string{"X-Okta-Request-Id"},
		Fault:      fault,
	})
	if err != nil {
		return nil, err
	}
	s := &session{
		instance: c.Instance, client: client,
		prior: recall.NewBook[map[string]any](4096), begun: recall.NewBook[beginning](4096), done: recall.NewBook[map[string]any](4096),
	}
	if text("relay") != "" {
		s.relay = &mail.Relay{
			Address: text("relay"), TLS: text("relay_tls"), Authorities: text("relay_authorities"),
			User: text("relay_user"), Password: c.Secrets["relay_password"], From: text("relay_from"),
		}
		if err := s.relay.Check(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// credentialOf makes the credential of the settings: a key pair or a token.
func credentialOf(c sdk.Config) (rest.Credential, error) {
	id, _ := c.Settings["client_id"].(string)
	kid, _ := c.Settings["key_id"].(string)
	key, token := c.Secrets["private_key"], c.Secrets["api_token"]
	switch {
	case !token.Empty() && key.Empty() && id == "":
		return rest.NewKey("Authorization", "SSWS ", token), nil
	case token.Empty() && !key.Empty() && id != "":
		var scopes []string
		list, _ := c.Settings["scopes"].([]any)
		for _, s := range list {
			text, _ := s.(string)
			scopes = append(scopes, text)
		}
		return newSigned(id, kid, key, scopes)
	}
	return nil, spec.Errorf(spec.Invalid, "give client_id and private_key, or api_token alone")
}

// newSigned makes a token source that signs in with a private key.
func newSigned(id, kid string, pem secret.Value, scopes []string) (rest.Credential, error) {
	signer, err := newSigner(id, kid, pem, scopes)
	if err != nil {
		return nil, err
	}
	return rest.NewSignedCredentials([]string{"oauth2", "v1", "token"}, pem, signer.form), nil
}

// fault reads Okta's error body, or that of its token endpoint.
func fault(body []byte) (message, code string) {
	var e struct {
		Code    string `json:"errorCode"`
		Summary string `json:"errorSummary"`
		Causes  []struct {
			Summary string `json:"errorSummary"`
		} `json:"errorCauses"`
		OAuth       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	if e.OAuth != "" {
		return e.Description, e.OAuth
	}
	for _, c := range e.Causes {
		return e.Summary + ": " + c.Summary, e.Code
	}
	return e.Summary, e.Code
}
