package entra

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector is Microsoft Entra ID with Exchange Online.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

// served are the actions with what Microsoft decides of each: the permissions of
// an application, all with admin consent. Those that end in .Read.All or .Read
// are for reading, the others for acting.
var served = []struct {
	name        string
	deadline    time.Duration
	permissions []string
}{
	{"iam.add_group_member", 12 * time.Second, []string{"User.Read.All", "GroupMember.Read.All", "GroupMember.ReadWrite.All"}},
	{"iam.disable_user", 8 * time.Second, []string{"User.Read.All", "User.EnableDisableAccount.All"}},
	{"iam.enable_user", 8 * time.Second, []string{"User.Read.All", "User.EnableDisableAccount.All"}},
	{"iam.find_user", 15 * time.Second, []string{"User.Read.All", "RoleManagement.Read.Directory", "UserAuthenticationMethod.Read.All"}},
	{"iam.list_consents", 30 * time.Second, []string{"User.Read.All", "Directory.Read.All"}},
	{"iam.remove_group_member", 12 * time.Second, []string{"User.Read.All", "GroupMember.Read.All", "GroupMember.ReadWrite.All"}},
	{"iam.reset_mfa", 20 * time.Second, []string{"UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"}},
	{"iam.reset_password", 12 * time.Second, []string{"User.Read.All", "User-PasswordProfile.ReadWrite.All", "Mail.Send"}},
	{"iam.revoke_consent", 8 * time.Second, []string{"Directory.Read.All", "DelegatedPermissionGrant.ReadWrite.All"}},
	{"iam.revoke_sessions", 8 * time.Second, []string{"User.Read.All", "User.RevokeSessions.All"}},
	{"mail.block_sender", 20 * time.Second, []string{"Exchange.ManageAsApp with the role Security Administrator"}},
	{"mail.disable_rule", 8 * time.Second, []string{"MailboxSettings.Read", "MailboxSettings.ReadWrite"}},
	{"mail.enable_rule", 8 * time.Second, []string{"MailboxSettings.Read", "MailboxSettings.ReadWrite"}},
	{"mail.find_messages", 5 * time.Minute, []string{"User.Read.All", "Mail.Read"}},
	{"mail.get_message", 5 * time.Minute, []string{"User.Read.All", "Mail.Read"}},
	{"mail.list_rules", 30 * time.Second, []string{"MailboxSettings.Read"}},
	{"mail.quarantine_message", 5 * time.Minute, []string{"Mail.Read", "Mail.ReadWrite"}},
	{"mail.restore_message", 5 * time.Minute, []string{"Mail.Read", "Mail.ReadWrite"}},
	{"mail.unblock_sender", 20 * time.Second, []string{"Exchange.ManageAsApp with the role Security Administrator"}},
}

// settle is how long after an attempt's deadline Microsoft may still apply it.
const settle = 5 * time.Second

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	m := spec.Manifest{
		Name: "entra", Version: "1.0.0", Title: "Microsoft Entra ID and Exchange Online",
		Doc: "Finds, locks and unlocks accounts, ends their sessions, resets passwords and second factors, revokes consents, finds and quarantines messages, disables inbox rules and blocks senders, as an application of one tenant. To act on administrators' accounts the application itself needs the role Privileged Authentication Administrator.",
		Settings: []spec.Setting{
			{Name: "tenant_id", Type: kind.Of(kind.String), Doc: "the directory's id, such as 11111111-2222-3333-4444-555555555555"},
			{Name: "client_id", Type: kind.Of(kind.String), Doc: "the application's (client) id"},
			{Name: "client_secret", Type: kind.Of(kind.Secret), Secret: true, Doc: "a client secret of that application"},
			{Name: "mail_from", Type: kind.Of(kind.Email), Optional: true, Doc: "the mailbox from which new passwords are sent to managers; without it iam.reset_password delivers to nobody"},
			{Name: "quarantine_folder", Type: kind.Of(kind.String), Default: "recoverableitemsdeletions", Doc: "the well-known folder into which messages are quarantined: recoverableitemsdeletions, deleteditems or junkemail"},
			{Name: "base_url", Type: kind.Of(kind.URL), Default: "https://graph.microsoft.com", Doc: "Microsoft Graph of your cloud"},
			{Name: "login_url", Type: kind.Of(kind.URL), Default: "https://login.microsoftonline.com", Doc: "where tokens come from in your cloud"},
			{Name: "exchange_url", Type: kind.Of(kind.URL), Default: "https://outlook.office365.com", Doc: "Exchange Online of your cloud"},
			{Name: "allow_http", Type: kind.Of(kind.Boolean), Default: "false", Doc: "permits URLs without TLS beyond the loopback interface; for labs only"},
		},
	}
	for _, s := range served {
		a, ok := vocabulary.Lookup(s.name)
		if !ok {
			continue // the conformance suite fails where an action has no sample
		}
		a.Deadline, a.Permissions = s.deadline, s.permissions
		if a.Effect() {
			a.Settle = settle
		}
		a.Quick = false // several requests, and Graph takes its time
		m.Actions = append(m.Actions, a)
	}
	return m
}

var guidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// folders into which messages may be quarantined: each can be read back from.
var folders = regexp.MustCompile(`^(recoverableitemsdeletions|deleteditems|junkemail)$`)

// Open checks the settings; it calls nobody.
func (Connector) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	text := func(name string) string { s, _ := c.Settings[name].(string); return s }
	insecure, _ := c.Settings["allow_http"].(bool)
	for _, name := range []string{"tenant_id", "client_id"} {
		if !guidForm.MatchString(text(name)) {
			return nil, spec.Errorf(spec.Invalid, "setting %s: %q is no id such as 11111111-2222-3333-4444-555555555555; the application's overview page shows it", name, text(name))
		}
	}
	if !folders.MatchString(text("quarantine_folder")) {
		return nil, spec.Errorf(spec.Invalid, "setting quarantine_folder: %q is none of recoverableitemsdeletions, deleteditems, junkemail", text("quarantine_folder"))
	}
	s := &session{
		instance: c.Instance, tenant: text("tenant_id"), mailFrom: text("mail_from"), quarantine: text("quarantine_folder"),
		states:  recall.NewBook[string](4096),
		moments: recall.NewBook[time.Time](4096),
		removed: recall.NewBook[[]any](1024),
		lay:     recall.NewBook[places](256),
		sent:    recall.NewBook[string](1024),
	}
	login, err := rest.New(rest.Options{
		BaseURL: text("login_url"), AllowHTTP: insecure, Fault: loginFault,
		Limits: []rest.LimitHeader{{Name: "Retry-After", Form: rest.Delay}}, RequestIDs: []string{"X-Ms-Request-Id"},
		// Nothing here is authorised by a header: it is known so that a refusal
		// that repeats it does not show it.
		Credential: rest.NewKey("Authorization", "", c.Secrets["client_secret"]),
	})
	if err != nil {
		return nil, err
	}
	s.login = login
	if s.graph, err = s.client(text("base_url"), insecure, text("client_id"), c.Secrets["client_secret"]); err != nil {
		return nil, err
	}
	if s.exchange, err = s.client(text("exchange_url"), insecure, text("client_id"), c.Secrets["client_secret"]); err != nil {
		return nil, err
	}
	return s, nil
}

// client makes the client of one API, with tokens of its own.
func (s *session) client(base string, insecure bool, id string, key secret.Value) (*rest.Client, error) {
	u, err := rest.CheckBase(base, insecure)
	if err != nil {
		return nil, err
	}
	more := url.Values{"grant_type": {"client_credentials"}, "scope": {u.Scheme + "://" + u.Host + "/.default"}}
	return rest.New(rest.Options{
		BaseURL: base, AllowHTTP: insecure, Fault: fault,
		Credential: &elsewhere{rest.NewClientCredentials([]string{s.tenant, "oauth2", "v2.0", "token"}, id, key, more), s.login},
		Limits:     []rest.LimitHeader{{Name: "Retry-After", Form: rest.Delay}},
		RequestIDs: []string{"Request-Id"},
		MaxReply:   maxMessage + 1<<20,
	})
}

// elsewhere is a credential whose tokens come from another host than the one
// that takes them.
type elsewhere struct {
	*rest.ClientCredentials
	login *rest.Client
}

var _ rest.Issuer = (*elsewhere)(nil)

// Header returns the token, fetching one where there is none that lasts.
func (e *elsewhere) Header(ctx context.Context, _ *rest.Client) (rest.Header, error) {
	return e.ClientCredentials.Header(ctx, e.login)
}

// fault reads the error body of Graph and Exchange.
func fault(body []byte) (message, code string) {
	var e struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	return e.Error.Message, e.Error.Code
}

// loginFault reads the error body of the token endpoint. Its description begins
// with the number by which Microsoft's pages know it.
func loginFault(body []byte) (message, code string) {
	var e struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	first, _, _ := strings.Cut(e.Description, "\n")
	return first, e.Error
}
