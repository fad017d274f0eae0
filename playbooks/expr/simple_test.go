package expr

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// TestSimple holds that the short way gives what the whole way gives, and leaves
// alone what is not simple.
func TestSimple(t *testing.T) {
	field := func(name string, t kind.Type) kind.Field { return kind.Field{Name: name, Type: t} }
	opt := func(name string, t kind.Type) kind.Field { return kind.Field{Name: name, Type: t, Optional: true} }
	round := kind.RecordOf(field("item", kind.Of(kind.Hash)), field("index", kind.Of(kind.Int)), field("ok", kind.Of(kind.Boolean)),
		opt("out", kind.RecordOf(field("score", kind.Of(kind.Int)))))
	env := Env{
		Inputs: kind.RecordOf(field("host", kind.Of(kind.Hostname)), field("names", kind.ListOf(kind.Of(kind.String))), field("m", kind.MapOf(kind.Of(kind.Int)))),
		Steps: kind.RecordOf(
			field("find", kind.RecordOf(field("device", kind.HandleOf("device")), field("grant", kind.HandleOf("consent")), opt("seen", kind.Of(kind.Timestamp)))),
			opt("asset", kind.RecordOf(field("vip", kind.Of(kind.Boolean)))), field("rounds", kind.ListOf(round)), field("odd", kind.RecordOf(field("x", kind.Type{})))),
		Outcome: kind.RecordOf(field("find", OutcomeType())),
		Locals:  []kind.Field{field("v", round), field("h", kind.Of(kind.Hash))},
		Flows:   map[string]Flow{"v": {Paths: [][]string{{"steps", "rounds", Element}}}},
		Present: []string{"steps.asset"},
	}
	c := NewChecker(map[string]int{"inputs.names": 7, "steps.rounds": 3})
	defer c.Close()
	simple := 0
	for _, text := range []string{
		"inputs.host", " inputs.host\n", "inputs.names", "inputs.m", "inputs.m.a", "inputs.nope", "inputs", "nope", "steps.find.device",
		"steps.find.grant.granted", "steps.find.grant", "steps.find.seen", "steps.asset.vip", "steps.asset", "steps.rounds", "steps.odd.x", "steps.odd",
		"outcome.find", "run.started", "run.open", "run.nope", "now", "severity.high", "severity", "v", "v.item", "v.ok", "v.out", "v.out.score",
		"h", "h.x", "alert.severity", "in", "true", "inputs.host.x", "inputs..host", "inputs.host()", "1.5", "inputs .host", "errors.find",
	} {
		c.enter(env)
		got, ok := c.simple(text, env)
		if !ok {
			continue
		}
		simple++
		c.whole = true
		want, problems := c.Check(text, env)
		c.whole = false
		if len(problems) > 0 {
			t.Errorf("%s has problems: %+v", text, problems)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Flow{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-whole +simple):\n%s", text, diff)
		}
	}
	if simple < 15 {
		t.Errorf("only %d were simple", simple)
	}
}
