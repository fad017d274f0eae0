package serve

import (
	"context"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/backup"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// noteRestored is called before anything runs. After a restore it turns the kill
// switch on, puts that on record, and lets the dispatcher tell the engine again of
// runs and votes: the engine's copy is older than the store's, and knows what it
// has by its id. A start that dies in between does it again.
func noteRestored(ctx context.Context, cfg *config.Config, r *rooms) error {
	m, yes, err := backup.Pending(cfg.DataDir)
	if err != nil || !yes {
		return err
	}
	const actor = "system:restore"
	reason := "restored from the backup of " + m.Made.Format(time.RFC3339) + "; look at what the products did since, then lift"
	err = r.db.Update(ctx, func(tx *store.Tx) error {
		if err := guard.Kill(tx, true, actor, reason, time.Now()); err != nil {
			return err
		}
		for _, q := range []string{
			`UPDATE runs SET status = 'waiting' WHERE status = 'running' AND parent = ''`, // a child is started by its caller
			`UPDATE votes SET delivered = 0`,
			`UPDATE request_events SET delivered = 0`,
		} {
			if _, err := tx.Exec(q); err != nil {
				return err
			}
		}
		mark := "restored/" + m.Restored.Format(time.RFC3339Nano)
		_, _, err := r.ledger.AppendOnce(tx, mark, ledger.Row{Kind: "restored", Tenant: cfg.Tenant, Actor: actor},
			map[string]any{"made": m.Made, "version": m.Version, "restored": m.Restored})
		return err
	})
	if err != nil {
		return fmt.Errorf("take note of the restore: %w", err)
	}
	return backup.Noted(cfg.DataDir)
}
