package rehearse

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/server/api"
)

func duration(d time.Duration) string { return kind.FormatDuration(d) }

// key is what makes two effects of two ways the same: place, action, targets. The
// round of a loop does not count, nor do texts that tell the time.
func (e *Effect) key() string {
	ids := make([]string, len(e.Targets))
	for i, t := range e.Targets {
		ids[i] = t.ID + "\x01" + t.Label
	}
	return strings.Join([]string{e.Step, e.Action, fmt.Sprint(e.Undo), e.Of, strings.Join(ids, "\x02")}, "\x00")
}

// listed are the effects and requests over all ways, numbered in the order in which
// they were met: those of the way that is assumed come first.
type listed struct {
	effects  map[string]int
	requests map[string]int
}

// report writes what was played.
func (p *preview) report() *api.Plan {
	base := p.plays[0].played
	out := &api.Plan{
		Playbook: p.Plan.Playbook, Title: p.Plan.Title, Digest: p.Input.Digest, At: p.Now, Offline: p.Offline, Mode: p.Input.Mode, Inputs: p.Input.Inputs,
		Closing: base.Result.Closing, Reason: base.Result.Reason, Plays: len(p.plays),
		Reads: []api.PlanRead{}, Effects: []api.PlanEffect{}, Asks: []api.PlanAsk{}, Unknown: []api.PlanUnknown{}, Reach: []api.PlanReach{}, Notes: []string{},
	}
	l := &listed{effects: map[string]int{}, requests: map[string]int{}}
	for _, v := range p.plays {
		for _, r := range v.played.Requests {
			if l.requests[r.ID] == 0 {
				l.requests[r.ID] = len(l.requests) + 1
				out.Asks = append(out.Asks, p.ask(l, v, r))
			}
		}
		for _, e := range v.played.Effects {
			n := l.effects[e.key()]
			if n == 0 {
				l.effects[e.key()] = len(l.effects) + 1
				out.Effects = append(out.Effects, p.effect(l, v, e))
				continue
			}
			if first := &out.Effects[n-1]; first.Ask == 0 && e.Approval != "" { // a guard wanted it approved first
				again := p.effect(l, v, e)
				first.Ask, first.Hold, first.Already = again.Ask, again.Hold, again.Already
			}
		}
		if v.played.Problem != "" {
			out.Notes = append(out.Notes, v.name()+": "+v.played.Problem)
		}
	}
	p.ways(l, out)
	out.Reads = p.madeReads()
	out.Reach = p.reach(out)
	p.notes(out)
	return out
}

// name is a way as people read it.
func (v *variant) name() string {
	switch {
	case v.point == nil:
		return "as assumed"
	case v.point.con != nil:
		return v.point.con.way(v.option)
	}
	return v.point.req.At + ": " + v.point.labels[v.option]
}

func (p *preview) ask(l *listed, v *variant, r *Request) api.PlanAsk {
	a := api.PlanAsk{N: l.requests[r.ID], Step: r.At, Iteration: r.Iteration, Kind: r.Kind, Text: r.Text, Quorum: r.Quorum, Base: v.point == nil, Levels: []api.PlanLevel{}, Answers: []api.PlanWay{}}
	for _, lv := range r.Levels {
		out := api.PlanLevel{Who: lv.Who}
		if lv.Within > 0 {
			out.Within = duration(lv.Within)
		}
		for _, who := range lv.Who {
			if p.Persons == nil {
				break
			}
			for _, name := range p.Persons(who) {
				if !slices.Contains(out.Persons, name) && name != r.Requester {
					out.Persons = append(out.Persons, name)
				}
			}
		}
		slices.Sort(out.Persons)
		a.Levels = append(a.Levels, out)
	}
	return a
}

