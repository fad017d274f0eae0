package api

import (
	"context"
	"time"
)

// Guards is what stands between a decision and its effect, as it is now.
type Guards struct {
	Switch KillSwitch `json:"kill_switch"`
	// Budgets are those of the configuration, with what is spent in their window.
	Budgets []GuardBudget `json:"budgets"`
	Freezes []GuardFreeze `json:"freezes"`
	Rules   []GuardRule   `json:"rules"`
	// Protected is what the configuration protects; Own is Quell's own, found at
	// the start.
	Protected []string `json:"protected"`
	Own       []string `json:"own"`
	Tags      []string `json:"tags"`
	Groups    []string `json:"groups"`
	// NeverBlocked are domains, URLs and senders.
	NeverBlocked []string `json:"never_blocked"`
}

// GuardBudget is one budget and what is spent of it.
type GuardBudget struct {
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
	// Class says which targets it counts, as criticality=critical; empty is all.
	Class   []string `json:"class"`
	Targets int      `json:"targets"`
	Per     string   `json:"per"`
	Spent   int      `json:"spent"`
	// Then is refuse or ask.
	Then string `json:"then"`
}

// GuardFreeze is one freeze.
type GuardFreeze struct {
	Reason  string   `json:"reason"`
	Actions []string `json:"actions"`
	// Until is when it is over, where it holds now; else zero.
	Until time.Time `json:"until,omitzero"`
	// Then is refuse or ask.
	Then string `json:"then"`
}

// GuardRule is one condition.
type GuardRule struct {
	Name   string `json:"name"`
	When   string `json:"when"`
	Reason string `json:"reason,omitempty"`
	Then   string `json:"then"`
}

// Guards shows the guards as they stand.
func (c *Client) Guards(ctx context.Context) (Guards, error) {
	return get[Guards](ctx, c, "/v1/guard", nil)
}

// Observations are what observe mode kept from happening, beside what people did.
type Observations struct {
	Since  time.Time     `json:"since"`
	Totals []ObservedSum `json:"totals"`
	// Asked counts the approvals that observe mode spared people, by playbook.
	Asked        []ObservedAsk `json:"asked"`
	Observations []Observation `json:"observations"`
	// Cut says that there are more than are listed; the totals count the listed.
	Cut bool `json:"cut,omitempty"`
}

// ObservedSum counts the observations of one action of one playbook.
type ObservedSum struct {
	Playbook string `json:"playbook"`
	Action   string `json:"action"`
	// Would is how many would have been done at once, Ask how many would have
	// waited for a person, Refused how many a guard would have refused, Already
	// how many were so before.
	Would   int `json:"would"`
	Ask     int `json:"ask"`
	Refused int `json:"refused"`
	Already int `json:"already"`
	// People is how many of those somebody brought about later.
	People int `json:"people"`
}

// ObservedAsk counts the approvals of one playbook that people would have been
// asked for, and how long the runs would have waited for their answers.
type ObservedAsk struct {
	Playbook string `json:"playbook"`
	Runs     int    `json:"runs"`
	Times    int    `json:"times"`
	// Median is how long people took for an answer, in seconds: the median of the
	// Answers of the last 30 days, on this playbook, or with Elsewhere on any, where
	// this one has none. It is left out where nobody answered anything.
	Median    *float64 `json:"median_seconds,omitempty"`
	Answers   int      `json:"answers"`
	Elsewhere bool     `json:"elsewhere,omitempty"`
	// Waiting is Times times Median.
	Waiting *float64 `json:"waiting_seconds,omitempty"`
}

// Observation is one effect that observe mode kept from happening.
type Observation struct {
	At       time.Time `json:"at"`
	Run      string    `json:"run"`
	Playbook string    `json:"playbook"`
	Step     string    `json:"step"`
	Action   string    `json:"action"`
	Instance string    `json:"instance"`
	Targets  []string  `json:"targets"`
	// Would is done, ask, refused or already; Why is the guard's word.
	Would string `json:"would"`
	Why   string `json:"why,omitempty"`
	// People is did: somebody brought it about, first seen At; quell: a run did
	// later; not_seen: nobody did so far; unread: it was not looked at yet;
	// unknowable: its target cannot be read; already.
	People string    `json:"people"`
	Seen   time.Time `json:"seen,omitzero"`
	Looked time.Time `json:"looked,omitzero"`
	// By is the effect that a run did later.
	By string `json:"by,omitempty"`
}

// Observed shows what observe mode kept from happening. since is a duration such
// as 7d; empty is that. playbook narrows it where it is not empty.
func (c *Client) Observed(ctx context.Context, since, playbook string) (Observations, error) {
	return get[Observations](ctx, c, "/v1/observe", query("since", since, "playbook", playbook))
}
