package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// Call asks for the run that a step of another run calls.
type Call struct {
	Parent, Step, Iteration string
	Generation              int
	// Playbook and Digest are as the caller's plan has them.
	Playbook, Digest string
	// Inputs is canonical JSON.
	Inputs []byte
}

// Called stores a called run with its own row, and returns its workflow's input.
// The same call again is the same run. It has the incident, trigger and severity
// of its caller, and the lower of the two modes; the caller starts it. A
// playbook that the caller's claim did not lock is ErrNotFound.
func (r *Runs) Called(tx *store.Tx, c Call) (run.Input, error) {
	id := run.CalledID(c.Playbook, c.Parent, c.Step, c.Iteration, c.Generation)
	claim, err := r.caller(tx, c)
	if err != nil {
		return run.Input{}, err
	}
	if _, err := r.insert(tx, id, run.OnceHash(c.Parent, c.Step, []byte(c.Iteration)), c.Generation, claim); err != nil {
		return run.Input{}, err
	}
	return r.inputFor(tx, id)
}

// caller makes the claim of a called run from its caller's row.
func (r *Runs) caller(tx *store.Tx, c Call) (Claim, error) {
	claim := Claim{Playbook: c.Playbook, Digest: c.Digest, Inputs: c.Inputs, parent: c.Parent, step: c.Step}
	var trigger, calls []byte
	err := tx.QueryRow(`SELECT tenant, mode, severity, incident, trigger_json, calls, depth FROM runs WHERE id = ?`, c.Parent).
		Scan(&claim.Tenant, &claim.Mode, &claim.Severity, &claim.Incident, &trigger, &calls, &claim.depth)
	if err != nil {
		return claim, missing("run "+c.Parent, err)
	}
	claim.depth, claim.called = claim.depth+1, calls
	var locked []Callee
	if len(calls) > 0 {
		if err := json.Unmarshal(calls, &locked); err != nil {
			return claim, fmt.Errorf("run %s: calls: %w", c.Parent, err)
		}
	}
	if err := json.Unmarshal(trigger, &claim.Trigger); err != nil {
		return claim, fmt.Errorf("run %s: trigger: %w", c.Parent, err)
	}
	for _, l := range locked {
		if l.Playbook != c.Playbook || l.Digest != c.Digest {
			continue
		}
		claim.Settings, claim.Bindings, claim.Calendars = l.Settings, l.Bindings, l.Calendars
		claim.Mode = string(guard.Lowest(guard.Mode(claim.Mode), guard.Mode(l.Mode)))
		err := tx.QueryRow(`SELECT plan FROM plans WHERE digest = ?`, c.Digest).Scan(&claim.Plan)
		return claim, missing("plan "+c.Digest, err)
	}
	return claim, fmt.Errorf("playbook %s, digest %s, for run %s: %w", c.Playbook, c.Digest, c.Parent, ErrNotFound)
}

// Family lists a run and all runs that it called, at whatever depth; of the run
// itself only the calls of those steps count, where steps are given.
func (r *Runs) Family(ctx context.Context, id string, steps []string) ([]string, error) {
	out, from := []string{id}, 0
	err := r.db.View(ctx, func(tx *store.Tx) error {
		out, from = []string{id}, 0
		for ; from < len(out); from++ {
			children, err := r.children(tx, out[from])
			if err != nil {
				return err
			}
			for _, c := range children {
				if from > 0 || len(steps) == 0 || slices.Contains(steps, c.step) {
					out = append(out, c.id)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("runs: calls of %s: %w", id, err)
	}
	return out, nil
}

type child struct{ id, step string }

func (r *Runs) children(tx *store.Tx, id string) ([]child, error) {
	rows, err := tx.Query(`SELECT id, parent_step FROM runs WHERE parent = ? ORDER BY created, id`, id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []child
	for rows.Next() {
		var c child
		if err := rows.Scan(&c.id, &c.step); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
