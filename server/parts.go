package server

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
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

// Connectors knows the configured connector instances.
type Connectors interface {
	List(ctx context.Context) ([]api.Connector, error)
	// Check asks an instance whether its credential and network are good. An
	// unknown instance is an *api.Error of CodeNotFound.
	Check(ctx context.Context, instance string) (api.Connector, error)
	// Ready says why connectors that playbooks need cannot be called, or nil.
	Ready(ctx context.Context) error
}

// Effects tells what a run did to the world.
type Effects interface {
	// OfRun lists the effects of a run in the order of their intents.
	OfRun(ctx context.Context, tenant, run string) ([]api.Effect, error)
}

// Approvals keeps requests to people and their votes.
type Approvals interface {
	// List returns requests, the oldest first: the open ones, or with all those
	// that were closed too. run narrows it where it is not empty.
	List(ctx context.Context, tenant, run string, all bool) ([]api.Approval, error)
	// Get returns one request; its error wraps runs.ErrNotFound or is an
	// *api.Error where there is none.
	Get(ctx context.Context, tenant, id string) (api.Approval, error)
	// Vote stores a vote with its ledger entry. It decides who may vote: the
	// requester never, others by the request's chain. A refusal is an *api.Error.
	Vote(ctx context.Context, b Ballot) error
}

// Ballot is one person's word on a request.
type Ballot struct {
	Tenant, Request string
	Actor           string
	// Names are the actor's roles and duties, as chains name them.
	Names []string
	// Approve is false for a denial.
	Approve bool
	// Seal is what the actor saw; empty where the request has none.
	Seal string
	// Answer is the canonical answer to a question or a failure.
	Answer []byte
	Reason string
	// Ref is the API request's id.
	Ref string
}

// Rooms are where things are kept.
type Rooms struct {
	DB        *store.DB
	Runs      *runs.Runs
	Effects   Effects
	Approvals Approvals
	Ledger    *ledger.Ledger
}

// Work is who does what the API asks for.
type Work struct {
	Engine     Engine
	Books      Books
	Connectors Connectors
	Intake     *intake.Intake
}

// New builds the API. It fails where the route table is not sound.
func New(cfg Config, access Access, rooms Rooms, work Work, log zerolog.Logger) (*Server, error) {
	s := &Server{cfg: cfg.withDefaults(), access: access, log: log}
	s.refusals = &refusals{rooms: rooms, tenant: cfg.Tenant, now: time.Now}
	s.runs = &runsAPI{tenant: cfg.Tenant, rooms: rooms, engine: work.Engine, books: work.Books, answerTime: s.cfg.AnswerTime}
	s.people = &peopleAPI{tenant: cfg.Tenant, approvals: rooms.Approvals, engine: work.Engine}
	s.alerts = &alertsAPI{tenant: cfg.Tenant, runs: rooms.Runs, intake: work.Intake}
	s.operate = &operateAPI{server: s, tenant: cfg.Tenant, rooms: rooms, work: work}
	m, err := s.mux()
	if err != nil {
		return nil, err
	}
	s.handler = m
	return s, nil
}
