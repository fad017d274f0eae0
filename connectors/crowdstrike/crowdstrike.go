package crowdstrike

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector is CrowdStrike Falcon.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

// served are the actions with what Falcon decides of each.
var served = []struct {
	name        string
	deadline    time.Duration
	settle      time.Duration
	permissions []string
}{
	{"edr.find_host", 10 * time.Second, 0, []string{"Hosts: Read"}},
	{"edr.get_host_state", 10 * time.Second, 0, []string{"Hosts: Read"}},
	{"edr.isolate_host", 6 * time.Second, 2 * time.Second, []string{"Hosts: Read", "Hosts: Write"}},
	{"edr.quarantine_file", 6 * time.Second, 2 * time.Second, []string{"Quarantined Files: Read", "Quarantined Files: Write"}},
	{"edr.release_host", 6 * time.Second, 2 * time.Second, []string{"Hosts: Read", "Hosts: Write"}},
	{"edr.restore_file", 6 * time.Second, 2 * time.Second, []string{"Quarantined Files: Read", "Quarantined Files: Write"}},
	{"edr.scan_host", 8 * time.Second, 2 * time.Second, []string{"On-demand scans (ODS): Read", "On-demand scans (ODS): Write"}},
}

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	m := spec.Manifest{
		Name: "crowdstrike", Version: "1.0.0", Title: "CrowdStrike Falcon",
		Doc: "Finds hosts, isolates and releases them, quarantines and restores files, and scans, with an API client of one Falcon tenant.",
		Settings: []spec.Setting{
			{Name: "base_url", Type: kind.Of(kind.URL), Default: "https://api.crowdstrike.com", Doc: "the API of your cloud, such as https://api.eu-1.crowdstrike.com"},
			{Name: "client_id", Type: kind.Of(kind.String), Doc: "the API client's id"},
			{Name: "client_secret", Type: kind.Of(kind.Secret), Secret: true, Doc: "the API client's secret"},
			{Name: "member_cid", Type: kind.Of(kind.String), Optional: true, Doc: "the customer id below a Flight Control parent"},
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
	more := url.Values{}
	if cid := text("member_cid"); cid != "" {
		more.Set("member_cid", cid)
	}
	client, err := rest.New(rest.Options{
		BaseURL: text("base_url"), AllowHTTP: insecure,
		Credential: rest.NewClientCredentials([]string{"oauth2", "token"}, text("client_id"), c.Secrets["client_secret"], more),
		Limits:     []rest.LimitHeader{{Name: "X-Ratelimit-Retryafter", Form: rest.Epoch}, {Name: "Retry-After", Form: rest.Delay}},
		RequestIDs: []string{"X-Cs-Traceid"},
		Fault:      fault,
		Region:     region,
	})
	if err != nil {
		return nil, err
	}
	return &session{instance: c.Instance, client: client, prior: recall.NewBook[map[string]any](4096)}, nil
}

// region names the API of the cloud that a 308 points at.
func region(h http.Header) (*url.URL, error) {
	host, ok := map[string]string{
		"us-1": "api.crowdstrike.com", "us-2": "api.us-2.crowdstrike.com", "eu-1": "api.eu-1.crowdstrike.com",
		"us-gov-1": "api.laggar.gcw.crowdstrike.com", "us-gov-2": "api.us-gov-2.crowdstrike.mil",
	}[strings.ToLower(h.Get("X-Cs-Region"))]
	if !ok {
		return nil, fmt.Errorf("the region %q is not known", h.Get("X-Cs-Region"))
	}
	return &url.URL{Scheme: "https", Host: host}, nil
}

// fault reads the first error of an envelope.
func fault(body []byte) (message, code string) {
	var e envelope[json.RawMessage]
	if json.Unmarshal(body, &e) != nil || len(e.Errors) == 0 {
		return "", ""
	}
	return e.Errors[0].Message, ""
}
