package server

import (
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/server/api"
)

// rules shows the guards as they stand.
func (a *guardAPI) rules(c *call, _ *struct{}) (*reply[api.Guards], error) {
	now := time.Now()
	var sw guard.Switch
	var accounts []guard.Account
	err := a.rooms.DB.View(c.Context(), func(tx *store.Tx) (err error) {
		if sw, err = guard.KillSwitch(tx); err != nil {
			return err
		}
		accounts, err = a.rooms.Guard.Accounts(tx, now, a.tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	r := a.rooms.Guard.Rules()
	out := api.Guards{
		Switch: api.KillSwitch{On: sw.On}, Budgets: []api.GuardBudget{}, Freezes: []api.GuardFreeze{}, Rules: []api.GuardRule{},
		Protected: orNone(r.Protected), Own: orNone(r.Own), Tags: orNone(r.Tags), Groups: orNone(r.Groups),
		NeverBlocked: orNone(slices.Concat(r.Domains, r.URLs, r.Senders)),
	}
	if sw.On {
		out.Switch.Reason = sw.Reason
	}
	for _, b := range accounts {
		out.Budgets = append(out.Budgets, budgetOf(b))
	}
	for _, f := range r.Freezes {
		g := api.GuardFreeze{Reason: f.Reason, Actions: orNone(f.Actions), Then: word(f.Then)}
		if until, in := f.Ends(now); in {
			g.Until = until
		}
		out.Freezes = append(out.Freezes, g)
	}
	for _, k := range r.Conditions {
		out.Rules = append(out.Rules, api.GuardRule{Name: k.Name, When: k.When, Reason: k.Reason, Then: word(k.Then)})
	}
	return ok(out)
}

func word(t guard.Then) string {
	if t == "" {
		t = guard.Refuse
	}
	return string(t)
}

func budgetOf(b guard.Account) api.GuardBudget {
	out := api.GuardBudget{
		Name: b.Name, Actions: orNone(b.Actions), Class: []string{}, Targets: b.Targets, Per: kind.FormatDuration(b.Per), Spent: b.Spent, Then: word(b.Then),
	}
	for _, c := range b.Criticality {
		out.Class = append(out.Class, "criticality="+c)
	}
	for _, t := range b.Tags {
		out.Class = append(out.Class, "tag="+t)
	}
	return out
}

// mostObserved bounds a report.
const mostObserved = 10_000

// observed shows what observe mode kept from happening, beside what people did.
func (a *guardAPI) observed(c *call, in *observedIn) (*reply[api.Observations], error) {
	long := 7 * 24 * time.Hour
	if in.Since != "" {
		var err error
		if long, err = kind.ParseDuration(in.Since); err != nil || long <= 0 {
			return nil, invalid("since %q is not a duration such as 24h or 7d", shorten(in.Since))
		}
	}
	since := time.Now().Add(-long).UTC()
	list, err := a.rooms.Effects.Observations(c.Context(), a.tenant, in.Playbook, since, mostObserved+1)
	if err != nil {
		return nil, err
	}
	answers, err := a.rooms.Approvals.Answered(c.Context(), a.tenant, time.Now().Add(-answersFrom))
	if err != nil {
		return nil, err
	}
	out := api.Observations{Since: since, Totals: []api.ObservedSum{}, Asked: spared(list[:min(len(list), mostObserved)], answers), Observations: []api.Observation{}, Cut: len(list) > mostObserved}
	for _, o := range list[:min(len(list), mostObserved)] {
		one := observation(o)
		out.Observations = append(out.Observations, one)
		out.Totals = count(out.Totals, one)
	}
	return ok(out)
}

// answersFrom is how far back answers tell how long people take.
const answersFrom = 30 * 24 * time.Hour

// spared counts the approvals that people would have been asked for. Effects of
// one run under one question were asked together.
func spared(list []effects.Observed, answers []approval.Answer) []api.ObservedAsk {
	out, seen, runs := []api.ObservedAsk{}, map[[2]string]bool{}, map[string]bool{}
	for _, o := range list {
		if o.Refusal == nil || o.Refusal.Rule != guard.Approval || seen[[2]string{o.Run, o.Refusal.Reason}] {
			continue
		}
		seen[[2]string{o.Run, o.Refusal.Reason}] = true
		i := slices.IndexFunc(out, func(s api.ObservedAsk) bool { return s.Playbook == o.Playbook })
		if i < 0 {
			out, i = append(out, api.ObservedAsk{Playbook: o.Playbook}), len(out)
		}
		out[i].Times++
		if !runs[o.Run] {
			runs[o.Run] = true
			out[i].Runs++
		}
	}
	for i := range out {
		s := &out[i]
		took := tookFor(answers, s.Playbook)
		if s.Elsewhere = len(took) == 0; s.Elsewhere {
			took = tookFor(answers, "")
		}
		if s.Answers = len(took); s.Answers == 0 {
			s.Elsewhere = false
			continue
		}
		median := took[len(took)/2].Seconds()
		all := median * float64(s.Times)
		s.Median, s.Waiting = &median, &all
	}
	return out
}

// tookFor lists how long answers took on a playbook, or on all, sorted.
func tookFor(answers []approval.Answer, playbook string) []time.Duration {
	var out []time.Duration
	for _, a := range answers {
		if name, _, _ := strings.Cut(a.Run, "/"); playbook == "" || name == playbook {
			out = append(out, a.Took)
		}
	}
	slices.Sort(out)
	return out
}

func observation(o effects.Observed) api.Observation {
	out := api.Observation{
		At: o.Created, Run: o.Run, Playbook: o.Playbook, Step: o.Step, Action: o.Action, Instance: o.Instance, Targets: []string{},
		Would: "done", Seen: o.Present, Looked: o.Looked, By: o.ByQuell,
	}
	for _, t := range o.Targets {
		out.Targets = append(out.Targets, t.Label)
	}
	switch {
	case o.Refusal != nil && o.Refusal.Ask:
		out.Would, out.Why = "ask", o.Refusal.String()
	case o.Refusal != nil:
		out.Would, out.Why = "refused", o.Refusal.String()
	case o.Found == "present":
		out.Would = "already"
	}
	switch {
	case o.Found == "present":
		out.People = "already"
	case o.ByQuell != "":
		out.People = "quell"
	case !o.Present.IsZero():
		out.People = "did"
	case !o.Watchable():
		out.People = "unknowable"
	case o.Looked.IsZero():
		out.People = "unread"
	default:
		out.People = "not_seen"
	}
	return out
}

// count adds one observation to its playbook's and action's sum.
func count(sums []api.ObservedSum, o api.Observation) []api.ObservedSum {
	i := slices.IndexFunc(sums, func(s api.ObservedSum) bool { return s.Playbook == o.Playbook && s.Action == o.Action })
	if i < 0 {
		sums, i = append(sums, api.ObservedSum{Playbook: o.Playbook, Action: o.Action}), len(sums)
	}
	s := &sums[i]
	switch o.Would {
	case "done":
		s.Would++
	case "ask":
		s.Ask++
	case "refused":
		s.Refused++
	case "already":
		s.Already++
	}
	if o.People == "did" || o.People == "quell" {
		s.People++
	}
	return sums
}
