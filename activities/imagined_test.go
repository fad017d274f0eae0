package activities

import (
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/effects"
)

// TestImagined holds that what observe mode makes up is a whole result of the
// action: an expression that reads it fails no more than it would on a real one.
func TestImagined(t *testing.T) {
	var all kind.Type
	for _, k := range kind.Scalars() {
		f := kind.Field{Name: string(k), Type: kind.Of(k)}
		if k == kind.Choice {
			f.Type = kind.ChoiceOf("malicious", "unknown")
		}
		if k != kind.Secret { // no action gives one
			all.Fields = append(all.Fields, f)
		}
	}
	all.Fields = append(all.Fields,
		kind.Field{Name: "rows", Type: kind.ListOf(kind.Of(kind.String))}, kind.Field{Name: "named", Type: kind.MapOf(kind.Of(kind.IP))},
		kind.Field{Name: "inner", Type: kind.RecordOf(kind.Field{Name: "state", Type: kind.ChoiceOf("normal", "isolated")})},
		kind.Field{Name: "left_out", Type: kind.Of(kind.String), Optional: true})
	actions := append(vocabulary.All(), spec.Action{Name: "test.every_kind", Class: spec.Once, Outputs: all.Fields})
	n := 0
	for _, a := range actions {
		if !a.Effect() {
			continue
		}
		n++
		v, err := kind.Decode(a.OutputType(), imagined(a, &effects.Effect{Instance: "edr", Created: time.Unix(1_700_000_000, 0)}))
		if err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		got, _ := v.(map[string]any)
		if a.Name == "sandbox.detonate" && got["verdict"] != "unknown" {
			t.Errorf("the verdict of what was not looked at is %v", got["verdict"])
		}
		if _, there := got["left_out"]; there {
			t.Error("what may be left out was made up")
		}
	}
	t.Logf("%d effects", n)
}
