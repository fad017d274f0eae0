package config

import (
	"fmt"
	"time"
	_ "time/tzdata" // the zones of weekly freezes, on a machine without them

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Guards stand between a decision and its effect.
type Guards struct {
	Protected  Protected  `yaml:"protected"`
	NeverBlock NeverBlock `yaml:"never_block"`
	// Rules are conditions in CEL over one target.
	Rules []GuardRule `yaml:"rules"`
	// Budgets bound targets over all runs.
	Budgets map[string]Budget `yaml:"budgets"`
	Freezes []Freeze          `yaml:"freezes"`
}

// Protected are assets that no effect may touch.
type Protected struct {
	// Hosts are host names; one without a domain protects it in every domain.
	Hosts []string `yaml:"hosts"`
	// Users are account names; one without a domain protects it in every domain.
	Users []string `yaml:"users"`
	// Addresses are IP addresses and CIDR blocks.
	Addresses []string `yaml:"addresses"`
	// Tags and Groups are the inventory's.
	Tags   []string `yaml:"tags"`
	Groups []string `yaml:"groups"`
}

// All lists the names and addresses that are protected, as the guard compares
// them.
func (p Protected) All() []string {
	out := make([]string, 0, len(p.Hosts)+len(p.Users)+len(p.Addresses))
	out = append(out, p.Hosts...)
	out = append(out, p.Users...)
	return append(out, p.Addresses...)
}

// NeverBlock lists what is ours or a partner's and is never blocked.
type NeverBlock struct {
	// Domains stand for what is under them too.
	Domains []string `yaml:"domains"`
	URLs    []string `yaml:"urls"`
	// Senders are mail addresses, or @domain for all of a domain.
	Senders []string `yaml:"senders"`
}

// Then says what a guard does: refuse, or ask a person first.
type Then string

// What guards do.
const (
	Refuse   Then = "refuse"
	AskFirst Then = "ask"
)

// GuardRule is a condition; where it is true of a target, or cannot be told, it
// applies.
type GuardRule struct {
	Name string `yaml:"name"`
	// When is CEL over target, action, instance, playbook, trigger, source, mode.
	When string `yaml:"when"`
	// Actions narrows it: an action, a domain such as edr, or *; default all.
	Actions []string `yaml:"actions"`
	// Then is refuse (the default) or ask.
	Then   Then   `yaml:"then"`
	Reason string `yaml:"reason"`
}

// Budget bounds how many targets some actions reach within a sliding window, over
// all runs.
type Budget struct {
	// Actions are counted together: an action, a domain such as edr, or *.
	Actions []string `yaml:"actions"`
	// Criticality and Tags narrow it to a class of targets.
	Criticality []string `yaml:"criticality"`
	Tags        []string `yaml:"tags"`
	Targets     int      `yaml:"targets"`
	Per         Duration `yaml:"per"`
	// Then is refuse (the default) or ask.
	Then Then `yaml:"then"`
}

// Freeze is a time in which nothing is changed: From and To, or Weekly in a Zone.
type Freeze struct {
	From time.Time `yaml:"from"`
	To   time.Time `yaml:"to"`
	// Weekly is such as "Fri 18:00 - Mon 06:00".
	Weekly string `yaml:"weekly"`
	// Zone is such as Europe/Berlin; default UTC.
	Zone   string `yaml:"zone"`
	Reason string `yaml:"reason"`
	// Actions narrows it: an action, a domain such as edr, or *; default all.
	Actions []string `yaml:"actions"`
	// Then is refuse (the default) or ask.
	Then Then `yaml:"then"`
}

// Duration is a time such as 90s, 15m, 24h or 7d.
type Duration time.Duration

// UnmarshalText reads it.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := kind.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("duration: %w", err)
	}
	*d = Duration(v)
	return nil
}
