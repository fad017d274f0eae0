package backtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/readings"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/rehearse"
	"github.com/quell-soar/quell/workflows/run"
)

// Record is where recorded things stand.
type Record struct {
	Tenant    string
	Runs      *runs.Runs
	Effects   *effects.Effects
	Approvals *approval.Approvals
	Readings  *readings.Readings
	Intake    *intake.Intake

	// plans are those that were decoded, by digest: runs share them.
	plans sync.Map
}

// Most is how many runs, and how many alerts, one backtest takes.
const Most = 5000

// atOnce bounds the plays under way: a backtest leaves the machine to the runs that
// are real.
const atOnce = 2

// Run plays what was recorded since a time through a new version. It fails where
// the store does, or ctx ends.
func (r *Record) Run(ctx context.Context, b intake.Loaded, since time.Time) (*api.Backtest, error) {
	began := time.Now()
	out := &api.Backtest{Playbook: b.Plan.Playbook, Digest: b.Digest, Since: since.UTC(), Until: began.UTC(), Cases: []api.BacktestCase{}}
	list, cut, err := r.runsSince(ctx, b.Plan.Playbook, since)
	if err != nil {
		return nil, err
	}
	out.Runs, out.Cut = len(list), cut
	alerts, cut, err := r.alertsSince(ctx, since)
	if err != nil {
		return nil, err
	}
	out.Alerts, out.Cut = len(alerts), out.Cut || cut
	starts, err := r.starts(ctx, b, alerts, list)
	if err != nil {
		return nil, err
	}
	engine := &rehearse.Backtest{Plan: b.Plan, Digest: b.Digest, Callees: map[string]run.Input{}}
	for _, k := range b.Calls {
		engine.Callees[k.Playbook] = run.Input{Settings: k.Settings, Bindings: k.Bindings, Calendars: k.Calendars}
	}
	cases, err := r.play(ctx, engine, b, starts)
	if err != nil {
		return nil, err
	}
	for _, c := range cases {
		switch c.Verdict {
		case "differs":
			out.Differ++
		case "missing":
			out.Missing++
		default:
			out.Same++
			continue
		}
		out.Cases = append(out.Cases, c)
	}
	slices.SortStableFunc(out.Cases, func(x, y api.BacktestCase) int {
		return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Run, y.Run), cmp.Compare(x.Alert, y.Alert))
	})
	out.TookMillis = time.Since(began).Milliseconds()
	return out, nil
}

// play plays the starts, a few at once.
func (r *Record) play(ctx context.Context, engine *rehearse.Backtest, b intake.Loaded, starts []start) ([]api.BacktestCase, error) {
	out, errs := make([]api.BacktestCase, len(starts)), make([]error, len(starts))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(atOnce, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				out[i], errs[i] = r.one(ctx, engine, b, starts[i])
			}
		})
	}
	for i := range starts {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return out, errors.Join(append(errs, context.Cause(ctx))...)
}

// one plays one start.
func (r *Record) one(ctx context.Context, engine *rehearse.Backtest, b intake.Loaded, s start) (api.BacktestCase, error) {
	if s.claim == nil && s.run == nil || s.run != nil && s.told.Starts != nil { // nothing to play
		if s.told.Starts != nil {
			s.told.Verdict = "differs"
		}
		return s.told, nil
	}
	c := rehearse.Case{Told: s.told}
	var err error
	if s.run == nil {
		c.Input = input(b, *s.claim)
		return engine.Run(ctx, c)
	}
	if c.Record, err = r.record(ctx, *s.run); err != nil {
		return s.told, err
	}
	if c.Input, err = again(b, c.Record.Input, s.claim); err != nil {
		c.Told.Missing, c.Told.Verdict = append(c.Told.Missing, err.Error()), "missing"
		return c.Told, nil
	}
	return engine.Run(ctx, c)
}

// input is what a run that never was would be started with.
func input(b intake.Loaded, c runs.Claim) run.Input {
	in := run.Input{
		ABI: run.ABI, Tenant: c.Tenant, Run: run.ID(b.Plan.Playbook, run.OnceHash(c.Tenant, b.Plan.Playbook, c.OnceValue), 1), Playbook: b.Plan.Playbook,
		Inputs: c.Inputs, Settings: c.Settings, Bindings: c.Bindings, Calendars: c.Calendars, Trigger: c.Trigger, Incident: c.Incident, Mode: c.Mode,
	}
	if in.Incident == "" {
		in.Incident = in.Run
	}
	return in
}

// again is what the new version would have been started with in place of a
// recorded run: what was so then, and from today what was not there yet.
func again(b intake.Loaded, had run.Input, claim *runs.Claim) (run.Input, error) {
	in := had
	if claim != nil {
		in.Inputs = claim.Inputs
	} else if err := fits(b, had.Inputs); err != nil {
		return in, err
	}
	settings, err := merged(b, had.Settings)
	if err != nil {
		return in, err
	}
	in.Settings = settings
	in.Bindings = slices.Clone(had.Bindings)
	for _, o := range b.Bindings {
		if !slices.ContainsFunc(in.Bindings, func(h run.Binding) bool { return h.Action == o.Action }) {
			in.Bindings = append(in.Bindings, o)
		}
	}
	for _, o := range b.Calendars {
		if !slices.ContainsFunc(in.Calendars, func(h run.Calendar) bool { return h.Name == o.Name }) {
			in.Calendars = append(slices.Clone(in.Calendars), o)
		}
	}
	return in, nil
}

