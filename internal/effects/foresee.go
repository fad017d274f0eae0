package effects

import (
	"context"
	"fmt"
	"slices"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
)

// Foresight is what an admission would say of an effect now.
type Foresight struct {
	// Refusal is the guards' word against it; budgets are not in it.
	Refusal *guard.Refusal
	// Charges are what it would take of budgets.
	Charges []guard.Charge
	// HeldBy are the runs that hold the same on one of its targets.
	HeldBy []string
}

// Foresee asks the guards about an effect as an admission would, and stores
// nothing: no intent, no budget, no lock. That a person approved it, the caller
// says with Intent.Approval, which stands in no table. It is for previews.
func (e *Effects) Foresee(ctx context.Context, in Intent) (Foresight, error) {
	var out Foresight
	scope, err := scopeOf(in.Action, in.Inputs)
	if err != nil {
		return out, err
	}
	q := guard.Question{
		Key: in.Key.String(), Tenant: in.Key.Tenant, Action: in.Action.Name, Instance: in.Instance, Playbook: in.Playbook,
		Trigger: in.Trigger, Source: in.Source, Severity: in.Severity, Actor: in.Actor, Mode: in.Mode,
		Targets: in.Targets, Approved: in.Approval != "",
	}
	err = e.db.View(ctx, func(tx *store.Tx) error {
		now := e.now()
		out = Foresight{}
		var err error
		if out.Refusal, err = e.guard.Check(tx, now, q); err != nil {
			return err
		}
		if out.Charges, err = e.guard.Charges(tx, now, q); err != nil {
			return err
		}
		out.HeldBy, err = holding(tx, in, scope)
		return err
	})
	if err != nil {
		return Foresight{}, fmt.Errorf("effects: foresee %s: %w", in.Key, err)
	}
	return out, nil
}

// holding lists the runs that hold the same action on one of the targets.
func holding(tx *store.Tx, in Intent, scope string) ([]string, error) {
	var out []string
	for _, t := range in.Targets {
		rows, err := tx.Query(`SELECT DISTINCT e.run FROM effect_holders h JOIN effects e ON e.effect_key = h.effect_key
			WHERE h.tenant = ? AND h.instance = ? AND h.action = ? AND h.target = ? AND h.scope = ? ORDER BY e.run`,
			in.Key.Tenant, in.Instance, in.Action.Name, t.ID, scope)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var run string
			if err := rows.Scan(&run); err != nil {
				_ = rows.Close()
				return nil, err
			}
			if !slices.Contains(out, run) {
				out = append(out, run)
			}
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
