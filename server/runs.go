package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/dispatch"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// runsAPI answers for runs.
type runsAPI struct {
	tenant     string
	rooms      Rooms
	engine     Engine
	books      Books
	reviews    Reviews
	rights     *auth.Rights
	space      func() error
	answerTime time.Duration
	feeds      feeds
}

// modes lists the modes, the lowest first.
var modes = []string{"observe", "ask", "act"}

// start launches a playbook by hand.
func (a *runsAPI) start(c *call, req *startIn) (*reply[api.Started], error) {
	in := req.Body
	book, ok := a.books.Playbook(in.Playbook)
	if !ok {
		return nil, api.Problem(api.CodeNotFound, fmt.Sprintf("there is no active playbook %q; quell playbook list shows them", shorten(in.Playbook)))
	}
	if err := a.mayLaunch(book, c.actor); err != nil {
		return nil, err
	}
	if err := a.space(); err != nil {
		return nil, err
	}
	claim, err := a.claim(book, req, c)
	if err != nil {
		return nil, err
	}
	var got runs.Claimed
	err = a.rooms.DB.Update(c.Context(), func(tx *store.Tx) error {
		var err error
		if got, err = a.rooms.Runs.Claim(tx, claim); err != nil || !got.New {
			return err
		}
		return a.rooms.note(tx, note{
			kind: "run.requested", tenant: a.tenant, actor: c.actor.Name, run: got.ID, request: c.id,
			data: map[string]any{
				"playbook": in.Playbook, "digest": book.Digest, "inputs": json.RawMessage(claim.Inputs),
				"mode": claim.Mode, "reason": in.Reason,
			},
		})
	})
	if err != nil {
		return nil, err
	}
	a.engine.Nudge()
	return status(http.StatusAccepted, api.Started{Run: got.ID, Repeated: got.Repeated})
}

// mayLaunch holds on.manual.roles and the installation's rights against the
// actor's roles.
func (a *runsAPI) mayLaunch(b intake.Loaded, who auth.Actor) error {
	m := b.Plan.Triggers.Manual
	if m == nil {
		return api.Problem(api.CodeForbidden, fmt.Sprintf("the playbook %s has no on.manual: nobody launches it by hand", b.Plan.Playbook))
	}
	if len(m.Roles) > 0 && !who.Has(m.Roles) && !who.Can(auth.Admin) {
		return api.Problem(api.CodeForbidden, fmt.Sprintf("the playbook %s may be launched by %s; %s is none of these",
			b.Plan.Playbook, strings.Join(m.Roles, ", "), who.Name))
	}
	if !a.rights.MayLaunch(who, b.Plan.Playbook) {
		return api.Problem(api.CodeForbidden, fmt.Sprintf("access.playbooks of the configuration does not let %s launch %s", who.Name, b.Plan.Playbook))
	}
	return nil
}

func (a *runsAPI) claim(b intake.Loaded, req *startIn, c *call) (runs.Claim, error) {
	in, key := req.Body, c.Header.Get(api.HeaderIdempotency)
	if len(key) > 200 || len(in.Incident) > 200 || strings.ContainsFunc(in.Incident, unicode.IsControl) {
		return runs.Claim{}, invalid("idempotency key and incident have at most 200 characters, none of them control characters")
	}
	if len(in.Reason) > 2000 {
		return runs.Claim{}, invalid("the reason is longer than 2000 bytes")
	}
	mode := b.Mode
	if in.Mode != "" {
		want, have := slices.Index(modes, in.Mode), slices.Index(modes, b.Mode)
		if want < 0 {
			return runs.Claim{}, invalid("mode %q is not one of observe, ask, act", shorten(in.Mode))
		}
		if want > have {
			return runs.Claim{}, api.Problem(api.CodeDenied, fmt.Sprintf("the mode here is %s; a run may lower it, not raise it", b.Mode))
		}
		mode = in.Mode
	}
	if in.Severity != "" && kind.Of(kind.Severity).Rank(in.Severity) < 0 {
		return runs.Claim{}, invalid("severity %q is not one of info, low, medium, high, critical", shorten(in.Severity))
	}
	inputs, err := readInputs(b.Plan, in.Inputs)
	if err != nil {
		return runs.Claim{}, err
	}
	settings := b.Settings
	if settings == nil {
		settings = map[string]any{}
	}
	raw, err := kind.Canonical(settings)
	if err != nil {
		return runs.Claim{}, fmt.Errorf("settings of %s: %w", b.Plan.Playbook, err)
	}
	return runs.Claim{
		Tenant: a.tenant, Playbook: b.Plan.Playbook, Digest: b.Digest, Plan: b.Raw, Key: key, Inputs: inputs, Settings: raw,
		Bindings: b.Bindings, Mode: mode, Severity: in.Severity, Incident: in.Incident, Calendars: b.Calendars, Calls: b.Calls,
		Trigger: run.Trigger{Kind: "manual", Actor: c.actor.Name, Severity: in.Severity},
	}, nil
}

