package serve

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/own"
	"github.com/quell-soar/quell/internal/registry"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// book holds the playbooks that may be started, bound to the configured
// connectors. What they are, the registry says; reload takes it up.
type book struct {
	cfg     *config.Config
	reg     *registry.Registry
	host    *own.Host
	version string
	roles   func(context.Context) ([]string, error)
	log     zerolog.Logger
	// pulled is what the repository had the last time; follow alone reads it after
	// the start.
	pulled registry.Pulled
	// faults are those of whole sources now, by what is the matter.
	faults sync.Map
	// taking lets one offer and one reload happen at a time.
	taking sync.Mutex
	now    atomic.Pointer[edition]
	// changed is called after each reload.
	changed func(context.Context) error
}

// edition is the book at one revision of the registry. It is not changed.
type edition struct {
	revision int64
	list     []intake.Loaded
	// promoted are the modes that people gave playbooks.
	promoted map[string]guard.Mode
	// broken are the playbooks that cannot be started here, and why.
	broken map[string]string
}

// catalogue offers the actions that some instance serves.
type catalogue struct{ host.Catalogue }

func (c catalogue) Names() []string { return c.Actions() }

func (c catalogue) Action(name string) (spec.Action, bool) {
	served := c.Serving(name)
	if len(served) == 0 {
		return spec.Action{}, false
	}
	return served[0].Action, true
}

// edition gives what may be started now.
func (b *book) edition() *edition {
	if e := b.now.Load(); e != nil {
		return e
	}
	return &edition{}
}

// reload takes up what the registry says. A playbook that cannot be bound any
// more, because the configuration changed, is told and left out.
func (b *book) reload(ctx context.Context) error {
	all, revision, err := b.reg.Current(ctx)
	if err != nil {
		return err
	}
	next := &edition{revision: revision, promoted: map[string]guard.Mode{}, broken: map[string]string{}}
	for _, e := range all {
		name := e.Current.Playbook
		if e.Mode != "" {
			next.promoted[name] = e.Mode
		}
	}
	for _, e := range all {
		if e.Retired != nil {
			continue
		}
		l, err := b.load(e.Current, next)
		if err != nil {
			next.broken[e.Current.Playbook] = err.Error()
			b.log.Error().Str("playbook", e.Current.Playbook).Err(err).Msg("a playbook cannot be started")
			continue
		}
		next.list = append(next.list, l)
	}
	b.now.Store(next)
	if b.changed == nil {
		return nil
	}
	return b.changed(ctx)
}

// load binds one version.
func (b *book) load(v registry.Version, e *edition) (intake.Loaded, error) {
	p, err := plan.Decode(v.Plan)
	if err != nil {
		return intake.Loaded{}, err
	}
	return b.bind(p, v.Plan, v.Digest, e)
}

// bind completes a plan with what the installation adds to it.
func (b *book) bind(p *plan.Plan, raw []byte, digest string, e *edition) (intake.Loaded, error) {
	c := catalogue{b.host.Catalogue()}
	l := intake.Loaded{Plan: p, Raw: raw, Digest: digest}
	for _, a := range p.Actions {
		if is, served := c.Action(a.Name); served && is.SchemaDigest() != a.Schema {
			return l, fmt.Errorf("playbook %s: what %s takes or gives is not what it was published for; publish it again", p.Playbook, a.Name)
		}
	}
	var err error
	if l.Set, err = expr.Load(p); err != nil {
		return l, err
	}
	if l.Settings, err = b.settings(p); err != nil {
		return l, err
	}
	if l.Calendars, err = b.calendars(p, l.Settings); err != nil {
		return l, err
	}
	if l.Calls, err = b.callees(p, c, e); err != nil {
		return l, err
	}
	l.Bindings, err = b.bindings(p, c)
	return l, err
}

// settings reads the installation's values by the playbook's types.
func (b *book) settings(p *plan.Plan) (map[string]any, error) {
	out := map[string]any{}
	given := b.cfg.Settings[p.Playbook]
	for _, s := range p.Settings {
		v, ok := given[s.Name]
		if !ok {
			if s.Default == nil {
				return nil, fmt.Errorf("playbook %s: setting %s has no value; set settings.%s.%s in the configuration", p.Playbook, s.Name, p.Playbook, s.Name)
			}
			continue
		}
		x, err := readSetting(s.Type, v)
		if err != nil {
			return nil, fmt.Errorf("settings.%s.%s: %w", p.Playbook, s.Name, err)
		}
		out[s.Name] = x
	}
	return out, nil
}

