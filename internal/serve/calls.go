package serve

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/calendar"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// callees completes the playbooks that a plan calls, at whatever depth, with what
// the installation adds to each.
func (b *book) callees(p *plan.Plan, e *edition) ([]runs.Callee, error) {
	var out []runs.Callee
	for _, ch := range p.Children {
		if slices.ContainsFunc(out, func(o runs.Callee) bool { return o.Digest == ch.Digest }) {
			continue
		}
		child, err := p.ChildPlan(ch.Digest)
		if err != nil {
			return nil, err
		}
		callee := runs.Callee{Playbook: ch.Playbook, Digest: ch.Digest, Plan: ch.Plan, Mode: string(b.playbookMode(e, ch.Playbook))}
		settings, err := b.settings(child)
		if err != nil {
			return nil, err
		}
		if callee.Settings, err = kind.Canonical(settings); err != nil {
			return nil, fmt.Errorf("settings of %s: %w", ch.Playbook, err)
		}
		callee.Bindings = b.bindings(child)
		if callee.Calendars, err = b.calendars(child, settings); err != nil {
			return nil, err
		}
		below, err := b.callees(child, e)
		if err != nil {
			return nil, err
		}
		out = append(out, callee)
		for _, more := range below {
			if !slices.ContainsFunc(out, func(o runs.Callee) bool { return o.Digest == more.Digest }) {
				out = append(out, more)
			}
		}
	}
	return out, nil
}

// calendars finds the calendars that the settings of a playbook name.
func (b *book) calendars(p *plan.Plan, settings map[string]any) ([]run.Calendar, error) {
	var out []run.Calendar
	for _, s := range p.Settings {
		if s.Type.Kind != kind.Calendar {
			continue
		}
		name, _ := settings[s.Name].(string)
		if name == "" && s.Default != nil {
			_ = json.Unmarshal(s.Default.Literal, &name)
		}
		def, ok := b.cfg.Calendars[name]
		if !ok {
			return nil, fmt.Errorf("playbook %s: setting %s names the calendar %q, which does not stand under calendars", p.Playbook, s.Name, name)
		}
		c, err := def.Read(name)
		if err != nil {
			return nil, fmt.Errorf("calendars.%s: %w", name, err)
		}
		raw, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("calendars.%s: %w", name, err)
		}
		if !slices.ContainsFunc(out, func(o run.Calendar) bool { return o.Name == name }) {
			out = append(out, run.Calendar{Name: name, Digest: c.Digest(), Hours: raw})
		}
	}
	slices.SortFunc(out, func(x, y run.Calendar) int { return slices.Compare([]byte(x.Name), []byte(y.Name)) })
	return out, nil
}

// duties are the on-call lists with whose turn it is now.
type duties struct {
	fixed auth.Duties
	turns map[string]*calendar.Rotation
}

func dutiesOf(cfg *config.Config) (duties, error) {
	d := duties{fixed: cfg.OnCall, turns: map[string]*calendar.Rotation{}}
	for name, r := range cfg.Rotations {
		var err error
		if d.turns[name], err = r.Read(); err != nil {
			return d, fmt.Errorf("rotations.%s: %w", name, err)
		}
	}
	return d, nil
}

// Of lists the duties of an actor now, as oncall.NAME. So a request to a duty
// follows its shift by itself.
func (d duties) Of(actor string) []string { return d.now().Of(actor) }

// now are the duties with those whose turn it is.
func (d duties) now() auth.Duties {
	now := auth.Duties{}
	maps.Copy(now, d.fixed)
	for name, r := range d.turns {
		now[name] = slices.Concat(now[name], r.On(time.Now()))
	}
	return now
}
