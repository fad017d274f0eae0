package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/installed"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/own"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// book holds the active playbooks, compiled against the configured connectors.
type book struct {
	cfg       *config.Config
	catalogue host.Catalogue
	house     *installed.House
	log       zerolog.Logger
	list      []intake.Loaded
	refused   []api.RefusedPlaybook
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

// loadBook compiles every playbook of the configuration. A file with a mistake
// keeps Quell from starting: a response that is not there is worse found at three
// in the morning. One that only the connectors of today cannot serve is refused,
// and the others are loaded: a connector's new version must not stop them all.
func loadBook(cfg *config.Config, h *own.Host, log zerolog.Logger) (*book, error) {
	files, err := playbookFiles(cfg.Playbooks)
	if err != nil {
		return nil, err
	}
	texts, err := playbookTexts(files)
	if err != nil {
		return nil, err
	}
	b := &book{cfg: cfg, catalogue: h.Catalogue(), log: log}
	b.house = houseOf(cfg, b.catalogue)
	known := map[string]string{}
	for i, file := range files {
		l, err := b.load(texts[i], compile.NewFiles(texts...))
		var no *unserved
		if errors.As(err, &no) {
			b.refuse(file, no.list)
			continue
		}
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

// unserved are the mistakes of a playbook that is good, and not here.
type unserved struct{ list diag.List }

func (u *unserved) Error() string { return u.list.Error() }

// refuse keeps a playbook out, and says so loudly.
func (b *book) refuse(file string, list diag.List) {
	why := ""
	for _, d := range list {
		b.log.Error().Str("playbook", file).Msg(d.Error())
		if why == "" && d.Severity == diag.Error {
			why = d.Error()
		}
	}
	b.log.Error().Str("playbook", file).Msg("the playbook is refused: nothing configured can serve it; quell check tells more")
	b.refused = append(b.refused, api.RefusedPlaybook{File: file, Why: why})
}

// Refused lists the playbooks that were refused.
func (b *book) Refused() []api.RefusedPlaybook { return slices.Clone(b.refused) }

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
func (b *book) load(file *source.File, others compile.Files) (intake.Loaded, error) {
	o := compile.Options{Actions: b.house.Actions(), Playbooks: others, Installed: b.house.Connected()}
	p, list := compile.Compile(file, o)
	if p == nil {
		return intake.Loaded{}, b.broken(file, others, list)
	}
	b.asked(file, o)
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
	if l.Calls, err = b.callees(p); err != nil {
		return l, err
	}
	l.Bindings = b.bindings(p)
	return l, nil
}

// broken tells a mistake of a playbook from one that only this installation makes
// of it: an action that nobody serves, or in another form than the vocabulary's.
func (b *book) broken(file *source.File, others compile.Files, list diag.List) error {
	elsewhere, _ := compile.Compile(file, compile.Options{Actions: compile.NewFixed(vocabulary.All()...), Playbooks: others})
	if elsewhere != nil || slices.ContainsFunc(list, func(d diag.Diagnostic) bool { return d.Code == "unknown-action" }) {
		return &unserved{list}
	}
	var text bytes.Buffer
	if err := diag.Render(&text, list); err != nil {
		return err
	}
	return errors.New(strings.TrimSpace(text.String()))
}

// asked warns of approvals and questions that nobody configured could answer. It
// refuses nothing for them: in observe mode nobody is asked, and people come.
func (b *book) asked(file *source.File, o compile.Options) {
	o.Installed = b.house.Installation()
	o.Installed.AnyRole = true // tokens carry roles
	_, list := compile.Compile(file, o)
	for _, d := range list {
		if d.Severity == diag.Error {
			b.log.Warn().Str("playbook", file.Name).Msg(d.Error())
		}
	}
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
