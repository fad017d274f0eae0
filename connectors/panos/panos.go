package panos

import (
	"context"
	"regexp"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector is a PAN-OS firewall.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

// What the administrator's role needs, as PAN-OS names it.
var (
	forAddress = []string{"XML API: Operational Requests", "XML API: User-ID Agent"}
	forURL     = []string{"XML API: Operational Requests", "XML API: Configuration", "XML API: Commit"}
)

// served are the actions with what PAN-OS decides of each.
var served = []struct {
	name        string
	deadline    time.Duration
	permissions []string
}{
	{"firewall.block_ip", 6 * time.Second, forAddress},
	{"firewall.block_url", 3 * time.Minute, forURL},
	{"firewall.unblock_ip", 6 * time.Second, forAddress},
	{"firewall.unblock_url", 3 * time.Minute, forURL},
}

// maxBackstop is the longest time that PAN-OS takes for a tag.
const maxBackstop = 30 * 24 * time.Hour

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	m := spec.Manifest{
		Name: "panos", Version: "1.0.0", Title: "Palo Alto Networks PAN-OS",
		Doc: "Blocks addresses by a tag and URLs by a custom URL category, through the XML API of one firewall. " +
			"The rules that deny the tag's group and the category are the firewall's own.",
		Settings: []spec.Setting{
			{Name: "base_url", Type: kind.Of(kind.URL), Doc: "the firewall's management address, such as https://fw.example.com"},
			{Name: "user", Type: kind.Of(kind.Username), Doc: "the administrator whose key is used; commits take only this one's changes along, so it must be Quell's alone"},
			{Name: "password", Type: kind.Of(kind.Secret), Secret: true, Optional: true, Doc: "the administrator's password, with which keys are made; or give api_key"},
			{Name: "api_key", Type: kind.Of(kind.Secret), Secret: true, Optional: true, Doc: "an API key of the administrator, in place of a password"},
			{Name: "tag", Type: kind.Of(kind.String), Default: "quell-block", Doc: "the tag that a blocked address gets"},
			{Name: "url_category", Type: kind.Of(kind.String), Default: "quell-block", Doc: "the custom URL category (type URL List) that blocked URLs are put into"},
			{Name: "vsys", Type: kind.Of(kind.String), Default: "vsys1", Doc: "the virtual system"},
			{Name: "backstop", Type: kind.Of(kind.Duration), Optional: true, Doc: "after this time the firewall itself drops a tag, whoever still holds it: longer than any hold, at most 30d"},
			{Name: "authorities", Type: kind.Of(kind.String), Optional: true, Doc: "certificates in PEM form that are trusted besides the system's"},
			{Name: "allow_http", Type: kind.Of(kind.Boolean), Default: "false", Doc: "permits a base URL without TLS beyond the loopback interface; for labs only"},
		},
	}
	for _, s := range served {
		a, ok := vocabulary.Lookup(s.name)
		if !ok {
			continue // the conformance suite fails where an action has no sample
		}
		a.Deadline, a.Permissions = s.deadline, s.permissions
		m.Actions = append(m.Actions, a)
	}
	return m
}

// nameForm is what a tag, category or virtual system may be called: what PAN-OS
// accepts as a name, and nothing that could leave a place in XML or XPath.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_. -]{0,62}$`)

// Open checks the settings; it calls nobody.
func (Connector) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	text := func(name string) string { s, _ := c.Settings[name].(string); return s }
	insecure, _ := c.Settings["allow_http"].(bool)
	s := &session{
		user: text("user"), tag: text("tag"), category: text("url_category"), vsys: text("vsys"),
		prior: recall.NewBook[map[string]any](4096), commits: make(chan struct{}, 1),
	}
	for _, name := range []string{"tag", "url_category", "vsys"} {
		if !nameForm.MatchString(text(name)) {
			return nil, spec.Errorf(spec.Invalid, "setting %s: PAN-OS has no such names; use letters, digits, dots, hyphens and blanks", name)
		}
	}
	s.backstop, _ = c.Settings["backstop"].(time.Duration)
	if s.backstop < 0 || s.backstop > maxBackstop {
		return nil, spec.Errorf(spec.Invalid, "setting backstop: PAN-OS drops tags after at most 30d")
	}
	password, apiKey := c.Secrets["password"], c.Secrets["api_key"]
	if password.Empty() == apiKey.Empty() {
		return nil, spec.Errorf(spec.Invalid, "give one of the secrets password and api_key")
	}
	s.key = newKey(s.user, password, apiKey)
	client, err := rest.New(rest.Options{BaseURL: text("base_url"), AllowHTTP: insecure, Authorities: text("authorities"), Credential: s.key, Fault: fault})
	if err != nil {
		return nil, err
	}
	s.client = client
	return s, nil
}
