package expr_test

import (
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

func env() expr.Env {
	p := world()
	e := expr.Env{Inputs: kind.Type{Kind: kind.Record}, Steps: kind.Type{Kind: kind.Record}, Outcome: kind.Type{Kind: kind.Record}}
	for _, in := range p.Inputs {
		e.Inputs.Fields = append(e.Inputs.Fields, kind.Field{Name: in.Name, Type: in.Type})
	}
	for _, r := range p.Results {
		e.Steps.Fields = append(e.Steps.Fields, kind.Field{Name: r.ID, Type: r.Type, Optional: r.ID == "asset"})
		e.Outcome.Fields = append(e.Outcome.Fields, kind.Field{Name: r.ID, Type: expr.OutcomeType()})
	}
	e.Settings = kind.RecordOf(kind.Field{Name: "window", Type: kind.Of(kind.Duration)})
	return e
}

// FuzzExpr holds that what the checker accepts loads and never fails for being
// absent or of a wrong type, and gives the same value twice.
func FuzzExpr(f *testing.F) {
	for _, s := range []string{
		"inputs.host", "steps.?asset.owner.orValue('x')", "has(steps.asset) && steps.asset.criticality > criticality.low",
		"steps.find.rows.filter(r, r.risk > 1).map(r, r.user).distinct().take(3).join(',')", "{'a': 1, 'b': inputs.counts.z}.map(k, k)",
		"outcome.find == 'done' ? 1 : 2", "now - days(2) > run.started", "json.parse('[1]')", "inputs.names.exists(n, n == 'a')", "[[1], [2]][0][0]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		expr.Split(text)
		c, problems := expr.NewChecker(nil).Check(text, env())
		n := len([]rune(text))
		for _, p := range problems {
			if p.From < 0 || p.From > p.To || p.To > n || p.Message == "" {
				t.Fatalf("%q: a problem is nowhere: %+v", text, p)
			}
			if strings.Contains(p.Message+p.Help, "quell.record") {
				t.Fatalf("%q: an inner name shows: %+v", text, p)
			}
		}
		if len(problems) > 0 {
			return
		}
		p := world(text)
		p.Exprs[0].Type = kind.Type{}
		s, err := expr.Load(p)
		if err != nil {
			t.Fatalf("%q: checked, but does not load: %v", text, err)
		}
		a, errA := s.Eval(0, scope())
		b, errB := s.Eval(plan.ExprRef(0), scope())
		if (errA == nil) != (errB == nil) {
			t.Fatalf("%q: %v, then %v", text, errA, errB)
		}
		if errA != nil {
			if strings.Contains(errA.Error(), "is absent") || strings.Contains(errA.Error(), "no such overload") && !strings.Contains(text, "json") {
				t.Fatalf("%q: checked, but fails: %v (%v)", text, errA, c.Type)
			}
			return
		}
		x, errX := kind.Canonical(a)
		y, errY := kind.Canonical(b)
		if string(x) != string(y) || (errX == nil) != (errY == nil) {
			t.Fatalf("%q: %s, then %s", text, x, y)
		}
	})
}
