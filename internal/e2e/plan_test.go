package e2e

import (
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/quell-soar/quell/server/api"
)

// planned asks for the plan of an example, and holds the vendors to have seen no
// effect for it.
func (h *house) planned(anna *api.Client, l *labProcess, e example, byAlert bool) api.Plan {
	h.t.Helper()
	before := len(l.effects(""))
	got := h.planOf(anna, e, byAlert)
	if did := l.effects("")[before:]; len(did) > 0 {
		h.t.Errorf("the plan called effects: %+v", did)
	}
	if len(got.Reads) == 0 || len(got.Effects) == 0 {
		h.t.Errorf("%d reads, %d effects", len(got.Reads), len(got.Effects))
	}
	return got
}

// named holds every target that a run touched against the plan that was made before
// it.
func (h *house) named(got api.Plan, id string) {
	h.t.Helper()
	run, err := h.client().Run(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	touched := 0
	for _, f := range run.Effects {
		for _, target := range f.Targets {
			if touched++; !planNames(got, run.Effects, f, target) {
				h.t.Errorf("the run's %s (%s) on %s is not in the plan", f.Action, f.Step, target)
			}
		}
	}
	h.t.Logf("%d reads, %d effects planned, %d ways; the run touched %d targets with %d effects", len(got.Reads), len(got.Effects), got.Plays, touched, len(run.Effects))
}

// playsBack plays what was recorded through the same version: every run goes on as
// it did, and no vendor sees an effect.
func (h *house) playsBack(anna *api.Client, l *labProcess, e example, runs int) {
	h.t.Helper()
	raw, err := os.ReadFile("../../examples/" + e.name + ".yaml")
	if err != nil {
		h.t.Fatal(err)
	}
	before := len(l.effects(""))
	got, err := anna.Backtest(h.t.Context(), api.BacktestRequest{Source: api.PlaybookText{File: e.name + ".yaml", Text: string(raw)}, Since: "1d"})
	if err != nil {
		h.t.Fatal(err)
	}
	if got.Runs != runs || got.Same != runs || len(l.effects("")) != before {
		raw, _ := json.MarshalIndent(got, "", " ")
		h.t.Errorf("%d runs do not play back as they went: %s", runs, raw)
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
