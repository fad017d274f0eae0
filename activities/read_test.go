package activities

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// What people are shown of a read is short, says what the playbook reads first,
// and never a secret.
func TestFacts(t *testing.T) {
	field := func(name string, k kind.Kind) kind.Field { return kind.Field{Name: name, Type: kind.Of(k)} }
	a := spec.Action{Name: "asset.find_host", Outputs: []kind.Field{
		field("owner", kind.String), field("password", kind.Secret), field("vip", kind.Boolean), field("seen", kind.Timestamp), field("risk", kind.Int),
		{Name: "device", Type: kind.HandleOf("device")},
		{Name: "tags", Type: kind.ListOf(kind.Of(kind.String))},
		field("criticality", kind.Criticality), field("none", kind.String),
	}}
	out := map[string]any{
		"owner": strings.Repeat("ä", 200), "password": "hunter2", "vip": false, "seen": time.Unix(0, 0), "risk": int64(7),
		"device": kind.Handle{Name: "device", Label: "ws-1"}, "tags": []any{"a", "b"}, "criticality": "high",
	}
	got := facts(a, []string{"criticality", "vip", "password"}, out)
	want := []string{"vip: false", "criticality: high", "owner: " + strings.Repeat("ä", maxFact-1) + "…", "seen: 1970-01-01T00:00:00Z", "risk: 7"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := facts(a, nil, map[string]any{"device": out["device"], "tags": out["tags"]}); !slices.Equal(got, []string{"device: ws-1", "tags: 2 in a list"}) {
		t.Errorf("%q", got)
	}
}
