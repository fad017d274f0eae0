package labdata

import (
	"context"
	"strings"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector answers from settings.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

// verdicts are the vocabulary's, with the score that stands for each.
var verdicts = map[string]int64{"malicious": 95, "suspicious": 60, "clean": 0, "unknown": 0}

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	verdict := kind.ChoiceOf("malicious", "suspicious", "clean", "unknown")
	m := spec.Manifest{
		Name: "labdata", Version: "1.0.0", Title: "Lab data",
		Doc: "Answers what a host is worth and what is known of a hash from its own settings. For labs and first steps.",
		Settings: []spec.Setting{
			{Name: "criticality", Type: kind.Of(kind.Criticality), Default: "medium", Doc: "the worth of a host that hosts does not name"},
			{
				Name: "hosts", Default: "{}", Doc: `hosts by name: {"web-01": {"criticality": "critical", "owner": "payments", "tags": ["pci"], "vip": false}}`,
				Type: kind.MapOf(kind.RecordOf(
					kind.Field{Name: "criticality", Type: kind.Of(kind.Criticality)},
					kind.Field{Name: "owner", Type: kind.Of(kind.String), Optional: true},
					kind.Field{Name: "tags", Type: kind.ListOf(kind.Of(kind.String)), Optional: true},
					kind.Field{Name: "vip", Type: kind.Of(kind.Boolean), Optional: true},
				)),
			},
			{Name: "only_known", Type: kind.Of(kind.Boolean), Default: "false", Doc: "answers not_found for a host that hosts does not name"},
			{Name: "verdict", Type: verdict, Default: "unknown", Doc: "what is said of a hash that hashes does not name"},
			{Name: "hashes", Type: kind.MapOf(verdict), Default: "{}", Doc: `verdicts by hash: {"44d88612fea8a8f36de82e1278abb02f": "malicious"}`},
		},
	}
	for _, name := range []string{"asset.find_host", "intel.lookup_hash"} {
		if a, ok := vocabulary.Lookup(name); ok {
			m.Actions = append(m.Actions, a)
		}
	}
	return m
}

// Open takes the settings.
func (Connector) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	s := &session{hosts: map[string]map[string]any{}, hashes: map[string]string{}}
	s.criticality, _ = c.Settings["criticality"].(string)
	s.verdict, _ = c.Settings["verdict"].(string)
	s.onlyKnown, _ = c.Settings["only_known"].(bool)
	hosts, _ := c.Settings["hosts"].(map[string]any)
	for name, v := range hosts {
		if _, err := kind.Parse(kind.Of(kind.Hostname), name); err != nil {
			return nil, spec.Errorf(spec.Invalid, "setting hosts: %v", err)
		}
		s.hosts[strings.ToLower(name)], _ = v.(map[string]any)
	}
	hashes, _ := c.Settings["hashes"].(map[string]any)
	for hash, v := range hashes {
		if _, err := kind.Parse(kind.Of(kind.Hash), hash); err != nil {
			return nil, spec.Errorf(spec.Invalid, "setting hashes: %v", err)
		}
		s.hashes[strings.ToLower(hash)], _ = v.(string)
	}
	return s, nil
}

type session struct {
	criticality, verdict string
	onlyKnown            bool
	hosts                map[string]map[string]any
	hashes               map[string]string
}

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(_ context.Context, r spec.Request) (spec.Reply, error) {
	switch r.Action {
	case "asset.find_host":
		return s.findHost(r)
	case "intel.lookup_hash":
		return s.lookupHash(r)
	}
	return spec.Reply{}, spec.Errorf(spec.Invalid, "labdata has no action %q", r.Action)
}

func (s *session) findHost(r spec.Request) (spec.Reply, error) {
	name, _ := r.Inputs["hostname"].(string)
	h, ok := s.hosts[strings.ToLower(strings.TrimSuffix(name, "."))]
	if !ok && s.onlyKnown {
		return spec.Reply{}, spec.Errorf(spec.NotFound, "the inventory has no host %q; add it to the setting hosts", name)
	}
	out := map[string]any{"criticality": s.criticality, "tags": []any{}, "vip": false}
	for field, v := range h {
		if v != nil {
			out[field] = v
		}
	}
	return spec.Reply{Outcome: spec.Done, Output: out}, nil
}

func (s *session) lookupHash(r spec.Request) (spec.Reply, error) {
	hash, _ := r.Inputs["value"].(string)
	verdict, ok := s.hashes[strings.ToLower(hash)]
	if !ok {
		verdict = s.verdict
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"verdict": verdict, "score": verdicts[verdict], "source": "labdata"}}, nil
}

// Check says what was configured.
func (s *session) Check(context.Context) []sdk.Finding {
	return []sdk.Finding{{Name: "settings", OK: true, Advice: "answers from its own settings"}}
}

// Close has nothing to do.
func (s *session) Close() error { return nil }
