package compile_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// asRun makes the result of a step as the interpreter does: of an action's
// fields only those that the plan says are read, the effect only where it is.
func asRun(p *plan.Plan, st *plan.Step) map[string]any {
	out := map[string]any{}
	if a, ok := p.ActionSpec(st.Action.Name); ok {
		for _, f := range a.Outputs {
			for _, r := range st.Action.Reads {
				if r == f.Name || r == "*" {
					out[f.Name] = someValue(f.Type)
				}
			}
		}
	}
	return out
}

func rounds(p *plan.Plan, st *plan.Step) any {
	rec := map[string]any{"index": int64(0), "ok": true}
	effect := kind.Handle{Name: plan.Effect, Instance: "a", ID: "k", Label: "x"}
	rec["item"] = someValue(*p.Exprs[st.Foreach.In].Type.Elem)
	if st.Kind == plan.Uses {
		rec["out"] = asRun(p, st)
		if st.Action.Named {
			rec[plan.EffectField] = effect
		}
	}
	for i := range st.Steps {
		if in := &st.Steps[i]; in.Action != nil && in.ID != "" {
			m := asRun(p, in)
			if in.Action.Named {
				m[plan.EffectField] = effect
			}
			rec[in.ID] = m
		}
	}
	return []any{rec}
}

// TestRoundsAsRun evaluates what loops go over on results as they are when a
// playbook runs, with nothing in them that nobody reads: they fit their types.
func TestRoundsAsRun(t *testing.T) {
	evaluated := 0
	for _, name := range valid(t) {
		switch strings.TrimSuffix(filepath.Base(name), ".yaml") {
		case "call-within-limits", "maps-and-json", "same-loop-variable-twice":
			continue // no made-up value fits: a called run, JSON, two variables of a name
		}
		p := compileFile(t, name)
		set, err := expr.Load(p)
		if err != nil {
			t.Fatal(err)
		}
		sc := madeUp(p)
		var walk func([]plan.Step, func(*plan.Step))
		walk = func(steps []plan.Step, f func(*plan.Step)) {
			for i := range steps {
				f(&steps[i])
				for _, list := range steps[i].Inside() {
					walk(list, f)
				}
			}
		}
		each := func(f func(*plan.Step)) {
			for _, ph := range p.Phases {
				walk(ph.Steps, f)
			}
		}
		each(func(st *plan.Step) {
			switch {
			case st.ID != "" && st.Foreach != nil:
				sc.Steps[st.ID] = rounds(p, st)
			case st.ID != "" && st.Action != nil:
				m := asRun(p, st)
				if st.Action.Named {
					m[plan.EffectField] = kind.Handle{Name: plan.Effect, Instance: "a", ID: "k", Label: "x"}
				}
				sc.Steps[st.ID] = m
			}
		})
		each(func(st *plan.Step) {
			for _, ref := range st.Exprs() {
				if _, err := set.Eval(ref, sc); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				evaluated++
			}
		})
	}
	t.Logf("%d expressions", evaluated)
}

// TestReads holds what comes back inline of each result.
func TestReads(t *testing.T) {
	type use struct {
		Reads []string
		Named bool
	}
	for name, want := range map[string]map[string]use{
		"filter-proves":      {"verdicts": {Reads: []string{"score", "verdict"}}},
		"foreach-over-block": {"found": {Reads: []string{"state"}}, "asset": {Reads: []string{"owner"}}},
		"undo-by-effect":     {"looked": {Reads: []string{"verdict"}}, "blocked": {Named: true}},
		"undo-per-item":      {"found": {Reads: []string{"device", "os"}}, "isolated": {Named: true}},
		"distinct-by":        {"clicks": {Reads: []string{"rows"}}},
		"repeat-until":       {"host": {Reads: []string{"device"}}, "scan": {Reads: []string{"findings"}}},
	} {
		got := map[string]use{}
		p := compileFile(t, "testdata/valid/"+name+".yaml")
		var walk func([]plan.Step)
		walk = func(steps []plan.Step) {
			for i := range steps {
				if st := &steps[i]; st.Action != nil && want[st.ID].Reads != nil || want[st.ID].Named {
					got[st.ID] = use{st.Action.Reads, st.Action.Named}
				}
				for _, list := range steps[i].Inside() {
					walk(list)
				}
			}
		}
		for _, ph := range p.Phases {
			walk(ph.Steps)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
