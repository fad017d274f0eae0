package intake

import (
	"fmt"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// Scheduled makes the claim of a run that the n-th schedule of a playbook starts
// at a time, from 1. firing names the firing. Runs of a schedule are about the
// schedule, so that the claim finds the run before; where they may overlap, each
// is about its firing.
func (l Loaded) Scheduled(tenant string, n int, firing string, at time.Time) (runs.Claim, plan.Overlap, error) {
	if n < 1 || n > len(l.Plan.Triggers.Schedules) {
		return runs.Claim{}, "", fmt.Errorf("playbook %s has no schedule %d", l.Plan.Playbook, n)
	}
	t := l.Plan.Triggers.Schedules[n-1]
	sc := expr.Scope{Settings: l.Settings, Now: at.UTC()}
	values := map[string]any{}
	for _, nv := range t.Inputs {
		v, err := l.Set.Value(nv.Value, sc)
		if err != nil {
			return runs.Claim{}, "", fmt.Errorf("input %s: %w", nv.Name, err)
		}
		if v != nil {
			values[nv.Name] = v
		}
	}
	inputs, err := EncodeInputs(l.Plan, values)
	if err != nil {
		return runs.Claim{}, "", err
	}
	settings, err := kind.Canonical(orEmpty(l.Settings))
	if err != nil {
		return runs.Claim{}, "", err
	}
	about := []any{"schedule", l.Plan.Playbook, int64(n)}
	if t.Overlap == plan.OverlapAllow {
		about = append(about, firing)
	}
	once, err := kind.Canonical(about)
	if err != nil {
		return runs.Claim{}, "", err
	}
	return runs.Claim{
		Tenant: tenant, Playbook: l.Plan.Playbook, Digest: l.Digest, Plan: l.Raw, OnceValue: once,
		Inputs: inputs, Settings: settings, Bindings: l.Bindings, Mode: l.Mode, Severity: "medium",
		Targets: targets(l.Plan, values), Calendars: l.Calendars, Calls: l.Calls,
		Trigger: run.Trigger{Kind: "schedule", Actor: "schedule:" + l.Plan.Playbook},
	}, t.Overlap, nil
}
