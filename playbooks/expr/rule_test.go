package expr_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
)

func TestRule(t *testing.T) {
	names := []kind.Field{
		{Name: "action", Type: kind.Of(kind.String)},
		{Name: "target", Type: kind.RecordOf(
			kind.Field{Name: "label", Type: kind.Of(kind.String)},
			kind.Field{Name: "tags", Type: kind.ListOf(kind.Of(kind.String))},
			kind.Field{Name: "criticality", Type: kind.Of(kind.Criticality)},
			kind.Field{Name: "addresses", Type: kind.ListOf(kind.Of(kind.IP))},
		)},
	}
	known := map[string]any{"action": "edr.isolate_host", "target": map[string]any{
		"label": "dc01", "tags": []any{"tier-0"}, "criticality": "critical", "addresses": []any{"10.0.0.7"},
	}}
	bare := map[string]any{"action": "edr.isolate_host", "target": map[string]any{"label": "dc01"}}
	for _, c := range []struct {
		text   string
		values map[string]any
		want   string // yes, no, or a part of the error
	}{
		{`action == "edr.isolate_host" && "tier-0" in target.tags`, known, "yes"},
		{`target.criticality >= criticality.high`, known, "yes"},
		{`target.criticality < criticality.high`, known, "no"},
		{`target.addresses.exists(a, cidr.contains("10.0.0.0/8", a))`, known, "yes"},
		{`target.label.startsWith("dc")`, bare, "yes"},
		{`"tier-0" in target.tags`, bare, "target.tags is absent"},
		{`target.label == "ws" && "tier-0" in target.tags`, bare, "no"},
		{`has(target.tags) && "tier-0" in target.tags`, bare, "no"},
		{`now < timestamp("2026-01-01T00:00:00Z")`, bare, "yes"},
	} {
		r, bad := expr.NewRule(c.text, names)
		if len(bad) > 0 {
			t.Errorf("%s: %+v", c.text, bad)
			continue
		}
		got, err := r.Holds(c.values, time.Unix(1_700_000_000, 0))
		switch {
		case err != nil && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		case err == nil && got != (c.want == "yes"), err == nil && c.want != "yes" && c.want != "no":
			t.Errorf("%s: %v, want %s", c.text, got, c.want)
		}
	}
	for _, text := range []string{"", `"tier-0"`, `target.tag == "x"`, `inputs.host == "x"`, `run.id == "x"`, `nothing`, `target.label == 3`, `alert.severity == severity.high`} {
		if _, bad := expr.NewRule(text, names); len(bad) == 0 {
			t.Errorf("%q was taken", text)
		}
	}
}
