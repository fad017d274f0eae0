package report

import (
	"slices"
	"time"

	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/playbooks/plan"
)

// metrics computes the run's times; the package comment says what they mean.
func (d *draft) metrics() Metrics {
	m := Metrics{Begin: d.begin(), Effects: map[string]int{}}
	for i := range d.report.Effects {
		m.Effects[d.report.Effects[i].Outcome]++
	}
	m.Triage = d.phaseTime(m.Begin, string(plan.Triage), "the playbook has no triage", "triage is not over")
	m.Contain = d.containTime(m.Begin)
	m.Recover = d.recoverTime(m.Begin)
	m.People = d.people()
	m.Undo = d.takingBack()
	if end := d.rec.Ended; !end.IsZero() {
		m.Total = between(m.Begin, end)
		if m.Undo.To.After(end) {
			m.Total.Why = "to the run's end; it was taken back later"
		}
	} else {
		m.Total = Measure{Why: "the run has not ended", From: m.Begin}
	}
	return m
}

// begin is when Quell got to know of it.
func (d *draft) begin() time.Time {
	at := d.rec.Created
	for _, a := range d.alerts {
		if a.Received.Before(at) {
			at = a.Received
		}
	}
	return at.UTC()
}

func between(from, to time.Time) Measure {
	s := max(0, to.Sub(from).Seconds())
	return Measure{Seconds: &s, From: from, To: to}
}

func (d *draft) phase(name string) *Phase {
	for i := range d.report.Phases {
		if d.report.Phases[i].Name == name {
			return &d.report.Phases[i]
		}
	}
	return nil
}

// phaseTime is the time to the end of a phase.
func (d *draft) phaseTime(begin time.Time, name, none, open string) Measure {
	p := d.phase(name)
	switch {
	case p == nil && d.tree == nil:
		return Measure{Why: "the run's steps are not known"}
	case p == nil:
		return Measure{Why: none}
	}
	for _, s := range p.Steps {
		if s.Ended.IsZero() {
			return Measure{Why: open}
		}
	}
	return between(begin, p.Ended)
}

// containTime is the time to the last effect of containment, where all of them
// came about.
func (d *draft) containTime(begin time.Time) Measure {
	var last time.Time
	n := 0
	for i := range d.report.Effects {
		e := &d.report.Effects[i]
		if e.Phase != string(plan.Contain) {
			continue
		}
		n++
		switch {
		case e.Outcome == "simulated":
			return Measure{Why: "observe mode: nothing was contained"}
		case !e.happened():
			return Measure{Why: "not contained: " + e.Action + " " + e.Outcome}
		case e.Settled.After(last):
			last = e.Settled
		}
	}
	if n == 0 {
		return Measure{Why: "nothing was contained"}
	}
	return between(begin, last)
}

// recoverTime is the time to the end of recovery, where its steps did their work.
func (d *draft) recoverTime(begin time.Time) Measure {
	p := d.phase(string(plan.Recover))
	if p != nil {
		if d.rec.Mode == "observe" {
			return Measure{Why: "observe mode: there was nothing to recover from"}
		}
		for _, s := range p.Steps {
			switch s.Outcome {
			case "failed", "unknown", "denied", "refused", "partial":
				return Measure{Why: "not recovered: " + s.Path + " " + s.Outcome}
			}
		}
	}
	return d.phaseTime(begin, string(plan.Recover), "recovery did not begin", "recovery is not over")
}

// people is the union of the times in which the run waited for somebody.
func (d *draft) people() Measure {
	type span struct{ from, to time.Time }
	var spans []span
	for _, q := range d.asked {
		if q.Kind == approval.Hold {
			continue
		}
		to := q.Closed
		if to.IsZero() {
			to = d.now
		}
		spans = append(spans, span{q.Opened, to})
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var sum time.Duration
	var end time.Time
	for _, s := range spans {
		if s.from.Before(end) {
			s.from = end
		}
		if s.to.After(s.from) {
			sum += s.to.Sub(s.from)
			end = s.to
		}
	}
	v := sum.Seconds()
	return Measure{Seconds: &v}
}