func (a *runsAPI) list(c *call, in *listRunsIn) (*reply[api.Runs], error) {
	recs, next, err := a.rooms.Runs.List(c.Context(), runs.Filter{
		Tenant: a.tenant, Playbook: in.Playbook, Status: runs.Status(in.Status), Closing: in.Closing,
		Incident: in.Incident, Limit: in.limit(), Cursor: in.Cursor,
	})
	if err != nil {
		return nil, err
	}
	out := api.Runs{Runs: make([]api.Run, len(recs)), Next: next}
	for i, r := range recs {
		out.Runs[i] = runOf(r)
	}
	return ok(out)
}

// get returns a run of this tenant.
func (a *runsAPI) get(ctx context.Context, id string) (runs.Record, error) {
	rec, err := a.rooms.Runs.Get(ctx, id)
	if err == nil && rec.Tenant != a.tenant {
		err = fmt.Errorf("run %s: %w", id, runs.ErrNotFound)
	}
	if errors.Is(err, runs.ErrNotFound) {
		if gone, base := a.rooms.Ledger.Base(ctx); base == nil && gone.Seq > 0 {
			err = fmt.Errorf("%w; what ended before %s left the store: quell audit list --export reads it from where retention.export wrote it", err, gone.Until.Format(time.DateOnly))
		}
	}
	return rec, err
}

func runOf(r runs.Record) api.Run {
	return api.Run{
		ID: r.ID, Playbook: r.Playbook, Digest: r.Digest, Status: api.RunStatus(r.Status), Mode: r.Mode, Severity: r.Severity,
		Incident: r.Incident, Trigger: r.Trigger, Closing: r.Closing, Reason: r.Reason, Created: r.Created, Started: r.Started, Ended: r.Ended,
	}
}

// show puts together what the rooms and the engine know of a run. What the
// engine cannot tell just now is said, and takes nothing from the rest.
func (a *runsAPI) show(c *call, in *OfRun) (*reply[api.RunDetail], error) {
	rec, err := a.get(c.Context(), in.run())
	if err != nil {
		return nil, err
	}
	out := api.RunDetail{Run: runOf(rec), Inputs: rec.Inputs}
	out.Tree, out.Outputs, err = a.tree(c.Context(), rec)
	if err != nil {
		out.TreeError = "the engine cannot tell how the run goes; the record below is complete"
	}
	if out.Alerts, err = a.rooms.Runs.AlertsOf(c.Context(), rec.ID); err != nil {
		return nil, err
	}
	// A run's entries are part of the run; the scope audit is about the ledger
	// as a whole.
	if out.Entries, err = a.rooms.entriesOf(c.Context(), rec.ID, 0, maxEntries); err != nil {
		return nil, err
	}
	if out.Effects, err = a.rooms.effectsOf(c.Context(), rec.ID); err != nil {
		return nil, err
	}
	out.Approvals, _, err = a.rooms.requests(c.Context(), a.tenant, approval.Filter{Run: rec.ID, All: true})
	if err != nil {
		return nil, err
	}
	return ok(out)
}

