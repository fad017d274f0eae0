package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// Rehearsals play playbooks without acting.
type Rehearsals interface {
	// Load compiles a playbook that need not be active, against what is configured,
	// in the mode of a trigger (manual, or alert of a source). Mistakes in it are an
	// *api.Error of CodeInvalid.
	Load(ctx context.Context, text api.PlaybookText, beside []api.PlaybookText, trigger, source string) (intake.Loaded, error)
	// Active is a playbook that is, in the mode of a trigger.
	Active(name, trigger, source string) (intake.Loaded, bool)
	// Plan shows what a run would do.
	Plan(ctx context.Context, b intake.Loaded, claim runs.Claim) (*api.Plan, error)
	// Backtest plays what was recorded since a time through a new version.
	Backtest(ctx context.Context, b intake.Loaded, since time.Time) (*api.Backtest, error)
	// Answers lists what connectors answered to a run, in the order in which it came.
	Answers(ctx context.Context, runID string) ([]api.RecordedAnswer, error)
}

// planTime bounds a preview; the answer must still be written in time.
const planTime = 25 * time.Second

// atOnce bounds the previews under way: each keeps an interpreter busy and calls
// vendors.
const plansAtOnce = 2

type plansAPI struct {
	tenant   string
	rights   *auth.Rights
	launch   func(intake.Loaded, auth.Actor) error
	rehearse Rehearsals
	intake   *intake.Intake
	rooms    Rooms
	turns    chan struct{}
	// backtests lets one at a time play.
	backtests  chan struct{}
	answerTime time.Duration
}

// plan shows what a playbook would do. Whoever asks must be able to launch it: the
// reads are real, and bring to light what a run would read.
func (a *plansAPI) plan(c *call, req *planIn) (*reply[api.Plan], error) {
	in := req.Body
	if (in.Source == nil) == (in.Playbook == "") {
		return nil, invalid("name either an active playbook or the source of one")
	}
	if len(in.Alert) > 0 && len(in.Inputs) > 0 {
		return nil, invalid("an alert and inputs: one of them starts the run")
	}
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{}) // all is read; what follows takes longer than that
	leave, err := a.enter(c.Context())
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(c.Context(), planTime)
	defer cancel()
	book, err := a.book(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := a.mayPlan(book, c.actor, len(in.Alert) > 0); err != nil {
		return nil, err
	}
	claim, err := a.claim(book, in, c)
	if err != nil {
		return nil, err
	}
	if err := a.rooms.write(ctx, note{
		kind: "plan.requested", tenant: a.tenant, actor: c.actor.Name, request: c.id,
		data: map[string]any{"playbook": book.Plan.Playbook, "digest": book.Digest, "inputs": string(claim.Inputs)},
	}); err != nil {
		return nil, err
	}
	got, err := a.rehearse.Plan(ctx, book, claim)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, api.Problem(api.CodeNotReady, fmt.Sprintf("the reads took longer than %s; try again, or plan offline with fixtures", planTime))
	}
	if err != nil {
		return nil, err
	}
	return ok(*got)
}

