package expr_test

import (
	"testing"
	"time"

	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// FuzzLoad holds that a plan from anywhere is refused or loaded, and that its
// expressions then give a value or an error, whatever the scope holds.
func FuzzLoad(f *testing.F) {
	for _, raw := range []string{
		`{"format":1,"playbook":"a","phases":[],"exprs":[{"text":"now","type":{"kind":""},"line":1,"column":2}]}`,
		`{"format":1,"phases":[],"inputs":[{"name":"h","type":{"kind":"choice","of":["a"]}}],"exprs":[{"text":"inputs.h + '1'","type":{"kind":"string"}}]}`,
		`{"format":1,"phases":[{"name":"triage","steps":[{"kind":"do","path":"a","foreach":{"var":"x","in":0}}]}],"exprs":[{"text":"[1,2]","type":{"kind":"list","elem":{"kind":"int"}}},{"text":"x > 1","type":{"kind":"boolean"}}]}`,
		`{"format":1,"phases":[],"results":[{"id":"s","type":{"kind":"record","fields":[{"name":"d","type":{"kind":"handle","name":"device"}},{"name":"m","type":{"kind":"map","elem":{"kind":"severity"}},"optional":true}]}}],"exprs":[{"text":"steps.s.?m.orValue({}).map(k, k)"},{"text":"errors.s.kind"},{"text":"outcome.s == 'done'"}]}`,
		`{"format":1,"phases":[],"settings":[{"name":"a","type":{"kind":"list"}},{"name":"b","type":{"kind":"nope"}}],"exprs":[{"text":"settings.a == settings.b"}]}`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := plan.Decode(raw)
		if err != nil || len(p.Exprs) > 20 {
			return
		}
		s, err := expr.Load(p)
		if err != nil {
			return
		}
		now := time.Date(2026, 1, 31, 18, 0, 0, 0, time.UTC)
		full := expr.Scope{
			Inputs: map[string]any{"h": "a"}, Settings: map[string]any{"a": []any{int64(1)}, "b": map[string]any{"x": 1.5}},
			Steps:   map[string]any{"s": map[string]any{"d": device, "m": map[string]any{"k": "high"}}},
			Outcome: map[string]any{"s": "done"}, Run: map[string]any{"id": "r", "started": now}, Locals: map[string]any{"x": int64(2)}, Now: now,
		}
		for i := range p.Exprs {
			for _, sc := range []expr.Scope{{Now: now}, full} {
				_, _ = s.Eval(plan.ExprRef(i), sc)
			}
		}
		if _, err := s.Eval(plan.ExprRef(len(p.Exprs)), full); err == nil {
			t.Fatal("an expression that is not there was evaluated")
		}
	})
}
