package virustotal

import (
	"context"
	"encoding/json"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector is VirusTotal.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

// served are the actions with what VirusTotal wants for each.
var served = []struct {
	name        string
	permissions []string
}{
	{"intel.lookup_domain", []string{"an API key"}},
	{"intel.lookup_hash", []string{"an API key"}},
	{"intel.lookup_ip", []string{"an API key"}},
	{"intel.lookup_url", []string{"an API key"}},
	{"sandbox.detonate", []string{"an API key", "by its terms, a premium one for commercial use of uploads"}},
}

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	m := spec.Manifest{
		Name: "virustotal", Version: "1.0.0", Title: "VirusTotal",
		Doc: "Says what many engines know of hashes, addresses, domains and URLs, and has files analysed. " +
			"What is looked up becomes known to VirusTotal; what is handed in, to its customers.",
		Settings: []spec.Setting{
			{Name: "base_url", Type: kind.Of(kind.URL), Default: "https://www.virustotal.com", Doc: "where the API is"},
			{Name: "api_key", Type: kind.Of(kind.Secret), Secret: true, Doc: "the API key"},
			{Name: "malicious_from", Type: kind.Of(kind.Int), Default: "3", Doc: "how many engines must call a thing malicious for the verdict malicious; fewer make it suspicious"},
			{Name: "submit", Type: kind.Of(kind.Boolean), Default: "false", Doc: "lets sandbox.detonate hand in files that VirusTotal does not know; its customers can read them then"},
			{Name: "cache", Type: kind.Of(kind.Duration), Default: "10m", Doc: "how long an answer is used again, to spare the quota; one of unknown at most 1m"},
			{Name: "poll", Type: kind.Of(kind.Duration), Default: "15s", Doc: "how often an analysis under way is asked about; a public key may ask four times a minute"},
			{Name: "allow_http", Type: kind.Of(kind.Boolean), Default: "false", Doc: "permits a base URL without TLS beyond the loopback interface; for labs only"},
		},
	}
	for _, s := range served {
		a, ok := vocabulary.Lookup(s.name)
		if !ok {
			continue // the conformance suite fails where an action has no sample
		}
		a.Permissions = s.permissions
		m.Actions = append(m.Actions, a)
	}
	return m
}

// Open checks the settings; it calls nobody.
func (Connector) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	base, _ := c.Settings["base_url"].(string)
	insecure, _ := c.Settings["allow_http"].(bool)
	s := &session{seen: recall.NewBook[sighting](4096)}
	s.submit, _ = c.Settings["submit"].(bool)
	s.from, _ = c.Settings["malicious_from"].(int64)
	s.cache, _ = c.Settings["cache"].(time.Duration)
	s.poll, _ = c.Settings["poll"].(time.Duration)
	switch {
	case s.from < 1:
		return nil, spec.Errorf(spec.Invalid, "setting malicious_from: at least one engine must say so")
	case s.poll < 10*time.Millisecond || s.poll > time.Minute:
		return nil, spec.Errorf(spec.Invalid, "setting poll: from 10ms to 1m")
	case s.cache < 0 || s.cache > 24*time.Hour:
		return nil, spec.Errorf(spec.Invalid, "setting cache: from 0s to 24h")
	}
	client, err := rest.New(rest.Options{
		BaseURL: base, AllowHTTP: insecure, Credential: rest.NewKey("x-apikey", "", c.Secrets["api_key"]),
		Limits: []rest.LimitHeader{{Name: "Retry-After", Form: rest.Delay}}, Fault: fault,
	})
	if err != nil {
		return nil, err
	}
	s.client = client
	return s, nil
}

// apiError is the error in an answer; one may stand within a 200.
type apiError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func fault(body []byte) (message, code string) {
	var e struct {
		Error apiError `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	return e.Error.Message, e.Error.Code
}
