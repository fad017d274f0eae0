package runs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

const columns = `id, tenant, playbook, digest, generation, status, mode, severity, incident, trigger_json, inputs,
	closing, reason, result, created, started, ended, parent`

type scanner interface{ Scan(...any) error }

func scan(s scanner) (Record, error) {
	var rec Record
	var trigger, inputs, result []byte
	var created, started, ended int64
	err := s.Scan(&rec.ID, &rec.Tenant, &rec.Playbook, &rec.Digest, &rec.Generation, &rec.Status, &rec.Mode, &rec.Severity,
		&rec.Incident, &trigger, &inputs, &rec.Closing, &rec.Reason, &result, &created, &started, &ended, &rec.Parent)
	if err != nil {
		return rec, err
	}
	rec.Inputs, rec.Result = inputs, result
	rec.Created, rec.Started, rec.Ended = fromNanos(created), fromNanos(started), fromNanos(ended)
	if err := json.Unmarshal(trigger, &rec.Trigger); err != nil {
		return rec, fmt.Errorf("run %s: trigger: %w", rec.ID, err)
	}
	return rec, nil
}

// Unstarted lists runs that wait for the dispatcher: the gravest first, and
// within one severity by turns between the sources, so that a flood from one
// source does not hold up the others. Runs that use one of the connector instances
// in but are left out.
func (r *Runs) Unstarted(ctx context.Context, limit int, but ...string) ([]Record, error) {
	if len(but) > 0 {
		return r.unstartedBut(ctx, limit, but)
	}
	// The whole rows of those only that are wanted: thousands may wait.
	return r.query(ctx, `SELECT `+columns+` FROM runs JOIN (
			SELECT id AS wanted, turn FROM (`+turns+`) AS w
			ORDER BY severity_rank DESC, turn, created, id LIMIT ?) AS n ON n.wanted = runs.id
		ORDER BY severity_rank DESC, turn, created, id`, limit)
}

// turns gives each run that waits its turn among those of its severity and source.
const turns = `SELECT id, severity_rank, created, bindings, ROW_NUMBER() OVER (PARTITION BY severity_rank, source ORDER BY created, id) AS turn
	FROM runs WHERE status = 'waiting'`

