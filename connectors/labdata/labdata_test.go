package labdata_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/conformance"
	"github.com/quell-soar/quell/connectors/labdata"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const eicar = "44d88612fea8a8f36de82e1278abb02f"

var settings = map[string]string{
	"hosts":      `{"web-01":{"criticality":"critical","owner":"payments","tags":["pci"],"vip":true},"web-02":{"criticality":"low"}}`,
	"hashes":     `{"44D88612FEA8A8F36DE82E1278ABB02F":"malicious"}`,
	"only_known": "true",
}

// binary builds the program that serves the connector, for the run over the
// wire.
func binary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		return ""
	}
	path := filepath.Join(t.TempDir(), "quell-connector")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/quell-connector").CombinedOutput(); err != nil {
		t.Fatalf("building the connector: %v\n%s", err, out)
	}
	return path
}

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Target{
		Binary:    binary(t),
		Connector: labdata.New(), Lookup: vocabulary.Lookup,
		Start: func(testing.TB) conformance.Fake {
			return conformance.Fake{Settings: settings, World: func() string { return "" }}
		},
		Samples: map[string]conformance.Sample{
			"asset.find_host":   {Inputs: map[string]any{"hostname": "WEB-01"}, Missing: map[string]any{"hostname": "nobody"}},
			"intel.lookup_hash": {Inputs: map[string]any{"value": eicar}},
		},
	})
}

func TestAnswers(t *testing.T) {
	parsed, err := sdk.ParseSettings(labdata.New().Manifest(), settings)
	if err != nil {
		t.Fatal(err)
	}
	s, err := labdata.New().Open(t.Context(), sdk.Config{Settings: parsed})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		action, field, value string
		want                 map[string]any
	}{
		{"asset.find_host", "hostname", "web-01", map[string]any{"criticality": "critical", "owner": "payments", "tags": []any{"pci"}, "vip": true}},
		{"asset.find_host", "hostname", "Web-02", map[string]any{"criticality": "low", "tags": []any{}, "vip": false}},
		{"intel.lookup_hash", "value", eicar, map[string]any{"verdict": "malicious", "score": int64(95), "source": "labdata"}},
		{"intel.lookup_hash", "value", "0123456789abcdef0123456789abcdef", map[string]any{"verdict": "unknown", "score": int64(0), "source": "labdata"}},
	} {
		r, err := s.Call(t.Context(), spec.Request{
			Action: tt.action, Mode: spec.Act, Inputs: map[string]any{tt.field: tt.value}, Deadline: time.Now().Add(time.Second),
		})
		if d := cmp.Diff(tt.want, r.Output); err != nil || d != "" {
			t.Errorf("%s %s: %v\n%s", tt.action, tt.value, err, d)
		}
	}
}

func TestOpenChecksItsSettings(t *testing.T) {
	for _, bad := range []map[string]any{
		{"hosts": map[string]any{"a b": map[string]any{}}},
		{"hashes": map[string]any{"xyz": "clean"}},
	} {
		if _, err := labdata.New().Open(t.Context(), sdk.Config{Settings: bad}); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%v was accepted: %v", bad, err)
		}
	}
}
