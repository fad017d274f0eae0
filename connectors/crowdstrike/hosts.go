package crowdstrike

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// device is what is read of a host's record.
type device struct {
	ID       string `json:"device_id"`
	Hostname string `json:"hostname"`
	OS       string `json:"os_version"`
	Platform string `json:"platform_name"`
	Status   string `json:"status"`
	LastSeen string `json:"last_seen"`
}

// state is the device's containment in the vocabulary's words.
func (d device) state() (string, error) {
	switch d.Status {
	case "normal":
		return vocabulary.HostNormal, nil
	case "contained":
		return vocabulary.HostIsolated, nil
	case "containment_pending":
		return vocabulary.HostIsolating, nil
	case "lift_containment_pending":
		return vocabulary.HostReleasing, nil
	}
	return "", spec.Errorf(spec.Conflict, "Falcon shows the host %s with the status %q, which is no state of containment; look at it in the console", d.ID, plain(d.Status))
}

func (s *session) findHost(ctx context.Context, r spec.Request) (spec.Reply, error) {
	asked, _ := r.Inputs["hostname"].(string)
	name := strings.TrimSuffix(asked, ".")
	ids, err := fetch[string](ctx, s, rest.Request{
		Path:  []string{"devices", "queries", "devices", "v1"},
		Query: url.Values{"filter": {"hostname:" + literal(name)}, "limit": {"100"}},
	})
	if err != nil {
		return spec.Reply{}, err
	}
	var match []device
	if len(ids) > 0 {
		found, err := s.devices(ctx, ids)
		if err != nil {
			return spec.Reply{}, err
		}
		for _, d := range found {
			if strings.EqualFold(d.Hostname, name) {
				match = append(match, d)
			}
		}
	}
	switch len(match) {
	case 0:
		return spec.Reply{}, spec.Errorf(spec.NotFound, "Falcon knows no host %q; check the name, and whether the sensor is installed", name)
	case 1:
		return s.hostReply(match[0])
	}
	return spec.Reply{}, spec.Errorf(spec.Ambiguous, "Falcon knows %d hosts %q; hide those that are gone in its console", len(match), name)
}

func (s *session) hostReply(d device) (spec.Reply, error) {
	state, err := d.state()
	if err != nil {
		return spec.Reply{}, err
	}
	os := d.OS
	if os == "" {
		os = d.Platform
	}
	out := map[string]any{
		"device":   kind.Handle{Name: "device", Instance: s.instance, ID: d.ID, Label: d.Hostname},
		"hostname": d.Hostname, "state": state, "os": os,
	}
	if at, err := time.Parse(time.RFC3339, d.LastSeen); err == nil {
		out["last_seen"] = at.UTC()
	}
	return spec.Reply{Outcome: spec.Done, Output: out}, nil
}

func (s *session) devices(ctx context.Context, ids []string) ([]device, error) {
	return fetch[device](ctx, s, rest.Request{
		Method: http.MethodPost, Path: []string{"devices", "entities", "devices", "v2"}, JSON: map[string]any{"ids": ids},
	})
}

// stateOf reads one host's containment.
func (s *session) stateOf(ctx context.Context, h kind.Handle) (string, error) {
	found, err := s.devices(ctx, []string{h.ID})
	if err != nil {
		return "", err
	}
	for _, d := range found {
		if strings.EqualFold(d.ID, h.ID) {
			return d.state()
		}
	}
	return "", spec.Errorf(spec.NotFound, "Falcon knows the host %s (%s) no longer", h.Label, h.ID)
}

func (s *session) hostState(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := aidOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	state, err := s.stateOf(ctx, h)
	if err != nil {
		return spec.Reply{}, err
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"state": state}}, nil
}

// direction is one way of changing a state: what brings it about, where it
// leads, and how it looks while it is under way.
type direction struct{ action, want, heading string }

var (
	isolate    = direction{"contain", vocabulary.HostIsolated, vocabulary.HostIsolating}
	release    = direction{"lift_containment", vocabulary.HostNormal, vocabulary.HostReleasing}
	quarantine = direction{"unrelease", inQuarantine, ""}
	restore    = direction{"release", released, ""}
)

// settled is the state to which a host's state leads.
func settled(state string) string {
	switch state {
	case vocabulary.HostIsolating:
		return vocabulary.HostIsolated
	case vocabulary.HostReleasing:
		return vocabulary.HostNormal
	}
	return state
}

// contain isolates or releases a host.
func (s *session) contain(ctx context.Context, r spec.Request, d direction) (spec.Reply, error) {
	h, err := aidOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	read := func(ctx context.Context) (string, error) { return s.stateOf(ctx, h) }
	reply := func(state string) map[string]any { return map[string]any{"state": state} }
	if r.Mode == spec.Back {
		return s.readBack(ctx, r, d, read, reply)
	}
	write := func(ctx context.Context) (string, error) {
		return s.change(ctx, rest.Request{
			Method: http.MethodPost, Path: []string{"devices", "entities", "devices-actions", "v2"},
			Query: url.Values{"action_name": {d.action}}, JSON: map[string]any{"ids": []string{h.ID}},
		}, h.ID)
	}
	return s.drive(ctx, r, d, read, write, reply)
}