// maxEntries bounds the ledger entries of one answer about a run.
const maxEntries = 1000

// tree asks the engine for a live run and reads the stored result of an ended
// one.
func (a *runsAPI) tree(ctx context.Context, rec runs.Record) (*run.Progress, json.RawMessage, error) {
	switch rec.Status {
	case runs.Running:
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		p, err := a.engine.Progress(ctx, rec.ID)
		if err != nil {
			return nil, nil, err
		}
		return &p, nil, nil
	case runs.Ended:
		if len(rec.Result) == 0 {
			return nil, nil, nil
		}
		var res run.Result
		if err := json.Unmarshal(rec.Result, &res); err != nil {
			return nil, nil, fmt.Errorf("result of %s: %w", rec.ID, err)
		}
		return &res.Tree, res.Outputs, nil
	}
	return nil, nil, nil
}

// undo records who wants what taken back, then starts it.
func (a *runsAPI) undo(c *call, req *undoIn) (*reply[api.Undo], error) {
	in := req.Body
	rec, err := a.get(c.Context(), req.run())
	if err != nil {
		return nil, err
	}
	if err := needReason(in.Reason); err != nil {
		return nil, err
	}
	if err := a.rooms.write(c.Context(), note{
		kind: "undo.requested", tenant: a.tenant, actor: c.actor.Name, run: rec.ID, request: c.id,
		data: map[string]any{"steps": in.Steps, "reason": in.Reason},
	}); err != nil {
		return nil, err
	}
	id, err := a.engine.Undo(c.Context(), run.UndoInput{
		Tenant: a.tenant, Run: rec.ID, Steps: in.Steps, Actor: c.actor.Name, Reason: in.Reason,
	})
	if err != nil {
		return nil, err
	}
	return status(http.StatusAccepted, api.Undo{ID: id})
}

func needReason(s string) error {
	if strings.TrimSpace(s) == "" || len(s) > 2000 {
		return invalid("a reason of 1 to 2000 bytes is needed; it stands in the record")
	}
	return nil
}

func (a *runsAPI) undoResult(c *call, in *undoResultIn) (*reply[api.Undo], error) {
	rec, err := a.get(c.Context(), in.run())
	if err != nil {
		return nil, err
	}
	id := run.UndoID(rec.ID, in.N)
	res, isDone, err := a.engine.UndoResult(c.Context(), id)
	if errors.Is(err, dispatch.ErrNotFound) {
		return nil, api.Problem(api.CodeNotFound, "the engine does not know this undo; the run's effects tell what was taken back")
	}
	if err != nil {
		return nil, err
	}
	return ok(api.Undo{ID: id, Done: isDone, Result: &res})
}

// cancel stops a run that goes on.
func (a *runsAPI) cancel(c *call, req *cancelIn) (*reply[api.Started], error) {
	in := req.Body
	rec, err := a.get(c.Context(), req.run())
	if err != nil {
		return nil, err
	}
	if err := needReason(in.Reason); err != nil {
		return nil, err
	}
	switch rec.Status {
	case runs.Ended:
		return nil, api.Problem(api.CodeConflict, fmt.Sprintf("run %s ended %s (%s)", rec.ID, rec.Ended.Format(time.RFC3339), rec.Closing))
	case runs.Waiting:
		return nil, api.Problem(api.CodeConflict, fmt.Sprintf("run %s has not begun; try again in a moment", rec.ID))
	}
	if err := a.rooms.write(c.Context(), note{
		kind: "run.cancel_requested", tenant: a.tenant, actor: c.actor.Name, run: rec.ID, request: c.id, data: map[string]any{"reason": in.Reason},
	}); err != nil {
		return nil, err
	}
	if err := a.engine.Cancel(c.Context(), rec.ID, c.actor.Name, in.Reason); errors.Is(err, dispatch.ErrNotFound) {
		return nil, api.Problem(api.CodeConflict, fmt.Sprintf("the engine no longer runs %s", rec.ID))
	} else if err != nil {
		return nil, err
	}
	return status(http.StatusAccepted, api.Started{Run: rec.ID})
}
