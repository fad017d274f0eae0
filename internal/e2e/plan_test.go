package e2e

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/quell-soar/quell/server/api"
)

// TestPlanNamesTargets: `quell plan` on each example calls no effect, counted at the
// vendors, and names every target that the run after it touches. Without QUELL_SOAK
// each example starts by one way.
func TestPlanNamesTargets(t *testing.T) {
	for n, e := range sixExamples() {
		t.Run(e.name, func(t *testing.T) {
			l := startLab(t)
			l.furnish()
			h := examplesHouse(t, l)
			h.start()
			anna, lena := h.token("anna", "analyst"), h.token("lena", "analyst,ir-lead,ciso,service-desk")
			ways := []bool{true, false}
			if os.Getenv("QUELL_SOAK") == "" {
				ways = ways[n%2 : n%2+1]
			}
			for _, byAlert := range ways {
				before := len(l.effects(""))
				got := h.planOf(anna, e, byAlert)
				if did := l.effects("")[before:]; len(did) > 0 {
					t.Errorf("the plan called effects: %+v", did)
				}
				if len(got.Reads) == 0 || len(got.Effects) == 0 {
					t.Errorf("%d reads, %d effects", len(got.Reads), len(got.Effects))
				}
				var id string
				if byAlert {
					id = h.byAlert(e)
				} else {
					id = h.byHand(anna, e)
				}
				h.people(l, lena, id)
				run, err := h.client().Run(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				touched := 0
				for _, f := range run.Effects {
					for _, target := range f.Targets {
						touched++
						if !planNames(got, run.Effects, f, target) {
							t.Errorf("by alert %t: the run's %s (%s) on %s is not in the plan", byAlert, f.Action, f.Step, target)
						}
					}
				}
				t.Logf("by alert %t: %d reads, %d effects planned, %d ways; the run touched %d targets with %d effects", byAlert, len(got.Reads), len(got.Effects), got.Plays, touched, len(run.Effects))
				h.undo(id)
			}
			h.auditOK()
		})
	}
}

// planOf asks for the plan of an example.
func (h *house) planOf(anna *api.Client, e example, byAlert bool) api.Plan {
	h.t.Helper()
	in := api.PlanRequest{Playbook: e.name}
	if byAlert {
		in.Alert, in.From = json.RawMessage(e.body()), e.source
	} else {
		in.Inputs = map[string]json.RawMessage{}
		for name, v := range e.byHand {
			in.Inputs[name] = json.RawMessage(v)
		}
	}
	got, err := anna.Plan(h.t.Context(), in)
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

// planNames reports whether a plan names a target of an action: by its label, or as
// what an earlier effect of the run makes.
func planNames(p api.Plan, did []api.Effect, f api.Effect, target string) bool {
	for _, e := range p.Effects {
		if e.Action != f.Action {
			continue
		}
		for _, t := range e.Targets {
			if strings.EqualFold(t.Label, target) {
				return true
			}
			made := t.KnownAfter != "" && e.Step == f.Step
			if made && slices.ContainsFunc(did, func(o api.Effect) bool {
				return o.Step == t.KnownAfter && (o.Outcome == "done" || o.Outcome == "already")
			}) {
				return true
			}
		}
	}
	return false
}