// fits holds recorded inputs against a version that nobody gave any to.
func fits(b intake.Loaded, raw json.RawMessage) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return fmt.Errorf("the recorded inputs cannot be read: %w", err)
	}
	for _, i := range b.Plan.Inputs {
		v, ok := given[i.Name]
		if !ok && i.Default == nil {
			return fmt.Errorf("the input %s was never given", i.Name)
		}
		if ok {
			if _, err := kind.Decode(i.Type, v); err != nil {
				return fmt.Errorf("the recorded input %s does not fit: %w", i.Name, err)
			}
		}
	}
	return nil
}

// merged are the settings of then, with those that the new version adds as they
// are configured now.
func merged(b intake.Loaded, had json.RawMessage) (json.RawMessage, error) {
	now, err := kind.Canonical(orEmpty(b.Settings))
	if err != nil {
		return nil, err
	}
	var out, then map[string]json.RawMessage
	if err := json.Unmarshal(now, &out); err != nil {
		return nil, err
	}
	if len(had) > 0 {
		if err := json.Unmarshal(had, &then); err != nil {
			return nil, fmt.Errorf("the recorded settings cannot be read: %w", err)
		}
	}
	for _, s := range b.Plan.Settings {
		if v, ok := then[s.Name]; ok {
			if _, err := kind.Decode(s.Type, v); err == nil {
				out[s.Name] = v
			}
		}
	}
	return json.Marshal(out)
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// runsSince lists the runs of a playbook, the oldest first.
func (r *Record) runsSince(ctx context.Context, playbook string, since time.Time) (out []runs.Record, cut bool, err error) {
	f := runs.Filter{Tenant: r.Tenant, Playbook: playbook, Limit: 200}
	for {
		page, next, err := r.Runs.List(ctx, f)
		if err != nil {
			return nil, false, err
		}
		for _, rec := range page {
			if rec.Created.Before(since) {
				next = ""
				break
			}
			if len(out) == Most {
				return reversed(out), true, nil
			}
			out = append(out, rec)
		}
		if f.Cursor = next; next == "" {
			return reversed(out), false, nil
		}
	}
}

func (r *Record) alertsSince(ctx context.Context, since time.Time) (out []runs.Alert, cut bool, err error) {
	f := runs.AlertFilter{Tenant: r.Tenant, Limit: 200}
	for {
		page, next, err := r.Runs.ListAlerts(ctx, f)
		if err != nil {
			return nil, false, err
		}
		for _, a := range page {
			if a.Received.Before(since) {
				next = ""
				break
			}
			if len(out) == Most {
				return reversed(out), true, nil
			}
			out = append(out, a)
		}
		if f.Cursor = next; next == "" {
			return reversed(out), false, nil
		}
	}
}

func reversed[T any](list []T) []T {
	slices.Reverse(list)
	return list
}

// record gathers one run with all that it was told.
func (r *Record) record(ctx context.Context, rec runs.Record) (*rehearse.Record, error) {
	out := &rehearse.Record{Closing: rec.Closing, Called: map[string]run.Input{}}
	var err error
	if out.Input, err = r.Runs.InputFor(ctx, rec.ID); err != nil {
		return nil, err
	}
	if out.Plan, err = r.planOf(ctx, out.Input); err != nil {
		return nil, err
	}
	if out.Started = rec.Started; out.Started.IsZero() {
		out.Started = rec.Created
	}
	family, err := r.Runs.Family(ctx, rec.ID, nil)
	if err != nil {
		return nil, err
	}
	for _, id := range family[1:] {
		if out.Called[id], err = r.Runs.InputFor(ctx, id); err != nil {
			return nil, err
		}
	}
	reads, err := r.Readings.Of(ctx, family...)
	if err != nil {
		return nil, err
	}
	for _, one := range reads {
		out.Reads = append(out.Reads, readOf(one))
	}
	for _, id := range family {
		if err := r.deeds(ctx, id, out); err != nil {
			return nil, err
		}
		said, err := r.Runs.VerbsAfter(ctx, id, 0)
		if err != nil {
			return nil, err
		}
		out.Verbs = out.Verbs || len(said) > 0
	}
	joins, err := r.Runs.Joins(ctx, rec.ID, Most)
	if err != nil {
		return nil, err
	}
	for _, j := range joins {
		out.Joined = append(out.Joined, joinOf(j, out.Started))
	}
	return out, nil
}

// deeds adds the effects and requests of one run.
func (r *Record) deeds(ctx context.Context, id string, out *rehearse.Record) error {
	list, err := r.Effects.List(ctx, effects.Filter{Run: id, Direction: string(run.Do)})
	if err != nil {
		return err
	}
	for _, e := range list {
		out.Effects = append(out.Effects, effectOf(e))
	}
	asked, _, err := r.Approvals.List(ctx, approval.Filter{Tenant: r.Tenant, Run: id, All: true})
	if err != nil {
		return err
	}
	for _, q := range asked {
		out.Requests = append(out.Requests, requestOf(q))
	}
	return nil
}

// alertOf reads what expressions see of a stored alert.
func (r *Record) alertOf(ctx context.Context, id string) (map[string]any, error) {
	a, err := r.Runs.GetAlert(ctx, id)
	if err != nil {
		return nil, err
	}
	v, err := kind.Decode(alert.Type(), a.Value)
	if err != nil {
		return nil, fmt.Errorf("alert %s: %w", id, err)
	}
	m, _ := v.(map[string]any)
	return m, nil
}

// hashOf is what a run is about, out of its id.
func hashOf(id string) string {
	if p := strings.Split(id, "/"); len(p) == 3 {
		return p[1]
	}
	return ""
}

// graver reports whether a severity is above another.
func graver(a, b string) bool {
	t := kind.Of(kind.Severity)
	return t.Rank(a) > t.Rank(b)
}
