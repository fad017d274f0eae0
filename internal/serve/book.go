package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/installed"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/registry"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// book holds the playbooks that may be started, bound to the configured
// connectors. What they are, the registry says; reload takes it up.
type book struct {
	cfg       *config.Config
	reg       *registry.Registry
	catalogue host.Catalogue
	house     *installed.House
	version   string
	roles     func(context.Context) ([]string, error)
	log       zerolog.Logger
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
	// stale are those of them that were compiled against other actions.
	stale []registry.Version
}

// houseOf is the installation as playbooks meet it: what is configured, and what
// the connectors say of themselves.
func houseOf(cfg *config.Config, c host.Catalogue) *installed.House {
	h := &installed.House{Bindings: cfg.Bindings, People: installed.PeopleOf(cfg)}
	at := map[string]int{}
	for _, action := range c.Actions() {
		for _, s := range c.Serving(action) {
			i, ok := at[s.Instance]
			if !ok {
				i, at[s.Instance] = len(h.Instances), len(h.Instances)
				h.Instances = append(h.Instances, installed.Instance{Name: s.Instance, Connector: s.Connector, Version: s.Version})
			}
			h.Instances[i].Actions = append(h.Instances[i].Actions, s.Action)
		}
	}
	slices.SortFunc(h.Instances, func(a, b installed.Instance) int { return strings.Compare(a.Name, b.Name) })
	return h
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
			var stale *staleError
			if errors.As(err, &stale) {
				next.stale = append(next.stale, e.Current)
			}
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
	l := intake.Loaded{Plan: p, Raw: raw, Digest: digest}
	actions := b.house.Actions()
	unbound := b.house.Connected().Unbound
	for _, a := range p.Actions {
		if why, cure := unbound(a.Name); why != "" {
			return l, fmt.Errorf("playbook %s: %s; %s", p.Playbook, why, cure)
		}
		if is, known := actions.Action(a.Name); known && is.SchemaDigest() != a.Schema {
			return l, &staleError{p.Playbook, a.Name}
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
	if l.Calls, err = b.callees(p, e); err != nil {
		return l, err
	}
	l.Bindings = b.bindings(p)
	return l, nil
}

// staleError says that a plan was compiled against another form of an action.
type staleError struct{ playbook, action string }

func (e *staleError) Error() string {
	return fmt.Sprintf("playbook %s: what %s takes or gives is not what the playbook was compiled for", e.playbook, e.action)
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
// but get one where it is clear. The compiler has refused what is not.
func (b *book) bindings(p *plan.Plan) []run.Binding {
	var out []run.Binding
	for _, a := range p.Actions {
		instance, bound := b.cfg.Bound(a.Name)
		if served := b.catalogue.Serving(a.Name); !bound && len(served) == 1 {
			instance = served[0].Instance
		}
		if instance != "" {
			out = append(out, run.Binding{Action: a.Name, Instance: instance, Mode: string(instanceMode(b.cfg, instance))})
		}
	}
	return out
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
