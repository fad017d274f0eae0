package host

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
)

// State is what an instance is doing.
type State string

// The states of an instance.
const (
	// Starting: its process is being started, or Start was not called yet.
	Starting State = "starting"
	// Ready: it takes calls.
	Ready State = "ready"
	// Broken: it failed and will be started again shortly.
	Broken State = "broken"
	// Quarantined: it failed too often and is tried again only now and then.
	Quarantined State = "quarantined"
	// Stopped: the host was closed.
	Stopped State = "stopped"
)

// InstanceStatus is what Status tells of one instance.
type InstanceStatus struct {
	Name      string `json:"name"`
	Connector string `json:"connector"`
	// Version and SHA256 are those of the process that runs, or ran last.
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
	State   State  `json:"state"`
	// Since is when it came into this state.
	Since time.Time `json:"since"`
	// PID is 0 where no process takes calls.
	PID int `json:"pid,omitempty"`
	// Restarts counts the starts after the first.
	Restarts int `json:"restarts"`
	// Slots is how many calls it takes at once, SlotsInUse how many run now.
	Slots      int `json:"slots"`
	SlotsInUse int `json:"slots_in_use"`
	// Confined is the version of Landlock that confines the process, 0 for none.
	Confined int `json:"confined"`
	// LastError is why it last failed; it stays after a recovery.
	LastError string `json:"last_error,omitempty"`
	// PausedUntil is set while the vendor's rate limit holds calls back.
	PausedUntil time.Time `json:"paused_until,omitzero"`
	// Circuit is open while the vendor fails and calls are held back, until
	// OpenUntil; CircuitError is the failure that opened it.
	Circuit      Circuit   `json:"circuit"`
	OpenUntil    time.Time `json:"open_until,omitzero"`
	CircuitError string    `json:"circuit_error,omitempty"`
}

// Served is one instance that serves an action.
type Served struct {
	Instance  string
	Connector string
	// Version is that of the connector's manifest.
	Version string
	Action  spec.Action
}

// Catalogue lists the actions that the configured instances serve. It is a copy
// and does not change.
type Catalogue struct{ actions map[string][]Served }

// Actions returns the names of all actions, sorted.
func (c Catalogue) Actions() []string { return slices.Sorted(maps.Keys(c.actions)) }

// Serving returns who serves an action, sorted by instance; nil if nobody does.
func (c Catalogue) Serving(action string) []Served { return slices.Clone(c.actions[action]) }

// With returns the catalogue with the actions of one more instance, which is not
// the host's.
func (c Catalogue) With(instance string, m spec.Manifest) Catalogue {
	out := Catalogue{actions: maps.Clone(c.actions)}
	for _, a := range m.Actions {
		served := append(slices.Clone(out.actions[a.Name]), Served{Instance: instance, Connector: m.Name, Version: m.Version, Action: a})
		slices.SortFunc(served, func(a, b Served) int { return strings.Compare(a.Instance, b.Instance) })
		out.actions[a.Name] = served
	}
	return out
}

// Catalogue returns what is known now: the instances whose connector has told
// its manifest, in Describe or in Start.
func (h *Host) Catalogue() Catalogue {
	c := Catalogue{actions: map[string][]Served{}}
	for _, i := range h.instances {
		m := i.known()
		if m == nil {
			continue
		}
		for _, a := range m.Actions {
			c.actions[a.Name] = append(c.actions[a.Name], Served{Instance: i.conf.Name, Connector: m.Name, Version: m.Version, Action: a})
		}
	}
	for _, s := range c.actions {
		slices.SortFunc(s, func(a, b Served) int { return strings.Compare(a.Instance, b.Instance) })
	}
	return c
}

// Resolve returns the names of the instances that serve an action, sorted.
func (h *Host) Resolve(action string) []string {
	var names []string
	for _, i := range h.instances {
		if _, ok := i.action(action); ok {
			names = append(names, i.conf.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Action returns an action as the instance serves it.
func (h *Host) Action(instance, action string) (spec.Action, bool) {
	i, ok := h.byName[instance]
	if !ok {
		return spec.Action{}, false
	}
	return i.action(action)
}

// Binary returns the checksum of the instance's program and the version of its
// connector, for the record of an effect; both empty while neither is known.
func (h *Host) Binary(instance string) (sha256, version string) {
	i, ok := h.byName[instance]
	if !ok {
		return "", ""
	}
	st := i.status()
	return st.SHA256, st.Version
}

// Status tells of every instance, sorted by name.
func (h *Host) Status() []InstanceStatus {
	out := make([]InstanceStatus, 0, len(h.instances))
	for _, i := range h.instances {
		out = append(out, i.status())
	}
	slices.SortFunc(out, func(a, b InstanceStatus) int { return strings.Compare(a.Name, b.Name) })
	return out
}
