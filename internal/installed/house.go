package installed

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/playbooks/compile"
)

// Instance is one connector instance with what its connector's manifest says.
type Instance struct {
	Name, Connector, Version string
	Actions                  []spec.Action
}

// House is an installation. Its methods only read it.
type House struct {
	Instances []Instance
	// Bindings name the instance that serves an action, or all of a domain, as in
	// the configuration.
	Bindings map[string]string
	People   People
}

// Of is an instance with what its connector's manifest says.
func Of(instance string, m spec.Manifest) Instance {
	return Instance{Name: instance, Connector: m.Name, Version: m.Version, Actions: m.Actions}
}

// OwnInstance is the name under which Quell serves actions on what it keeps
// itself. No configured instance may have it.
const OwnInstance = "quell"

// Own is the manifest of these actions.
func Own(version string) spec.Manifest {
	m := spec.Manifest{
		Name: OwnInstance, Version: version, Title: "Quell", Doc: "What Quell itself keeps: the alerts of a run.",
	}
	if a, known := vocabulary.Lookup("alert.close"); known {
		m.Actions = append(m.Actions, a)
	}
	return m
}

// People are those who can be asked.
type People struct {
	// Roles are the roles that somebody has. AnyRole says that they are not known:
	// tokens carry roles, and only the server knows its tokens.
	Roles   []string
	AnyRole bool
	// OnCall names the duties on which there is somebody.
	OnCall []string
}

// PeopleOf is what a configuration says of people.
func PeopleOf(c *config.Config) People {
	var p People
	p.Roles = append(p.Roles, c.Access.LocalRoles...)
	for _, one := range c.Access.People {
		p.Roles = append(p.Roles, one.Roles...)
	}
	for _, roles := range c.Access.OIDC.Roles {
		p.Roles = append(p.Roles, roles...)
	}
	for name, who := range c.OnCall {
		if len(who) > 0 {
			p.OnCall = append(p.OnCall, name)
		}
	}
	p.OnCall = append(p.OnCall, slices.Collect(maps.Keys(c.Rotations))...)
	p.Roles, p.OnCall = distinct(p.Roles), distinct(p.OnCall)
	return p
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// served is an action as an instance has it.
type served struct {
	by     *Instance
	action spec.Action
}

// serving lists who serves an action, by the instances' names.
func (h *House) serving(action string) []served {
	var out []served
	for i := range h.Instances {
		for _, a := range h.Instances[i].Actions {
			if a.Name == action {
				out = append(out, served{&h.Instances[i], a})
			}
		}
	}
	slices.SortFunc(out, func(a, b served) int { return cmp.Compare(a.by.Name, b.by.Name) })
	return out
}

// bound is the instance to which the configuration binds an action, "" for none.
func (h *House) bound(action string) string {
	if i, ok := h.Bindings[action]; ok {
		return i
	}
	domain, _, _ := strings.Cut(action, ".")
	return h.Bindings[domain]
}

// Actions is the catalogue to compile against: each action in the form of the
// instance that will serve it. What nobody serves stands in it as the vocabulary
// has it, so that Unbound tells of it, and not a name that seems misspelt.
func (h *House) Actions() *compile.Fixed {
	var list []spec.Action
	seen := map[string]bool{}
	for _, i := range h.Instances {
		for _, a := range i.Actions {
			if seen[a.Name] {
				continue
			}
			seen[a.Name] = true
			all := h.serving(a.Name)
			at := max(0, slices.IndexFunc(all, func(s served) bool { return s.by.Name == h.bound(a.Name) }))
			list = append(list, all[at].action)
		}
	}
	slices.SortFunc(list, func(a, b spec.Action) int { return cmp.Compare(a.Name, b.Name) })
	return compile.NewFixed(append(list, vocabulary.All()...)...)
}

// Installation is what the compiler asks beside the actions.
func (h *House) Installation() *compile.Installation {
	return &compile.Installation{
		Roles: h.People.Roles, AnyRole: h.People.AnyRole, OnCall: h.People.OnCall, Unbound: h.unbound,
	}
}

// Connected is Installation without the question who can be asked: people come
// and go while a playbook is loaded, and in observe mode nobody is needed.
func (h *House) Connected() *compile.Installation {
	return &compile.Installation{AnyRole: true, AnyDuty: true, Unbound: h.unbound}
}

// unbound says why it is not clear who serves an action, and what to do.
func (h *House) unbound(action string) (why, cure string) {
	all := h.serving(action)
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.by.Name
	}
	to := h.bound(action)
	switch {
	case len(all) == 0:
		return "no connector instance serves " + action, "connect a product that does, with quell connector add; quell connector known lists them"
	case to != "" && !slices.Contains(names, to):
		return action + " is bound to " + to + ", which does not serve it", "bind it to one that does: " + strings.Join(names, ", ")
	case to != "" || len(all) == 1:
		return "", ""
	case !actsOnHandle(all[0].action):
		return strings.Join(names, " and ") + " serve " + action + ", and none of them is bound", bind(action, names[0])
	}
	// A handle goes to the instance that found it, so each must do.
	for _, s := range all[1:] {
		if s.action.SchemaDigest() != all[0].action.SchemaDigest() {
			return all[0].says() + " and " + s.says() + " serve " + action + " in two forms",
				"bring them to one version of the connector, or " + bind(action, names[0])
		}
	}
	return "", ""
}

func (s served) says() string {
	return s.by.Name + " (" + s.by.Connector + " " + s.by.Version + ")"
}

func bind(action, to string) string {
	return "bind one in the configuration: bindings: { " + action + ": " + to + " }"
}

// actsOnHandle reports whether an input says which instance is called: a handle
// goes back to where it was found. A foreign one is only read about.
func actsOnHandle(a spec.Action) bool {
	return slices.ContainsFunc(a.Inputs, func(f kind.Field) bool {
		t := f.Type
		if t.Kind == kind.List && t.Elem != nil {
			t = *t.Elem
		}
		return t.Kind == kind.Handled && !f.Foreign
	})
}
