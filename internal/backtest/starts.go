package backtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// start is one run, recorded or not, that the new version is played for.
type start struct {
	// run is the recorded one; nil where there was none.
	run *runs.Record
	// claim is what the new version makes of the alert; nil for a run that nobody's
	// alert started.
	claim *runs.Claim
	told  api.BacktestCase
}

// starts finds what the new version would start, beside what was started. The times
// in which runs were live are those on record.
func (r *Record) starts(ctx context.Context, b intake.Loaded, alerts []runs.Alert, list []runs.Record) ([]start, error) {
	byID := map[string]*runs.Record{}
	alerted := map[string]bool{}
	for i := range list {
		byID[list[i].ID] = &list[i]
	}
	t := &timeline{tenant: r.Tenant, playbook: b.Plan.Playbook, live: map[string]*about{}}
	var out []start
	for _, a := range alerts {
		was := verdictOf(a, b.Plan.Playbook)
		if was.Run != "" && was.Verdict == intake.Started {
			alerted[was.Run] = true
		}
		value, err := r.alertOf(ctx, a.ID)
		if err != nil {
			return nil, err
		}
		now := r.Intake.Judge(b, a.ID, a.Alert, value)
		if s, any := t.start(a, was, now, byID); any {
			out = append(out, s)
		}
	}
	for i := range list { // by hand, by the clock, by a call; or its alert is gone
		if rec := &list[i]; !alerted[rec.ID] {
			out = append(out, start{run: rec, told: api.BacktestCase{At: rec.Created, Run: rec.ID}})
		}
	}
	return out, nil
}

// verdictOf is what an alert meant to a playbook when it came.
func verdictOf(a runs.Alert, playbook string) runs.Verdict {
	for _, v := range a.Verdicts {
		if v.Playbook == playbook {
			return v
		}
	}
	return runs.Verdict{}
}

// timeline knows which run was live about what.
type timeline struct {
	tenant, playbook string
	live             map[string]*about
}

// about is the last run about one thing, as a new claim meets it.
type about struct {
	run               string
	ends              time.Time
	closing, severity string
	targets           []string
}

// start tells what the new version makes of an alert, beside what was. any is false
// where neither starts anything.
func (t *timeline) start(a runs.Alert, was runs.Verdict, now intake.Judged, byID map[string]*runs.Record) (s start, any bool) {
	s.told = api.BacktestCase{At: a.Received, Alert: a.ID}
	if was.Verdict == intake.Started {
		if s.run = byID[was.Run]; s.run == nil {
			return s, false // it began before the time that is looked at
		}
		s.told.Run = was.Run
	}
	word, why := t.verdict(a, was, now)
	if word == intake.Started {
		s.claim = now.Claim
		t.note(now.Claim, a, s.run)
	}
	before := words(was.Verdict, was.Run)
	switch {
	case s.run != nil && word == intake.Started:
		return s, true
	case s.run == nil && word != intake.Started:
		return s, false
	}
	s.told.Starts = &api.BacktestChange{Before: before, After: words(word, why)}
	return s, true
}

func words(verdict, more string) string {
	if verdict == "" {
		return "starts nothing"
	}
	if more != "" {
		return verdict + ": " + more
	}
	return verdict
}

// verdict is what the new version would have made of the alert.
func (t *timeline) verdict(a runs.Alert, was runs.Verdict, now intake.Judged) (verdict, why string) {
	c := now.Claim
	if c == nil {
		return now.Verdict, now.Reason
	}
	hash := run.OnceHash(t.tenant, t.playbook, c.OnceValue)
	last := t.live[hash]
	same := hashOf(was.Run) == hash
	switch {
	case same && was.Verdict == intake.JoinedRun:
		last.join(a, c)
		return intake.JoinedRun, was.Run
	case same && was.Verdict == intake.Silenced && (last == nil || a.Received.Sub(last.ends) < c.Quiet):
		return intake.Silenced, was.Reason
	case last == nil:
		return intake.Started, ""
	case !same && a.Received.Before(last.ends):
		last.join(a, c)
		return intake.JoinedRun, last.run
	case a.Received.Sub(last.ends) < c.Quiet && !graver(a.Severity, last.severity) && finished(last.closing) && !same:
		return intake.Silenced, fmt.Sprintf("%s ended %s before", last.run, a.Received.Sub(last.ends).Round(time.Second))
	case same && was.Verdict == intake.Started && t.quieter(a, c, last):
		return intake.Silenced, fmt.Sprintf("%s ended %s before", last.run, a.Received.Sub(last.ends).Round(time.Second))
	}
	return intake.Started, ""
}

// join raises what a live run is about by an alert that joins it.
func (l *about) join(a runs.Alert, c *runs.Claim) {
	if l == nil {
		return // it began before the time that is looked at
	}
	l.targets = append(l.targets, c.Targets...)
	if graver(a.Severity, l.severity) {
		l.severity = a.Severity
	}
}

// quieter reports whether a longer quiet time silences what was started.
func (t *timeline) quieter(a runs.Alert, c *runs.Claim, last *about) bool {
	gap := a.Received.Sub(last.ends)
	if gap <= 0 || gap >= c.Quiet || graver(a.Severity, last.severity) || !finished(last.closing) {
		return false
	}
	return !slices.ContainsFunc(c.Targets, func(t string) bool { return !slices.Contains(last.targets, t) })
}

// finished reports whether a run did what it was for: only then it silences.
func finished(closing string) bool {
	return closing != "" && closing != "failed" && closing != "denied" && closing != "cancelled"
}

// note keeps who is live about what. A run that never was is taken to end at once:
// it is not known how long it would have been.
func (t *timeline) note(c *runs.Claim, a runs.Alert, rec *runs.Record) {
	n := &about{ends: a.Received, severity: a.Severity, targets: slices.Clone(c.Targets), run: "the run of alert " + a.ID}
	if rec != nil {
		n.run, n.ends, n.closing = rec.ID, rec.Ended, rec.Closing
		if rec.Status != runs.Ended {
			n.ends = time.Now()
		}
	}
	t.live[run.OnceHash(t.tenant, t.playbook, c.OnceValue)] = n
}