func (p *preview) effect(l *listed, v *variant, e *Effect) api.PlanEffect {
	out := api.PlanEffect{
		N: l.effects[e.key()], Step: e.Step, Iteration: e.Iteration, Phase: e.Phase, Action: e.Action, Instance: e.Instance, Inputs: e.Inputs,
		Undoes: e.Of, Base: v.point == nil, KnownAfter: knownAfter(e.Inputs), Ask: l.requests[e.Approval], Already: e.Outcome == task.Already, Targets: []api.PlanTarget{},
	}
	approved := "asked"
	if e.Approval == "" {
		approved = ""
	}
	f := p.foreseen[strings.Join([]string{e.Action, e.Instance, string(e.Inputs), approved}, "\x00")]
	for i, t := range e.Targets {
		at := api.PlanTarget{ID: t.ID, Label: t.Label, Kind: t.Kind, KnownAfter: strings.Join(knownAfter(json.RawMessage(t.Label)), ", ")}
		if f != nil && i < len(f.Targets) && f.Targets[i].Facts != nil {
			at.Class, _ = f.Targets[i].Facts.Values["criticality"].(string)
		}
		out.Targets = append(out.Targets, at)
	}
	out.Guard = v.verdicts[e.Key]
	if e.Undo {
		return out
	}
	out.Inverse = &api.PlanInverse{Action: e.spec.Inverse, Reversal: string(e.spec.Reversal)}
	if e.Arranged != nil {
		out.Inverse.Action = e.Arranged.Action
	}
	if f != nil && f.Found == spec.Absent {
		out.Inverse.Restores = f.Prior
	}
	for _, h := range v.played.Holds {
		if h.Step == e.Step && h.Iteration == e.Iteration {
			out.Hold = &api.PlanHold{For: duration(h.For), Until: p.Now.Add(h.For), Then: h.Then}
		}
	}
	return out
}

// ways writes where each way leads, and for each effect and request on which ways
// it comes.
func (p *preview) ways(l *listed, out *api.Plan) {
	for _, e := range p.plays[0].played.Effects { // seals are known once all are numbered
		if n := l.requests[e.Approval]; n > 0 && n <= len(out.Asks) && !slices.Contains(out.Asks[n-1].Effects, l.effects[e.key()]) {
			out.Asks[n-1].Effects = append(out.Asks[n-1].Effects, l.effects[e.key()])
		}
	}
	for _, pt := range p.points {
		ways := []api.PlanWay{{Way: pt.labels[0], Assumed: true, Closing: pt.from.played.Result.Closing, Reason: pt.from.played.Result.Reason}}
		if pt.req != nil && pt.says[0].Silent {
			ways[0].After = waits(pt.req)
		}
		for _, v := range pt.ways {
			if v.played == nil {
				continue
			}
			w := p.way(l, pt, v)
			if pt.con != nil && pt.con.later && w.same(ways[0]) {
				continue // it is the way that the read shows now
			}
			ways = append(ways, w.PlanWay)
		}
		if pt.con != nil && pt.con.later && len(ways) == 1 {
			continue
		}
		if pt.req != nil {
			out.Asks[l.requests[pt.req.ID]-1].Answers = ways
			continue
		}
		out.Unknown = append(out.Unknown, api.PlanUnknown{Step: pt.con.at, What: pt.con.what, Text: pt.con.text, On: pt.con.on, Ways: ways})
	}
	for _, v := range p.plays[1:] {
		mine := v.effects()
		for i := range out.Effects {
			e := &out.Effects[i]
			here := slices.ContainsFunc(mine, func(o *Effect) bool { return l.effects[o.key()] == e.N })
			if here != e.Base && (!e.Base || v.parent == p.plays[0]) {
				e.Ways = append(e.Ways, v.name())
			}
		}
		for i := range out.Asks {
			a := &out.Asks[i]
			if !a.Base && slices.ContainsFunc(v.played.Requests, func(r *Request) bool { return l.requests[r.ID] == a.N }) {
				a.Ways = append(a.Ways, v.name())
			}
		}
	}
}

// effects are those of a way that would happen, or be asked of the guards.
func (v *variant) effects() []*Effect { return v.played.Effects }