// unstartedBut looks through the queue for runs that do without some instances.
func (r *Runs) unstartedBut(ctx context.Context, limit int, but []string) ([]Record, error) {
	var out []Record
	err := r.db.View(ctx, func(tx *store.Tx) error {
		out = nil
		ids, err := without(tx, limit, but)
		if err != nil {
			return err
		}
		for _, id := range ids {
			rec, err := scan(tx.QueryRow(`SELECT `+columns+` FROM runs WHERE id = ?`, id))
			if err != nil {
				return err
			}
			out = append(out, rec)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	return out, nil
}

// without lists the first runs of the queue that use none of the instances.
func without(tx *store.Tx, limit int, but []string) (ids []string, err error) {
	rows, err := tx.Query(`SELECT id, bindings FROM (` + turns + `) AS w ORDER BY severity_rank DESC, turn, created, id`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for len(ids) < limit && rows.Next() {
		var id string
		var raw []byte
		var bindings []run.Binding
		if err := rows.Scan(&id, &raw); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &bindings); err != nil {
			return nil, fmt.Errorf("run %s: bindings: %w", id, err)
		}
		if !slices.ContainsFunc(bindings, func(b run.Binding) bool { return slices.Contains(but, b.Instance) }) {
			ids = append(ids, id)
		}
	}
	return ids, rows.Err()
}

func (r *Runs) query(ctx context.Context, q string, args ...any) ([]Record, error) {
	var out []Record
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(q, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			rec, err := scan(rows)
			if err != nil {
				return err
			}
			out = append(out, rec)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	return out, nil
}

// Backlog counts the runs that wait.
func (r *Runs) Backlog(ctx context.Context) (int, error) {
	var n int
	err := r.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM runs WHERE status = 'waiting'`).Scan(&n)
	})
	return n, err
}

// MarkStarted records that the workflow was started. Doing it again, or after
// the end, changes nothing.
func (r *Runs) MarkStarted(ctx context.Context, id string) error {
	return r.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE runs SET status = 'running', started = ? WHERE id = ? AND status = 'waiting'`, r.now().UnixNano(), id)
		return err
	})
}

// MarkEnded records how a run ended. The first end counts; later ones change
// nothing.
func (r *Runs) MarkEnded(ctx context.Context, id, closing, reason string, result json.RawMessage) error {
	return r.db.Update(ctx, func(tx *store.Tx) error {
		_, err := r.End(tx, id, closing, reason, result)
		return err
	})
}

// End is MarkEnded within the caller's transaction. first tells whether this
// was the end that counts.
func (r *Runs) End(tx *store.Tx, id, closing, reason string, result json.RawMessage) (first bool, err error) {
	res, err := tx.Exec(`UPDATE runs SET status = 'ended', closing = ?, reason = ?, result = ?, ended = ? WHERE id = ? AND status <> 'ended'`,
		closing, reason, []byte(result), r.now().UnixNano(), id)
	if err != nil {
		return false, fmt.Errorf("end %s: %w", id, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("end %s: %w", id, err)
	}
	if n > 0 {
		return true, nil
	}
	var status string
	return false, missing(id, tx.QueryRow(`SELECT status FROM runs WHERE id = ?`, id).Scan(&status))
}

// missing turns "no row" into ErrNotFound with a name.
func missing(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Get returns one run.
func (r *Runs) Get(ctx context.Context, id string) (Record, error) {
	var rec Record
	err := r.db.View(ctx, func(tx *store.Tx) error {
		var err error
		rec, err = scan(tx.QueryRow(`SELECT `+columns+` FROM runs WHERE id = ?`, id))
		return missing("run "+id, err)
	})
	return rec, err
}

// Over reports whether a run came to its end at least some time ago, or is not there
// any more.
func (r *Runs) Over(ctx context.Context, id string, ago time.Duration) (bool, error) {
	rec, err := r.Get(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return rec.Status == Ended && r.now().Sub(rec.Ended) >= ago, err
}

// List returns a page, newest first, and the cursor of the next page, empty on
// the last.
func (r *Runs) List(ctx context.Context, f Filter) ([]Record, string, error) {
	where, args, err := f.where()
	if err != nil {
		return nil, "", err
	}
	recs, err := r.query(ctx, listQuery(where), append(args, f.Limit+1)...)
	if err != nil || len(recs) <= f.Limit {
		return recs, "", err
	}
	recs = recs[:f.Limit]
	last := recs[f.Limit-1]
	return recs, store.Cursor(last.Created.UnixNano(), last.ID), nil
}

// where are the conditions of a filter. A column that is not the one to search by
// is put into a COALESCE: without statistics a database knows not better than to
// take any of the indexes, and would read all runs that ended to find those of one
// incident.
func (f Filter) where() (where []string, args []any, err error) {
	where, args = []string{"tenant = ?"}, []any{f.Tenant}
	add := func(column, value string, search bool) {
		switch {
		case value == "":
			return
		case search:
			where = append(where, column+" = ?")
		default:
			where = append(where, "COALESCE("+column+", '') = ?")
		}
		args = append(args, value)
	}
	add("incident", f.Incident, true)
	add("playbook", f.Playbook, f.Incident == "")
	add("closing", f.Closing, f.Incident == "")
	// Only what ended has a closing: there the status tells nothing more.
	add("status", string(f.Status), f.Incident == "" && f.Closing == "")
	if f.Cursor != "" {
		at, id, err := store.ReadCursor(f.Cursor)
		if err != nil {
			return nil, nil, err
		}
		// As one comparison: of two joined by OR no index begins at the cursor.
		where, args = append(where, "(created, id) < (?, ?)"), append(args, at, id)
	}
	return where, args, nil
}

func listQuery(where []string) string {
	return `SELECT ` + columns + ` FROM runs WHERE ` + strings.Join(where, " AND ") + ` ORDER BY created DESC, id DESC LIMIT ?`
}

// Plan returns a plan's canonical bytes.
func (r *Runs) Plan(ctx context.Context, digest string) ([]byte, error) {
	var raw []byte
	err := r.db.View(ctx, func(tx *store.Tx) error {
		return missing("plan "+digest, tx.QueryRow(`SELECT plan FROM plans WHERE digest = ?`, digest).Scan(&raw))
	})
	return raw, err
}

// InputFor builds the workflow's input of a run: the same at every call.
func (r *Runs) InputFor(ctx context.Context, id string) (run.Input, error) {
	var in run.Input
	err := r.db.View(ctx, func(tx *store.Tx) (err error) {
		in, err = r.inputFor(tx, id)
		return err
	})
	return in, err
}

func (r *Runs) inputFor(tx *store.Tx, id string) (run.Input, error) {
	in := run.Input{ABI: run.ABI, Run: id}
	var trigger, inputs, settings, bindings, plan, calendars []byte
	err := missing("run "+id, tx.QueryRow(`SELECT r.tenant, r.playbook, r.digest, r.incident, r.mode, r.trigger_json, r.inputs, r.settings, r.bindings, p.plan,
				r.calendars, r.parent, r.depth
			FROM runs r JOIN plans p ON p.digest = r.digest WHERE r.id = ?`, id).
		Scan(&in.Tenant, &in.Playbook, &in.Digest, &in.Incident, &in.Mode, &trigger, &inputs, &settings, &bindings, &plan,
			&calendars, &in.Parent, &in.Depth))
	if err != nil {
		return in, err
	}
	in.Inputs, in.Settings = inputs, settings
	if len(plan) <= run.MaxInlinePlan {
		in.Plan = plan
	}
	if err := json.Unmarshal(trigger, &in.Trigger); err != nil {
		return in, fmt.Errorf("run %s: trigger: %w", id, err)
	}
	if err := json.Unmarshal(bindings, &in.Bindings); err != nil {
		return in, fmt.Errorf("run %s: bindings: %w", id, err)
	}
	if len(calendars) > 0 {
		if err := json.Unmarshal(calendars, &in.Calendars); err != nil {
			return in, fmt.Errorf("run %s: calendars: %w", id, err)
		}
	}
	return in, nil
}
