package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/own"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/workflows/run"
)

// book holds the active playbooks, compiled against the configured connectors.
type book struct {
	cfg   *config.Config
	list  []intake.Loaded
	shelf shelf
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

// loadBook compiles every playbook of the configuration. One that does not
// compile keeps Quell from starting: a response that is not there is worse found
// at three in the morning.
func loadBook(_ context.Context, cfg *config.Config, h *own.Host) (*book, error) {
	files, err := playbookFiles(cfg.Playbooks)
	if err != nil {
		return nil, err
	}
	b := &book{cfg: cfg}
	known := map[string]string{}
	texts, err := playbookTexts(files)
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		l, err := b.load(texts[i], compile.NewFiles(texts...), catalogue{h.Catalogue()})
		if err != nil {
			return nil, err
		}
		if other, ok := known[l.Plan.Playbook]; ok {
			return nil, fmt.Errorf("playbook %s stands in %s and in %s; remove one", l.Plan.Playbook, other, file)
		}
		known[l.Plan.Playbook] = file
		b.list = append(b.list, l)
	}
	slices.SortFunc(b.list, func(x, y intake.Loaded) int { return strings.Compare(x.Plan.Playbook, y.Plan.Playbook) })
	return b, nil
}

func playbookFiles(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("playbooks: %w", err)
		}
		if !st.IsDir() {
			out = append(out, p)
			continue
		}
		entries, err := os.ReadDir(p)
		if err != nil {
			return nil, fmt.Errorf("playbooks: %w", err)
		}
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); e.Type()&fs.ModeType == 0 && (ext == ".yaml" || ext == ".yml") && !strings.HasSuffix(e.Name(), ".test.yaml") {
				out = append(out, filepath.Join(p, e.Name()))
			}
		}
	}
	return out, nil
}

func playbookTexts(files []string) ([]*source.File, error) {
	out := make([]*source.File, len(files))
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("playbook: %w", err)
		}
		out[i] = source.NewFile(file, raw)
	}
	return out, nil
}

// load compiles one playbook; it may call the others.
func (b *book) load(file *source.File, others compile.Files, c catalogue) (intake.Loaded, error) {
	p, list := compile.Compile(file, compile.Options{Actions: c, Playbooks: others})
	if p == nil {
		var text bytes.Buffer
		if err := diag.Render(&text, list); err != nil {
			return intake.Loaded{}, err
		}
		return intake.Loaded{}, errors.New(strings.TrimSpace(text.String()))
	}
	var err error
	l := intake.Loaded{Plan: p}
	if l.Raw, err = p.Encode(); err != nil {
		return l, err
	}
	l.Digest = plan.DigestOf(l.Raw)
	if l.Set, err = expr.Load(p); err != nil {
		return l, err
	}
	if l.Settings, err = b.settings(p); err != nil {
		return l, err
	}
	if l.Calendars, err = b.calendars(p, l.Settings); err != nil {
		return l, err
	}
	if l.Calls, err = b.callees(p, c); err != nil {
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
	l.Mode = string(guard.Lowest(guard.Mode(b.cfg.PlaybookMode(l.Plan.Playbook)), guard.Mode(trigger)))
	return l
}

// mode is the lowest of the modes of a playbook and of what starts it.
func (b *book) mode(playbook, trigger, source string) guard.Mode {
	return guard.Lowest(guard.Mode(b.cfg.PlaybookMode(playbook)), guard.Mode(b.triggerMode(trigger, source)))
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
	for _, l := range b.list {
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
	out := make([]intake.Loaded, len(b.list))
	for i, l := range b.list {
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
