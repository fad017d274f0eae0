package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// ErrEnded says that a run is over and hears no verb.
var ErrEnded = errors.New("the run has ended")

// ErrVerb says that there is no such verb, or that it lacks what it needs.
var ErrVerb = errors.New("no such verb")

// PutVerb stores a verb in the caller's transaction, which writes the ledger
// entry too, and returns its number. The dispatcher tells the run of it.
func (r *Runs) PutVerb(tx *store.Tx, id string, v run.Verb) (int64, error) {
	if err := sensible(v); err != nil {
		return 0, err
	}
	var status Status
	err := tx.QueryRow(`SELECT status FROM runs WHERE id = ?`+tx.ForUpdate(), id).Scan(&status)
	if err != nil {
		return 0, missing("run "+id, err)
	}
	if status == Ended {
		return 0, fmt.Errorf("run %s: %w", id, ErrEnded)
	}
	if err := tx.QueryRow(`SELECT COUNT(*) + 1 FROM verbs WHERE run = ?`, id).Scan(&v.N); err != nil {
		return 0, fmt.Errorf("run %s: verb: %w", id, err)
	}
	v.At = r.now().UTC()
	raw, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("run %s: verb: %w", id, err)
	}
	if _, err := tx.Exec(`INSERT INTO verbs (run, seq, body, told, answer) VALUES (?, ?, ?, 0, '')`, id, v.N, raw); err != nil {
		return 0, fmt.Errorf("run %s: verb: %w", id, err)
	}
	return v.N, nil
}

func sensible(v run.Verb) error {
	switch {
	case !slices.Contains(run.Verbs(), v.Verb):
		return fmt.Errorf("%w: %q", ErrVerb, v.Verb)
	case (v.Verb == run.RetryStep || v.Verb == run.SkipStep) && v.Step == "":
		return fmt.Errorf("%w: %s needs a step", ErrVerb, v.Verb)
	case v.Verb == run.HandOver && len(v.To) == 0:
		return fmt.Errorf("%w: %s needs whom to", ErrVerb, v.Verb)
	}
	return nil
}

// Said is a stored verb and what the run answered; empty while it has not.
type Said struct {
	run.Verb
	Run, Answer string
}

// VerbsAfter lists the verbs of a run after the one numbered after.
func (r *Runs) VerbsAfter(ctx context.Context, id string, after int64) ([]Said, error) {
	return r.said(ctx, `SELECT run, body, answer FROM verbs WHERE run = ? AND seq > ? ORDER BY seq LIMIT 64`, id, after)
}

// VerbsToTell lists the verbs that runs were not told of, the oldest of each run
// first. Those of runs that wait to be started wait with them.
func (r *Runs) VerbsToTell(ctx context.Context) ([]Said, error) {
	return r.said(ctx, `SELECT v.run, v.body, v.answer FROM verbs v JOIN runs r ON r.id = v.run
		WHERE v.told = 0 AND r.status <> 'waiting' ORDER BY v.run, v.seq LIMIT 256`)
}

func (r *Runs) said(ctx context.Context, q string, args ...any) ([]Said, error) {
	var out []Said
	err := r.db.View(ctx, func(tx *store.Tx) error {
		out = nil
		rows, err := tx.Query(q, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var s Said
			var raw []byte
			if err := rows.Scan(&s.Run, &raw, &s.Answer); err != nil {
				return err
			}
			if err := json.Unmarshal(raw, &s.Verb); err != nil {
				return err
			}
			out = append(out, s)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("runs: verbs: %w", err)
	}
	return out, nil
}

// VerbTold records that a run was told of a verb. Again changes nothing.
func (r *Runs) VerbTold(ctx context.Context, id string, n int64) error {
	return r.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE verbs SET told = 1 WHERE run = ? AND seq = ?`, id, n)
		return err
	})
}

// AnswerVerb stores what the run made of a verb. first is false where it has
// answered before.
func (r *Runs) AnswerVerb(tx *store.Tx, id string, n int64, answer string) (first bool, err error) {
	res, err := tx.Exec(`UPDATE verbs SET answer = ?, told = 1 WHERE run = ? AND seq = ? AND answer = ''`, answer, id, n)
	if err != nil {
		return false, fmt.Errorf("run %s: verb %d: %w", id, n, err)
	}
	rows, err := res.RowsAffected()
	return rows > 0, err
}
