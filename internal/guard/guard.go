package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Mode says how much may happen by itself.
type Mode string

// The modes, lowest first.
const (
	// Observe records what would have been done.
	Observe Mode = "observe"
	// Ask does what a person approved.
	Ask Mode = "ask"
	// Act does what the playbook says.
	Act Mode = "act"
)

// Lowest returns the lowest of modes; an empty or unknown one counts as Observe,
// and so does an empty list.
func Lowest(modes ...Mode) Mode {
	low := Act
	for _, m := range modes {
		switch m {
		case Act:
		case Ask:
			if low == Act {
				low = Ask
			}
		default:
			return Observe
		}
	}
	if len(modes) == 0 {
		return Observe
	}
	return low
}

// Approval is the rule of a refusal that only observe mode knows: the playbook
// would have asked people for approval.
const Approval = "approval"

// Refusal is a guard's word against an effect.
type Refusal struct {
	// Rule is kill_switch, source, protected, condition, freeze, budget, limit, ask
	// or clock; on what observe mode kept from happening also Approval.
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
	// Ask says that a person's approval lifts it. Without it, no approval does:
	// whoever wants the effect all the same brings it about by hand.
	Ask bool `json:"ask,omitempty"`
}

func (r *Refusal) String() string { return r.Rule + ": " + r.Reason }

// Then says what a guard does with what it applies to.
type Then string

// What guards do.
const (
	// Refuse: no approval lifts it.
	Refuse Then = "refuse"
	// AskFirst: a person must have approved exactly this.
	AskFirst Then = "ask"
)

// Rules are what the configuration says.
type Rules struct {
	// Protected are names, addresses and CIDR blocks that no effect may touch.
	Protected []string
	// Own are those of Quell itself: its hosts, its database, the accounts of its
	// connectors. They are protected in the same way.
	Own []string
	// Tags and Groups protect the hosts and accounts that have one of them.
	Tags, Groups []string
	// Domains, URLs and Senders are never blocked. A domain stands for what is
	// under it, a sender "@partner.example" for all of that domain.
	Domains, URLs, Senders []string
	Conditions             []Condition
	Freezes                []Freeze
	Budgets                []Budget
	// Sources say, per source of alerts, which effects its runs may cause; nil is
	// all. A pattern is an action, a domain such as edr, or *.
	Sources map[string][]string
}

// Condition is a rule in CEL over one target; see package subject.
type Condition struct {
	Name, When, Reason string
	// Actions narrows it to some actions, as patterns; empty is all.
	Actions []string
	Then    Then
}

// Question asks about one effect.
type Question struct {
	// Key is the effect's own; a budget counts it once.
	Key, Tenant            string
	Action, Instance       string
	Playbook               string
	Trigger, Source, Actor string
	Severity               string
	Mode                   Mode
	Targets                []Target
	// Approved says that a person approved exactly this effect.
	Approved bool
}

// Guard checks effects against rules and switches. It may be used from several
// goroutines.
type Guard struct {
	rules      Rules
	protected  names
	own        names
	mail       senders
	urls       []location
	conditions []condition
	budgets    []Budget
	tags       map[string]bool
	groups     map[string]bool
}

// New makes a guard from rules. It refuses what is no rule: a guard that is not
// there is worse found when it is needed.
func New(r Rules) (*Guard, error) {
	g := &Guard{rules: r, tags: folded(r.Tags), groups: folded(r.Groups)}
	var err error
	if g.protected, err = namesOf(r.Protected); err != nil {
		return nil, err
	}
	if g.own, err = namesOf(r.Own); err != nil {
		return nil, err
	}
	if g.mail, err = sendersOf(r.Senders); err != nil {
		return nil, err
	}
	if g.urls, err = locationsOf(r.URLs); err != nil {
		return nil, err
	}
	if err := domainsOK(r.Domains); err != nil {
		return nil, err
	}
	if g.conditions, err = conditionsOf(r.Conditions); err != nil {
		return nil, err
	}
	for i, f := range r.Freezes {
		if err := f.ok(); err != nil {
			return nil, fmt.Errorf("guard: freeze %d: %w", i+1, err)
		}
	}
	if g.budgets, err = budgetsOf(r.Budgets); err != nil {
		return nil, err
	}
	return g, nil
}

// Rules are what the guard was made from. They are not to be changed.
func (g *Guard) Rules() Rules { return g.rules }

func folded(list []string) map[string]bool {
	out := make(map[string]bool, len(list))
	for _, s := range list {
		out[fold(s)] = true
	}
	return out
}

// Check returns why an effect may not happen now, or nil. It is called in the
// transaction that would admit the effect, and asks nothing about budgets: see
// Spend, which comes when the effect is about to leave.
func (g *Guard) Check(tx *store.Tx, now time.Time, q Question) (*Refusal, error) {
	on, reason, err := holdSwitch(tx)
	if err != nil {
		return nil, err
	}
	if on {
		return &Refusal{Rule: "kill_switch", Reason: "the kill switch is on: " + reason}, nil
	}
	no := firstOf(
		func() *Refusal { return g.source(q) },
		func() *Refusal { return g.lastAdmin(q) },
		func() *Refusal { return g.untouchable(q) },
		func() *Refusal { return g.condition(q, now, Refuse) },
		func() *Refusal { return g.frozen(q, now, Refuse) },
	)
	if no != nil || q.Approved {
		return no, nil
	}
	return firstOf(
		func() *Refusal { return g.condition(q, now, AskFirst) },
		func() *Refusal { return g.frozen(q, now, AskFirst) },
	), nil
}

func firstOf(checks ...func() *Refusal) *Refusal {
	for _, c := range checks {
		if no := c(); no != nil {
			return no
		}
	}
	return nil
}

// source refuses what the source of the run's alert may not cause.
func (g *Guard) source(q Question) *Refusal {
	if q.Source == "" {
		return nil
	}
	may, limited := g.rules.Sources[q.Source]
	if !limited || may == nil || fits(may, q.Action) {
		return nil
	}
	return &Refusal{Rule: "source", Reason: fmt.Sprintf("alerts of %s may not cause %s (sources.%s.ceiling.actions)", q.Source, q.Action, q.Source)}
}

// untouchable refuses targets that are protected or never blocked.
func (g *Guard) untouchable(q Question) *Refusal {
	for _, t := range q.Targets {
		if why := g.touches(t); why != "" {
			return &Refusal{Rule: "protected", Reason: t.Label + " " + why + "; a person must act on it by hand"}
		}
	}
	return nil
}

// fits reports whether an action is one of patterns: itself, its domain, or *.
func fits(patterns []string, action string) bool {
	domain, _, _ := strings.Cut(action, ".")
	return slices.Contains(patterns, action) || slices.Contains(patterns, domain) || slices.Contains(patterns, "*")
}
