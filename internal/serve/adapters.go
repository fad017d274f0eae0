package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/dispatch"
	"github.com/quell-soar/quell/internal/installed"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// deliveries shows the dispatcher the votes that wait.
type deliveries struct{ *approval.Approvals }

func (d deliveries) Undelivered(ctx context.Context) ([]dispatch.Delivery, error) {
	list, err := d.Approvals.Undelivered(ctx)
	out := make([]dispatch.Delivery, len(list))
	for i, p := range list {
		out[i] = dispatch.Delivery{Vote: p.Vote, Request: p.Request}
	}
	return out, err
}

// doubtGrace is how long after nothing of an effect can land any more its own run,
// undo or hold may still bring it to an end.
const doubtGrace = 2 * time.Minute

// doubts lists the effects of runs that are over, of which nobody knows whether
// they happened.
func doubts(r *rooms) func(context.Context) ([]run.DoubtInput, error) {
	return func(ctx context.Context) ([]run.DoubtInput, error) {
		list, err := r.effects.Forsaken(ctx, doubtGrace)
		if err != nil {
			return nil, err
		}
		over := map[string]bool{}
		var out []run.DoubtInput
		for _, e := range list {
			if _, known := over[e.Run]; !known {
				rec, err := r.runs.Get(ctx, e.Run)
				if err != nil && !errors.Is(err, runs.ErrNotFound) {
					return nil, err
				}
				over[e.Run] = err != nil || rec.Status == runs.Ended
			}
			if !over[e.Run] {
				continue
			}
			in := run.DoubtInput{Tenant: e.Tenant, Run: e.Run, Key: e.Key, Action: e.Action, Instance: e.Instance, Why: e.Detail}
			if in.Why == "" {
				in.Why = "its call may have left, and no answer was stored"
			}
			for _, t := range e.Targets {
				in.Labels = append(in.Labels, t.Label)
			}
			out = append(out, in)
		}
		return out, nil
	}
}

// connectorList shows the instances as the API tells them.
type connectorList struct {
	host  *host.Host
	cfg   *config.Config
	house *installed.House
	queue *dispatch.Dispatcher
}

// Installed tells what the playbooks were loaded against.
func (c connectorList) Installed() api.Installed {
	out := api.Installed{Bindings: c.house.Bindings, Roles: c.house.People.Roles, OnCall: c.house.People.OnCall}
	for _, i := range c.house.Instances {
		out.Instances = append(out.Instances, api.InstalledConnector{Instance: i.Name, Connector: i.Connector, Version: i.Version, Actions: i.Actions})
	}
	return out
}

func (c connectorList) List(context.Context) ([]api.Connector, error) {
	cat, held, crowded := c.host.Catalogue(), c.queue.Held(), c.queue.Crowded()
	var out []api.Connector
	for _, st := range c.host.Status() {
		a := api.Connector{Instance: st.Name, Type: st.Connector, Version: st.Version, State: string(st.State), Detail: st.LastError, Mode: string(c.cfg.Connectors[st.Name].Mode)}
		switch {
		case st.State != host.Ready:
		case st.Circuit != host.CircuitClosed:
			a.State, a.Detail = stateOpen, circuitDetail(st)
		case !st.PausedUntil.IsZero():
			a.Detail = "the vendor asked to wait until " + st.PausedUntil.UTC().Format(time.RFC3339)
		}
		a.Detail = withHeld(a.Detail, held[st.Name], slices.Contains(crowded, st.Name))
		for _, name := range cat.Actions() {
			if slices.ContainsFunc(cat.Serving(name), func(s host.Served) bool { return s.Instance == st.Name }) {
				a.Actions = append(a.Actions, name)
			}
		}
		out = append(out, a)
	}
	return out, nil
}

// withHeld adds to the detail of an instance how many runs wait for it.
func withHeld(detail string, runs int, crowded bool) string {
	var parts []string
	if detail != "" {
		parts = append(parts, detail)
	}
	switch {
	case crowded:
		parts = append(parts, fmt.Sprintf("%d runs wait for it, and more of those that use it are not started until some go on", runs))
	case runs == 1:
		parts = append(parts, "1 run waits for it")
	case runs > 1:
		parts = append(parts, fmt.Sprintf("%d runs wait for it", runs))
	}
	return strings.Join(parts, "; ")
}

// stateOpen is told of an instance whose process is well and whose vendor is not.
const stateOpen = "circuit_open"

func circuitDetail(st host.InstanceStatus) string {
	if st.Circuit == host.CircuitHalfOpen {
		return "calls are held back, and the next one tries whether the vendor answers again: " + st.CircuitError
	}
	return "calls are held back until " + st.OpenUntil.UTC().Format(time.RFC3339) + ", because the vendor kept failing: " + st.CircuitError
}

func (c connectorList) Check(ctx context.Context, instance string) (api.Connector, error) {
	list, err := c.List(ctx)
	if err != nil {
		return api.Connector{}, err
	}
	for _, a := range list {
		if a.Instance != instance {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		for _, f := range c.host.Check(ctx, instance) {
			a.Checks = append(a.Checks, api.ConnectorCheck{Name: f.Name, OK: f.OK, Advice: f.Advice})
			if !f.OK && a.State == string(host.Ready) {
				a.State, a.Detail = "broken", f.Name+": "+f.Advice
			}
		}
		if a.State == stateOpen {
			a.Checks = append(a.Checks, api.ConnectorCheck{Name: "circuit", Advice: a.Detail})
		}
		if a.Version != "" {
			a.Checks = append(a.Checks, api.ConnectorCheck{Name: "version", OK: true, Advice: a.Type + " " + a.Version})
		}
		return a, nil
	}
	return api.Connector{}, api.Problem(api.CodeNotFound, "there is no connector instance "+instance)
}

func (c connectorList) Ready(context.Context) error {
	for _, st := range c.host.Status() {
		if st.State != host.Ready {
			return fmt.Errorf("connector %s is %s: %s", st.Name, st.State, st.LastError)
		}
	}
	return nil
}