// enter takes one of the turns.
func (a *plansAPI) enter(ctx context.Context) (leave func(), err error) {
	if a.rehearse == nil {
		return nil, api.Problem(api.CodeNotReady, "this server plays no playbooks")
	}
	select {
	case a.turns <- struct{}{}:
		return func() { <-a.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(planTime / 5):
		p := api.Problem(api.CodeRateLimited, "other previews are under way; try again in a moment")
		p.RetryAfter = planTime / 5
		return nil, p
	}
}

func (a *plansAPI) book(ctx context.Context, in api.PlanRequest) (intake.Loaded, error) {
	trigger := "manual"
	if len(in.Alert) > 0 {
		trigger = "alert"
	}
	if in.Source != nil {
		return a.rehearse.Load(ctx, *in.Source, in.Beside, trigger, in.From)
	}
	b, ok := a.rehearse.Active(in.Playbook, trigger, in.From)
	if !ok {
		return b, api.Problem(api.CodeNotFound, fmt.Sprintf("there is no active playbook %q; quell playbook list shows them", shorten(in.Playbook)))
	}
	return b, nil
}

// mayPlan holds the right to launch against the actor. What only alerts start,
// nobody launches by hand; whoever may launch at all may see what it would do,
// unless the installation says otherwise.
func (a *plansAPI) mayPlan(b intake.Loaded, who auth.Actor, alert bool) error {
	if b.Plan.Triggers.Manual == nil && alert && a.rights.MayLaunch(who, b.Plan.Playbook) {
		return nil
	}
	return a.launch(b, who)
}

func (a *plansAPI) claim(b intake.Loaded, in api.PlanRequest, c *call) (runs.Claim, error) {
	if len(in.Alert) == 0 {
		return (&runsAPI{tenant: a.tenant}).claim(b, &startIn{Body: api.StartRun{Inputs: in.Inputs}}, c)
	}
	from := in.From
	for _, t := range b.Plan.Triggers.Alerts {
		if from == "" && len(t.From) > 0 {
			from = t.From[0]
		}
	}
	claim, err := a.intake.Foresee(b, from, in.Alert)
	if errors.Is(err, intake.ErrNoRun) || errors.Is(err, intake.ErrShape) {
		return claim, invalid("%v", err)
	}
	claim.Trigger = run.Trigger{Kind: "alert", Actor: "source:" + from, Source: from, Alert: claim.Trigger.Alert, Severity: claim.Severity}
	return claim, err
}

// backtestTime bounds a backtest.
const backtestTime = 10 * time.Minute

// backtest plays what was recorded through a new version. It reads what every
// reader of runs may read, and calls no connector.
func (a *plansAPI) backtest(c *call, req *backtestIn) (*reply[api.Backtest], error) {
	in := req.Body
	since := 30 * 24 * time.Hour
	if in.Since != "" {
		var err error
		if since, err = kind.ParseDuration(in.Since); err != nil || since <= 0 {
			return nil, invalid("since %q is not a duration such as 24h or 30d", shorten(in.Since))
		}
	}
	if a.rehearse == nil {
		return nil, api.Problem(api.CodeNotReady, "this server plays no playbooks")
	}
	select {
	case a.backtests <- struct{}{}:
		defer func() { <-a.backtests }()
	default:
		p := api.Problem(api.CodeRateLimited, "another backtest is under way; try again when it is over")
		p.RetryAfter = planTime
		return nil, p
	}
	// The answer is written when all is played; until then nobody reads or writes.
	ctl := http.NewResponseController(c.w)
	_ = ctl.SetReadDeadline(time.Time{})
	_ = ctl.SetWriteDeadline(time.Now().Add(backtestTime + a.answerTime))
	ctx, cancel := context.WithTimeout(c.Context(), backtestTime)
	defer cancel()
	book, err := a.rehearse.Load(ctx, in.Source, in.Beside, "manual", "")
	if err != nil {
		return nil, err
	}
	got, err := a.rehearse.Backtest(ctx, book, time.Now().Add(-since))
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, api.Problem(api.CodeNotReady, "the backtest took longer than "+backtestTime.String()+"; look less far back")
	}
	if err != nil {
		return nil, err
	}
	return ok(*got)
}

// mostAnswers bounds one answer's list of recorded answers.
const mostAnswers = 10_000

// answers lists what connectors answered to a run.
func (a *plansAPI) answers(c *call, in *OfRun) (*reply[api.Answers], error) {
	rec, err := a.rooms.Runs.Get(c.Context(), in.run())
	if err == nil && rec.Tenant != a.tenant {
		err = runs.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if a.rehearse == nil {
		return nil, api.Problem(api.CodeNotReady, "this server plays no playbooks")
	}
	list, err := a.rehearse.Answers(c.Context(), in.run())
	if err != nil {
		return nil, err
	}
	if len(list) > mostAnswers {
		list = list[:mostAnswers]
	}
	return ok(api.Answers{Answers: list})
}