func readSetting(t kind.Type, v any) (any, error) {
	switch x := v.(type) {
	case string:
		return kind.Parse(t, x)
	case []any:
		if t.Kind != kind.List {
			return nil, fmt.Errorf("a %s is no list", t)
		}
		out := make([]any, len(x))
		for i, e := range x {
			c, err := readSetting(*t.Elem, e)
			if err != nil {
				return nil, err
			}
			out[i] = c
		}
		return out, nil
	}
	return nil, fmt.Errorf("a %s cannot be read here", t)
}

// bindings chooses the instance of each action: the bound one, or the only one
// that serves it. Actions on handles go to the handle's instance and need none,
// but get one where it is clear.
func (b *book) bindings(p *plan.Plan, c catalogue) ([]run.Binding, error) {
	var out []run.Binding
	for _, a := range p.Actions {
		served := c.Serving(a.Name)
		instance, bound := b.cfg.Bound(a.Name)
		if bound {
			if !slices.ContainsFunc(served, func(s host.Served) bool { return s.Instance == instance }) {
				return nil, fmt.Errorf("bindings: %s does not serve %s", instance, a.Name)
			}
		} else if len(served) == 1 {
			instance = served[0].Instance
		} else if !takesHandle(a.Spec) {
			return nil, fmt.Errorf("playbook %s: %d instances serve %s; bind one: bindings: {%s: INSTANCE}", p.Playbook, len(served), a.Name, a.Name)
		}
		if instance != "" {
			out = append(out, run.Binding{Action: a.Name, Instance: instance, Mode: string(instanceMode(b.cfg, instance))})
		}
	}
	return out, nil
}

func takesHandle(a spec.Action) bool {
	return slices.ContainsFunc(a.Inputs, func(f kind.Field) bool {
		return f.Type.Kind == kind.Handled || (f.Type.Kind == kind.List && f.Type.Elem.Kind == kind.Handled)
	})
}

// with returns a playbook in the mode of a trigger.
func (b *book) with(l intake.Loaded, trigger config.Mode) intake.Loaded {
	l.Mode = string(guard.Lowest(b.playbookMode(b.edition(), l.Plan.Playbook), guard.Mode(trigger)))
	return l
}

// mode is the lowest of the modes of a playbook and of what starts it.
func (b *book) mode(playbook, trigger, source string) guard.Mode {
	return guard.Lowest(b.playbookMode(b.edition(), playbook), guard.Mode(b.triggerMode(trigger, source)))
}

// playbookMode is the lower of the mode that somebody promoted a playbook to and
// of what the configuration says; observe where neither says anything.
func (b *book) playbookMode(e *edition, name string) guard.Mode {
	var said []guard.Mode
	if m, ok := b.cfg.Modes.Playbooks[name]; ok {
		said = append(said, guard.Mode(m))
	}
	if m, ok := e.promoted[name]; ok {
		said = append(said, m)
	}
	return guard.Lowest(said...)
}

// triggerMode is the lowest of the modes of a trigger and of the alert's source.
func (b *book) triggerMode(trigger, source string) config.Mode {
	switch trigger {
	case "manual":
		return b.cfg.Modes.Triggers.Manual
	case "schedule":
		return b.cfg.Modes.Triggers.Schedule
	case "alert":
		s, ok := b.cfg.Sources[source]
		if !ok { // it was taken out of the configuration
			return config.Observe
		}
		return config.Mode(guard.Lowest(guard.Mode(b.cfg.Modes.Triggers.Alert), guard.Mode(s.Mode)))
	}
	return config.Observe
}

// ForSource returns the playbooks with an alert trigger for a source.
func (b *book) ForSource(name string) []intake.Loaded {
	mode := b.triggerMode("alert", name)
	var out []intake.Loaded
	for _, l := range b.edition().list {
		if slices.ContainsFunc(l.Plan.Triggers.Alerts, func(t plan.AlertTrigger) bool {
			return slices.Contains(t.From, name) || slices.Contains(t.From, "any")
		}) {
			out = append(out, b.with(l, mode))
		}
	}
	return out
}

// Active lists the playbooks in the mode of a launch by hand.
func (b *book) Active() []intake.Loaded {
	list := b.edition().list
	out := make([]intake.Loaded, len(list))
	for i, l := range list {
		out[i] = b.with(l, b.cfg.Modes.Triggers.Manual)
	}
	return out
}

// Playbook returns one by name.
func (b *book) Playbook(name string) (intake.Loaded, bool) {
	for _, l := range b.Active() {
		if l.Plan.Playbook == name {
			return l, true
		}
	}
	return intake.Loaded{}, false
}
