package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/backtest"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/own"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/rehearse"
	"github.com/quell-soar/quell/workflows/run"
)

// rehearsals play playbooks for the API. They reach connectors through a host that
// only reads.
type rehearsals struct {
	book   *book
	rooms  *rooms
	host   *own.Host
	reads  *host.ReadOnly
	facts  *activities.Facts
	tokens *auth.Tokens
	duties duties
	intake *intake.Intake
}

func newRehearsals(b *book, r *rooms, h *own.Host) (*rehearsals, error) {
	onDuty, err := dutiesOf(b.cfg)
	if err != nil {
		return nil, err
	}
	reads := host.NewReadOnly(h)
	facts := factsFor(b.cfg, h.Host, r.guard)
	facts.Host = reads
	return &rehearsals{book: b, rooms: r, host: h, reads: reads, facts: facts, tokens: auth.NewTokens(r.db, r.ledger, b.cfg.Tenant, time.Now), duties: onDuty}, nil
}

// Load compiles a text against what is configured. It may call the active
// playbooks and those beside it.
func (r *rehearsals) Load(ctx context.Context, text api.PlaybookText, beside []api.PlaybookText, trigger, from string) (intake.Loaded, error) {
	current, _, err := r.book.reg.Current(ctx)
	if err != nil {
		return intake.Loaded{}, err
	}
	others := make([]*source.File, 0, len(beside)+len(current))
	for _, t := range beside {
		others = append(others, source.NewFile(t.File, []byte(t.Text)))
	}
	for _, e := range current {
		if e.Retired == nil {
			others = append(others, source.NewFile(e.Current.Text.File, e.Current.Text.Body))
		}
	}
	// The first of a name counts: what was sent hides what is active.
	l, err := r.book.compiled(source.NewFile(text.File, []byte(text.Text)), compile.NewFiles(others...))
	if err != nil {
		return l, api.Problem(api.CodeInvalid, err.Error())
	}
	return r.in(l, trigger, from), nil
}

// Active is an active playbook.
func (r *rehearsals) Active(name, trigger, from string) (intake.Loaded, bool) {
	l, ok := r.book.Playbook(name)
	return r.in(l, trigger, from), ok
}

func (r *rehearsals) in(l intake.Loaded, trigger, from string) intake.Loaded {
	if l.Plan == nil {
		return l
	}
	if trigger == "alert" && from == "" {
		for _, t := range l.Plan.Triggers.Alerts {
			if from == "" && len(t.From) > 0 {
				from = t.From[0]
			}
		}
	}
	return r.book.with(l, r.book.triggerMode(trigger, from))
}

// Plan plays a claim that is not made.
func (r *rehearsals) Plan(ctx context.Context, b intake.Loaded, c runs.Claim) (*api.Plan, error) {
	in := inputOf(b, c, "preview")
	callees := map[string]run.Input{}
	for _, k := range b.Calls {
		callees[k.Playbook] = run.Input{Settings: k.Settings, Bindings: k.Bindings, Calendars: k.Calendars}
	}
	persons, err := r.persons(ctx)
	if err != nil {
		return nil, err
	}
	return rehearse.Preview{
		Plan: b.Plan, Input: in, Callees: callees, Now: time.Now().UTC(), Persons: persons,
		Sources: asked{&activities.Foreseer{
			Host: r.reads, Effects: r.rooms.effects, Trigger: in.Trigger, Facts: r.facts,
			Mode: func(instance string) guard.Mode {
				return guard.Lowest(guard.Mode(in.Mode), instanceMode(r.book.cfg, instance))
			},
		}},
	}.Run(ctx)
}

// inputOf is what a run of a claim would be started with.
func inputOf(b intake.Loaded, c runs.Claim, hash string) run.Input {
	in := run.Input{
		ABI: run.ABI, Tenant: c.Tenant, Run: run.ID(b.Plan.Playbook, hash, 1), Playbook: b.Plan.Playbook, Digest: b.Digest, Plan: b.Raw,
		Inputs: json.RawMessage(c.Inputs), Settings: json.RawMessage(c.Settings), Bindings: c.Bindings, Trigger: c.Trigger, Incident: c.Incident,
		Mode: c.Mode, Calendars: c.Calendars,
	}
	if in.Incident == "" {
		in.Incident = in.Run
	}
	return in
}

// asked are the sources of a preview on a running server.
type asked struct{ *activities.Foreseer }

// Foresee implements rehearse.Sources. What Quell itself keeps hangs on the run,
// and there is none.
func (a asked) Foresee(ctx context.Context, q task.ActRequest) (*activities.Foreseen, error) {
	f, err := a.Foreseer.Foresee(ctx, q)
	if q.Inst == own.Instance {
		f.Found, f.Prior = "", nil
	}
	return &f, err
}

// persons tells who can answer now for a role or duty, as far as the configuration
// and the tokens say.
func (r *rehearsals) persons(ctx context.Context) (func(who string) []string, error) {
	tokens, err := r.tokens.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("who could answer: %w", err)
	}
	roles := map[string][]string{}
	add := func(user string, list []string) {
		for _, role := range list {
			if name := auth.UserPrefix + user; !slices.Contains(roles[role], name) {
				roles[role] = append(roles[role], name)
			}
		}
	}
	for _, t := range tokens {
		if t.Revoked.IsZero() && t.Expires.After(time.Now()) {
			add(t.User, t.Roles)
		}
	}
	for name, p := range r.book.cfg.Access.People {
		add(name, p.Roles)
	}
	return func(who string) []string {
		if duty, ok := strings.CutPrefix(who, "oncall."); ok {
			var out []string
			for _, name := range r.duties.now()[duty] {
				out = append(out, auth.UserPrefix+strings.TrimPrefix(name, auth.UserPrefix))
			}
			return out
		}
		return roles[who]
	}, nil
}

// Backtest implements server.Rehearsals. What was answered a moment ago counts too.
func (r *rehearsals) Backtest(ctx context.Context, b intake.Loaded, since time.Time) (*api.Backtest, error) {
	if err := r.rooms.readings.Flush(ctx); err != nil {
		return nil, err
	}
	return (&backtest.Record{
		Tenant: r.book.cfg.Tenant, Runs: r.rooms.runs, Effects: r.rooms.effects, Approvals: r.rooms.approvals, Readings: r.rooms.readings, Intake: r.intake,
	}).Run(ctx, b, since)
}

// Answers implements server.Rehearsals.
func (r *rehearsals) Answers(ctx context.Context, runID string) ([]api.RecordedAnswer, error) {
	if err := r.rooms.readings.Flush(ctx); err != nil {
		return nil, err
	}
	list, err := r.rooms.readings.Of(ctx, runID)
	if err != nil {
		return nil, err
	}
	out := make([]api.RecordedAnswer, len(list))
	for i, one := range list {
		out[i] = api.RecordedAnswer{
			At: one.At, Run: one.Run, Step: one.Step, Action: one.Action, Instance: one.Instance, Inputs: one.Inputs, Output: one.Output, Error: one.Error, Message: one.Message,
		}
	}
	return out, nil
}
