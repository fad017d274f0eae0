package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/internal/answers"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/registry"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/signin"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// Engine is the part of the dispatcher that the API needs.
type Engine interface {
	// Nudge wakes the dispatcher and returns at once.
	Nudge()
	Progress(ctx context.Context, runID string) (run.Progress, error)
	// Undo starts the undo workflow and assigns its id.
	Undo(ctx context.Context, in run.UndoInput) (id string, err error)
	UndoResult(ctx context.Context, id string) (run.UndoResult, bool, error)
	Cancel(ctx context.Context, runID, actor, reason string) error
	// Deliver says that a vote was stored.
	Deliver(ctx context.Context, requestID string)
	Ready(ctx context.Context) error
}

// Books knows the active playbooks.
type Books interface {
	// Active lists them, ordered by name.
	Active() []intake.Loaded
	// Playbook returns one by name.
	Playbook(name string) (intake.Loaded, bool)
}

// Registry keeps the versions of playbooks, and binds them to the installation.
// Errors are registry.ErrUnknown, registry.ErrMoved, *api.Error, or faults.
type Registry interface {
	List(ctx context.Context) ([]registry.Entry, []registry.Problem, error)
	Versions(ctx context.Context, playbook string) ([]registry.Version, error)
	Version(ctx context.Context, playbook, digest string) (registry.Version, error)
	// Mode is the mode of a playbook, whatever starts it.
	Mode(playbook string) guard.Mode
	// Publish takes all texts or none; when it returns, they are what is launched.
	Publish(ctx context.Context, actor, request string, texts []registry.Text) ([]registry.Taken, error)
	Promote(ctx context.Context, d registry.Decision, mode guard.Mode) (registry.Entry, error)
	Retire(ctx context.Context, d registry.Decision) (registry.Entry, error)
}

// Connectors knows the configured connector instances.
type Connectors interface {
	List(ctx context.Context) ([]api.Connector, error)
	// Check asks an instance whether its credential and network are good. An
	// unknown instance is an *api.Error of CodeNotFound.
	Check(ctx context.Context, instance string) (api.Connector, error)
	// Installed tells what the configuration offers to playbooks. Roles that only
	// tokens carry are not in it.
	Installed() api.Installed
	// Ready says why connectors that playbooks need cannot be called, or nil.
	Ready(ctx context.Context) error
}

// Effects tells what a run did to the world; effects.Effects does.
type Effects interface {
	List(ctx context.Context, f effects.Filter) ([]*effects.Effect, error)
	// Observations lists what observe mode kept from happening, the oldest first.
	Observations(ctx context.Context, tenant, playbook string, since time.Time, limit int) ([]effects.Observed, error)
}

// Rooms are where things are kept.
type Rooms struct {
	DB        *store.DB
	Runs      *runs.Runs
	Effects   Effects
	Approvals *approval.Approvals
	Ledger    *ledger.Ledger
	Guard     *guard.Guard
}

// Work is who does what the API asks for.
type Work struct {
	Engine     Engine
	Books      Books
	Registry   Registry
	Connectors Connectors
	Intake     *intake.Intake
	Reviews    Reviews
	Rehearsals Rehearsals
	// Metrics answers with the metrics of the process; nil has none.
	Metrics http.Handler
	// Disk says why nothing new may be begun, or nil; without it there is always
	// space.
	Disk func() error
	// Clock says what is odd about the time, or ""; without it nothing is.
	Clock func() string
}

// space is Disk.
func (w Work) space() error {
	if w.Disk == nil {
		return nil
	}
	return w.Disk()
}

// New builds the API. It fails where the route table is not sound.
func New(cfg Config, access Access, rooms Rooms, work Work, log zerolog.Logger) (*Server, error) {
	if (access.Sessions == nil) != (access.SignIn == nil) {
		return nil, errors.New("server: sessions need a way to sign in, and that needs sessions")
	}
	s := &Server{cfg: cfg.withDefaults(), access: access.withDefaults(), log: log, limits: newLimits(time.Now)}
	s.answers = answers.New(rooms.DB, cfg.Tenant, time.Now)
	s.failures = auth.NewFailures(failuresAMinute, time.Minute, time.Now)
	s.sessions = &sessionAPI{server: s, seen: map[string]signin.Identity{}}
	s.refusals = &refusals{rooms: rooms, tenant: cfg.Tenant, now: time.Now}
	s.runs = &runsAPI{tenant: cfg.Tenant, rooms: rooms, engine: work.Engine, books: work.Books, reviews: work.Reviews, rights: access.Rights, space: work.space, answerTime: s.cfg.AnswerTime}
	s.runs.feeds = feeds{api: s.runs, open: map[string]*feed{}}
	s.people = &peopleAPI{server: s, tenant: cfg.Tenant, rooms: rooms, engine: work.Engine}
	s.alerts = &alertsAPI{tenant: cfg.Tenant, runs: rooms.Runs, intake: work.Intake}
	s.operate = &operateAPI{server: s, tenant: cfg.Tenant, rooms: rooms, work: work}
	s.guard = &guardAPI{tenant: cfg.Tenant, rooms: rooms}
	s.playbooks = &playbookAPI{books: work.Books, registry: work.Registry}
	s.plans = &plansAPI{
		tenant: cfg.Tenant, rights: access.Rights, launch: s.runs.mayLaunch, rehearse: work.Rehearsals, intake: work.Intake, rooms: rooms, turns: make(chan struct{}, plansAtOnce),
		backtests: make(chan struct{}, 1), answerTime: s.cfg.AnswerTime,
	}
	if err := s.build(); err != nil {
		return nil, err
	}
	return s, nil
}