func waits(r *Request) string {
	if end, ok := r.ends(); ok {
		return duration(end.Sub(r.Opened))
	}
	return "for as long as it takes"
}

// parted is a way beside the one that it leaves.
type parted struct{ api.PlanWay }

func (w parted) same(assumed api.PlanWay) bool {
	return len(w.With)+len(w.Without)+len(w.Asks) == 0 && w.Closing == assumed.Closing && w.Reason == assumed.Reason
}

// way compares a way with the one that it leaves.
func (p *preview) way(l *listed, pt *point, v *variant) parted {
	w := parted{api.PlanWay{Way: pt.labels[v.option], Closing: v.played.Result.Closing, Reason: v.played.Result.Reason}}
	if pt.req != nil && pt.says[v.option].Silent {
		w.After = waits(pt.req)
		if strings.Contains(w.Reason, neverAnswered) {
			w.Closing, w.Reason = "", "the run waits"
		}
	}
	numbers := func(list []*Effect) []int {
		var out []int
		for _, e := range list {
			if n := l.effects[e.key()]; !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
		return out
	}
	before, now := numbers(pt.from.effects()), numbers(v.effects())
	for _, n := range now {
		if !slices.Contains(before, n) {
			w.With = append(w.With, n)
		}
	}
	for _, n := range before {
		if !slices.Contains(now, n) {
			w.Without = append(w.Without, n)
		}
	}
	for _, r := range v.played.Requests {
		if !slices.ContainsFunc(pt.from.played.Requests, func(o *Request) bool { return o.ID == r.ID }) {
			w.Asks = append(w.Asks, l.requests[r.ID])
		}
	}
	slices.Sort(w.With)
	slices.Sort(w.Without)
	return w
}

func (p *preview) madeReads() []api.PlanRead {
	out := make([]api.PlanRead, 0, len(p.order))
	for _, m := range p.order {
		<-m.done
		r := api.PlanRead{Step: m.at, Action: m.q.Action, Instance: m.q.Instance, Inputs: m.q.Inputs, Output: m.res.Output, KnownAfter: m.after}
		if len(m.after) > 0 {
			r.Output = nil
		}
		if f := m.res.Failure; f != nil {
			r.Error = f.Kind + ": " + f.Message
		}
		out = append(out, r)
	}
	return out
}

// reach counts the distinct targets of each action over all ways.
func (p *preview) reach(out *api.Plan) []api.PlanReach {
	seen := map[string]map[string]string{}
	for _, e := range out.Effects {
		if seen[e.Action] == nil {
			seen[e.Action] = map[string]string{}
		}
		for _, t := range e.Targets {
			seen[e.Action][t.ID+t.Label] = strings.TrimSpace(t.Kind + " " + t.Class)
		}
	}
	list := []api.PlanReach{}
	for _, action := range sortedKeys(seen) {
		r := api.PlanReach{Action: action, Targets: len(seen[action]), Limit: p.Plan.LimitOf(action), Classes: map[string]int{}}
		for _, class := range seen[action] {
			r.Classes[class]++
		}
		list = append(list, r)
	}
	slices.SortStableFunc(list, func(a, b api.PlanReach) int { return cmp.Compare(b.Targets, a.Targets) })
	return list
}

func (p *preview) notes(out *api.Plan) {
	if len(p.plays) >= mostPlays {
		out.Notes = append(out.Notes, fmt.Sprintf("there are more ways than the %d that were played", mostPlays))
	}
	if p.Offline {
		out.Notes = append(out.Notes, "offline: fixtures answered the reads; guards, inventory and targets were not asked, and calendars are taken as open")
	}
	walk(p.Plan, func(st *plan.Step) {
		if st.Pause != nil && st.Pause.ForAlert != nil {
			out.Notes = append(out.Notes, "step "+st.Path+" waits for an alert; the plan has it that none comes")
		}
	})
}
