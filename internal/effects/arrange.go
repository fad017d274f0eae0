package effects

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
)

// Arrangement is how an effect without an inverse is taken back: the author's
// own action, with its inputs as they were just after the effect.
type Arrangement struct {
	Action, Instance string
	// Inputs is canonical JSON, Targets what they name.
	Inputs  json.RawMessage
	Targets []guard.Target
}

// Arrange keeps an arrangement beside an effect. The first counts; the same
// again changes nothing.
func (e *Effects) Arrange(ctx context.Context, key string, a Arrangement) error {
	targets, err := json.Marshal(append([]guard.Target{}, a.Targets...))
	if err != nil {
		return fmt.Errorf("effects: %w", err)
	}
	return e.db.Update(ctx, func(tx *store.Tx) error {
		of, err := get(tx, key)
		if err != nil {
			return err
		}
		if of == nil {
			return fmt.Errorf("%w: %s", ErrNotFound, key)
		}
		res, err := tx.Exec(`INSERT INTO effect_arranged (effect_key, action, instance, inputs, targets) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (effect_key) DO NOTHING`, key, a.Action, a.Instance, []byte(a.Inputs), targets)
		if err != nil {
			return fmt.Errorf("effects: arrange %s: %w", key, err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		_, err = e.note(tx, of, "undo.arranged", map[string]any{"action": a.Action, "instance": a.Instance, "inputs": a.Inputs})
		return err
	})
}

// Arranged returns the arrangement of an effect, or nil.
func (e *Effects) Arranged(ctx context.Context, key string) (*Arrangement, error) {
	var a *Arrangement
	err := e.db.View(ctx, func(tx *store.Tx) (err error) {
		a, err = arranged(tx, key)
		return err
	})
	return a, err
}

func arranged(tx *store.Tx, key string) (*Arrangement, error) {
	var a Arrangement
	var inputs, targets []byte
	err := tx.QueryRow(`SELECT action, instance, inputs, targets FROM effect_arranged WHERE effect_key = ?`, key).
		Scan(&a.Action, &a.Instance, &inputs, &targets)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("effects: arrangement of %s: %w", key, err)
	}
	a.Inputs = inputs
	return &a, json.Unmarshal(targets, &a.Targets)
}
