package rehearse

import (
	"context"
	"fmt"
	"sync"

	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows"
	"github.com/quell-soar/quell/workflows/run"
)

// Backtest plays records through a version of a playbook and through the version
// that each was made with, and tells where they part. It may be used from several
// goroutines, one after the other: what was compiled is kept.
type Backtest struct {
	Plan   *plan.Plan
	Digest string
	// Callees are what the installation adds to called runs, by name.
	Callees map[string]run.Input

	once sync.Once
	wf   *workflows.Workflows
}

// Case is one record to play. Record nil is a start that never was: Input is then
// what the run would be started with, and everything else is missing.
type Case struct {
	Record *Record
	// Input is what the new version would be started with; its plan is filled in.
	Input run.Input
	// Told are the parts that are known before: when, alert, run, starts.
	Told api.BacktestCase
}

// Run plays one case. The verdict is empty where nothing differs.
func (b *Backtest) Run(ctx context.Context, c Case) (api.BacktestCase, error) {
	b.once.Do(func() { b.wf = workflows.New() })
	out := c.Told
	if err := ctx.Err(); err != nil {
		return out, err
	}
	raw, err := b.Plan.Encode()
	if err != nil {
		return out, err
	}
	in := c.Input
	in.Plan, in.Digest, in.Playbook, in.Resume = raw, b.Digest, b.Plan.Playbook, nil
	if len(raw) > run.MaxInlinePlan {
		in.Plan = nil
	}
	rec := c.Record
	if rec == nil {
		rec = &Record{Input: in, Plan: b.Plan, Started: c.Told.At}
		s := rec.script(false, nil, b.Callees)
		now := &side{b.Plan, play(b.wf, b.Plan, in, rec.Started, s), s}
		none := rec.script(true, nil, nil)
		compare(&side{b.Plan, &Played{}, none}, now, &out)
		out.Decides, out.Ends = nil, nil
		return judged(out), nil
	}
	if rec.Verbs {
		out.Missing = append(out.Missing, "people paused, skipped or retried steps of this run; that is not played")
		return judged(out), nil
	}
	first := rec.script(true, nil, b.Callees)
	old := &side{rec.Plan, play(b.wf, rec.Plan, rec.Input, rec.Started, first), first}
	if why := old.strays(rec); why != "" {
		out.Missing = append(out.Missing, why)
		return judged(out), nil
	}
	second := first.rec.script(false, old.played.Requests, b.Callees)
	now := &side{b.Plan, play(b.wf, b.Plan, in, rec.Started, second), second}
	if now.played.Problem != "" {
		out.Missing = append(out.Missing, "the new version could not be played: "+now.played.Problem)
		return judged(out), nil
	}
	compare(old, now, &out)
	return judged(out), nil
}

// strays says why the record does not play back as it went; empty where it does.
// A difference would then be none of the new version.
func (s *side) strays(rec *Record) string {
	switch {
	case s.played.Problem != "":
		return "the record does not play back: " + s.played.Problem
	case s.script.frozen:
		return "the record is not whole: " + s.script.missing[0]
	case rec.Closing == "":
		return "the run has not ended"
	case s.played.Result.Closing != rec.Closing:
		return fmt.Sprintf("the record does not play back: it ended %s, and is played to %s (%s)", rec.Closing, s.played.Result.Closing, s.played.Result.Reason)
	}
	return ""
}

// judged gives a case its verdict.
func judged(c api.BacktestCase) api.BacktestCase {
	switch {
	case c.Starts != nil || c.Ends != nil || len(c.Decides)+len(c.Targets)+len(c.Inputs)+len(c.Asks) > 0:
		c.Verdict = "differs"
	case len(c.Missing) > 0:
		c.Verdict = "missing"
	}
	return c
}
