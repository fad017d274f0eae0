package effects

import (
	"context"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// standing are the effects that are there still: those that an undo lists.
const standing = `(direction = 'do' AND undone = '' AND (outcome IN ('done', 'partial')
	OR EXISTS (SELECT 1 FROM effect_holders h WHERE h.effect_key = effects.effect_key)))`

// Shed deletes what is stored of a run's effects, but for those that stand: of them
// stays what an undo needs, inputs, targets and the state before, and of those that
// nothing takes back the targets, so that an undo still lists them. It does
// nothing and returns false while one of them is open, in doubt or unknown.
func (e *Effects) Shed(tx *store.Tx, runID string) (bool, error) {
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM effects WHERE run = ? AND (state = 'open' OR (state = 'idle' AND doubt = 1) OR (outcome = 'unknown' AND resolved = ''))`,
		runID).Scan(&n); err != nil || n > 0 {
		return false, err
	}
	gone := `(SELECT effect_key FROM effects WHERE run = ? AND NOT ` + standing + `)`
	for _, q := range []string{
		`DELETE FROM effect_seen WHERE effect_key IN ` + gone,
		`DELETE FROM effect_arranged WHERE effect_key IN ` + gone,
		`DELETE FROM effects WHERE run = ? AND NOT ` + standing,
		`UPDATE effects SET output = NULL, refusal = NULL WHERE run = ?`,
	} {
		if _, err := tx.Exec(q, runID); err != nil {
			return false, fmt.Errorf("effects: shed %s: %w", runID, err)
		}
	}
	if _, err := tx.Exec(`UPDATE effects SET inputs = ?, prior = NULL WHERE run = ? AND reversal NOT IN ('exact', 'lossy')
		AND NOT EXISTS (SELECT 1 FROM effect_arranged a WHERE a.effect_key = effects.effect_key)`, []byte("{}"), runID); err != nil {
		return false, fmt.Errorf("effects: shed %s: %w", runID, err)
	}
	return true, nil
}

// TakenBack lists runs with an effect that was taken back before a time and is still
// stored, in their order, without so many of them. It looks through all effects.
func (e *Effects) TakenBack(ctx context.Context, before time.Time, skip, limit int) ([]string, error) {
	ids, err := e.db.Texts(ctx, `SELECT DISTINCT run FROM effects WHERE direction = 'undo' AND state = 'settled' AND settled < ? ORDER BY run LIMIT ? OFFSET ?`,
		before.UnixNano(), limit, skip)
	if err != nil {
		return nil, fmt.Errorf("effects: taken back: %w", err)
	}
	return ids, nil
}

// Forget deletes what Shed left of a run's effects, where nothing of it could be
// taken back any more. Where something could it deletes nothing and returns false:
// an undo finds it at any age.
func (e *Effects) Forget(tx *store.Tx, runID string) (bool, error) {
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM effects WHERE run = ? AND (state = 'open' OR (state = 'idle' AND doubt = 1) OR (outcome = 'unknown' AND resolved = '')
		OR `+standing+` AND (reversal IN ('exact', 'lossy')
			OR EXISTS (SELECT 1 FROM effect_holders h WHERE h.effect_key = effects.effect_key)
			OR EXISTS (SELECT 1 FROM effect_arranged a WHERE a.effect_key = effects.effect_key)))`, runID).Scan(&n); err != nil || n > 0 {
		return false, err
	}
	for _, q := range []string{
		`DELETE FROM effect_seen WHERE effect_key IN (SELECT effect_key FROM effects WHERE run = ?)`,
		`DELETE FROM effect_arranged WHERE effect_key IN (SELECT effect_key FROM effects WHERE run = ?)`,
		`DELETE FROM effects WHERE run = ?`,
	} {
		if _, err := tx.Exec(q, runID); err != nil {
			return false, fmt.Errorf("effects: forget %s: %w", runID, err)
		}
	}
	return true, nil
}
