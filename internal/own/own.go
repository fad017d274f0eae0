package own

import (
	"context"
	"time"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/installed"
	"github.com/quell-soar/quell/workflows/run"
)

// Instance is the name under which the actions are served.
const Instance = installed.OwnInstance

// Alerts is the part of runs.Runs that the actions need.
type Alerts interface {
	CloseAlerts(ctx context.Context, runID, as string) (all, already int, err error)
	OpenAlerts(ctx context.Context, runID, as string) (int, error)
}

// Host is a connector host that serves Quell's own actions beside those of its
// instances. It is safe for concurrent use.
type Host struct {
	*host.Host
	manifest spec.Manifest
	alerts   Alerts
	now      func() time.Time
}

// New puts the own actions beside a host's.
func New(h *host.Host, version string, alerts Alerts, now func() time.Time) *Host {
	return &Host{Host: h, manifest: installed.Own(version), alerts: alerts, now: now}
}

// Catalogue is the host's with the own actions.
func (h *Host) Catalogue() host.Catalogue { return h.Host.Catalogue().With(Instance, h.manifest) }

// Action returns an action as an instance serves it.
func (h *Host) Action(instance, action string) (spec.Action, bool) {
	if instance != Instance {
		return h.Host.Action(instance, action)
	}
	return h.manifest.Action(action)
}

// Binary tells the version of the own actions; there is no program to pin.
func (h *Host) Binary(instance string) (sha256, version string) {
	if instance != Instance {
		return h.Host.Binary(instance)
	}
	return "", h.manifest.Version
}

// Call runs one action, as host.Host does.
func (h *Host) Call(ctx context.Context, instance string, r spec.Request, p host.Permit) (spec.Reply, error) {
	if instance != Instance {
		return h.Host.Call(ctx, instance, r, p)
	}
	return h.call(ctx, r, p)
}

// Enter takes a slot of an instance; Quell's own actions need none.
func (h *Host) Enter(ctx context.Context, instance string) (leave func(made bool), err error) {
	if instance != Instance {
		return h.Host.Enter(ctx, instance)
	}
	return func(bool) {}, nil
}

// TryCall is Call that never waits before the call leaves.
func (h *Host) TryCall(ctx context.Context, instance string, r spec.Request, p host.Permit) (spec.Reply, error) {
	if instance != Instance {
		return h.Host.TryCall(ctx, instance, r, p)
	}
	return h.call(ctx, r, p)
}

func (h *Host) call(ctx context.Context, r spec.Request, p host.Permit) (spec.Reply, error) {
	a, known := h.manifest.Action(r.Action)
	if !known {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "Quell itself does not serve %q", r.Action)
	}
	if err := kind.Check(a.InputType(), r.Inputs); err != nil {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "inputs of %s: %v", r.Action, err)
	}
	if r.Mode == spec.Act && (p.Key != r.Key || !h.now().Before(p.Expires)) {
		return spec.Reply{}, host.ErrPermit
	}
	key, err := run.ParseKey(r.Key)
	if err != nil {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "%s: %v", r.Action, err)
	}
	as, _ := r.Inputs["as"].(string)
	if r.Mode == spec.Back {
		return h.back(ctx, key.Run, as)
	}
	all, already, err := h.alerts.CloseAlerts(ctx, key.Run, as)
	if err != nil {
		// The store is one: a transaction that failed changed nothing.
		return spec.Reply{}, spec.Errorf(spec.Transient, "%v", err)
	}
	reply := spec.Reply{Outcome: spec.Done, Output: map[string]any{"alerts": int64(all)}}
	if all == already {
		reply.Outcome = spec.Already
	}
	return reply, nil
}

func (h *Host) back(ctx context.Context, runID, as string) (spec.Reply, error) {
	open, err := h.alerts.OpenAlerts(ctx, runID, as)
	if err != nil {
		return spec.Reply{}, spec.Errorf(spec.Transient, "%v", err)
	}
	if open > 0 {
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	return spec.Reply{Outcome: spec.Present}, nil
}
