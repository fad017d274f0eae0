package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// Decision is what a person decides about a playbook, apart from its content.
type Decision struct {
	Playbook string
	// Digest, where set, is the version that the person looked at: with another
	// one current the decision is ErrMoved.
	Digest string
	// Actor decides, and Why goes on record. Request is the API request.
	Actor, Why, Request string
}

// Promote sets the mode of a playbook: observe, ask or act. The content stays
// what it is. Raising and lowering are the same here; who may do which is the
// caller's matter. Saying it twice writes two entries and changes nothing.
func (r *Registry) Promote(ctx context.Context, d Decision, mode guard.Mode) (Entry, error) {
	return r.decide(ctx, d, "playbook.promoted", func(tx *store.Tx, e Entry) (map[string]any, error) {
		_, err := tx.Exec(`UPDATE registry_playbooks SET mode = ?, mode_by = ?, mode_at = ? WHERE tenant = ? AND playbook = ?`,
			string(mode), d.Actor, r.now().UnixNano(), r.tenant, d.Playbook)
		return map[string]any{"mode": mode, "before": e.Mode}, err
	})
}

// Retire lets no new run of a playbook start; runs under way go on. Publishing
// the playbook again through the API ends it; what its source offers does not.
func (r *Registry) Retire(ctx context.Context, d Decision) (Entry, error) {
	return r.decide(ctx, d, "playbook.retired", func(tx *store.Tx, _ Entry) (map[string]any, error) {
		_, err := tx.Exec(`UPDATE registry_playbooks SET retired = ?, retired_by = ?, retired_why = ? WHERE tenant = ? AND playbook = ?`,
			r.now().UnixNano(), d.Actor, d.Why, r.tenant, d.Playbook)
		return map[string]any{}, err
	})
}

// decide changes one playbook and puts it on record, in one transaction.
func (r *Registry) decide(ctx context.Context, d Decision, kind string, change func(*store.Tx, Entry) (map[string]any, error)) (Entry, error) {
	err := r.db.Update(ctx, func(tx *store.Tx) error {
		var e Entry
		var mode string
		err := tx.QueryRow(`SELECT digest, mode FROM registry_playbooks WHERE tenant = ? AND playbook = ?`+tx.ForUpdate(), r.tenant, d.Playbook).
			Scan(&e.Current.Digest, &mode)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: %s", ErrUnknown, d.Playbook)
		}
		if err != nil {
			return err
		}
		if e.Mode = guard.Mode(mode); d.Digest != "" && d.Digest != e.Current.Digest {
			return ErrMoved
		}
		data, err := change(tx, e)
		if err != nil {
			return err
		}
		data["playbook"], data["digest"], data["reason"] = d.Playbook, e.Current.Digest, d.Why
		row := ledger.Row{Kind: kind, Tenant: r.tenant, Key: e.Current.Digest, Actor: d.Actor, Ref: d.Request}
		if _, err := r.ledger.Append(tx, row, data); err != nil {
			return err
		}
		return r.changed(tx)
	})
	if err != nil {
		return Entry{}, err
	}
	return r.Get(ctx, d.Playbook)
}
