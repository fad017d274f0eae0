package effects

import (
	"context"
	"fmt"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// Observed is an effect that observe mode kept from happening, beside what became
// of its target.
type Observed struct {
	*Effect
	// Looked is when its target was last read, Present when the effect was first
	// seen there although Quell did not do it: somebody else did. Zero means never.
	Looked, Present time.Time
	// ByQuell is an effect of the same action on the same targets that a run did
	// later, in another mode; empty for none.
	ByQuell string
}

// Watchable reports whether reading the target tells if somebody brings the effect
// about: what can be read back surely, is a state and not an event, and was not so
// already. What observe mode made up is nowhere.
func (e *Effect) Watchable() bool {
	return e.Outcome == Simulated && e.ReadBack == string(spec.Strong) && e.reversible() && e.Found == string(spec.Absent)
}

// Watched lists simulated effects since a time whose targets shall be read (again):
// those that were not read since due, the longest ago first, at most limit.
func (e *Effects) Watched(ctx context.Context, since, due time.Time, limit int) ([]*Effect, error) {
	return e.query(ctx, `SELECT `+columns+` FROM effects LEFT JOIN (SELECT effect_key AS seen_key, looked, present FROM effect_seen) AS s ON seen_key = effect_key
		WHERE outcome = 'simulated' AND found = 'absent' AND read_back = 'strong' AND reversal IN ('exact', 'lossy') AND created > ?
		AND COALESCE(present, 0) = 0 AND COALESCE(looked, 0) < ?
		ORDER BY COALESCE(looked, 0), created, effect_key LIMIT ?`, since.UnixNano(), due.UnixNano(), limit)
}

// Looked stores that the target of a simulated effect was read, and whether the
// effect is there now. The first time that it is counts.
func (e *Effects) Looked(ctx context.Context, key string, present bool) error {
	now := e.now().UnixNano()
	there := int64(0)
	if present {
		there = now
	}
	return e.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO effect_seen (effect_key, looked, present) VALUES (?, ?, ?)
			ON CONFLICT (effect_key) DO UPDATE SET looked = excluded.looked,
				present = CASE WHEN effect_seen.present = 0 THEN excluded.present ELSE effect_seen.present END`, key, now, there)
		if err != nil {
			return fmt.Errorf("effects: looked at %s: %w", key, err)
		}
		return nil
	})
}

// Observations lists the effects that observe mode kept from happening since a
// time, of one playbook where it is not empty, the oldest first.
func (e *Effects) Observations(ctx context.Context, tenant, playbook string, since time.Time, limit int) ([]Observed, error) {
	where, args := `tenant = ? AND outcome = 'simulated' AND created > ?`, []any{tenant, since.UnixNano()}
	if playbook != "" {
		where, args = where+` AND playbook = ?`, append(args, playbook)
	}
	list, err := e.query(ctx, `SELECT `+columns+` FROM effects WHERE `+where+` ORDER BY created, effect_key LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, err
	}
	done, err := e.query(ctx, `SELECT `+columns+` FROM effects WHERE tenant = ? AND outcome IN ('done', 'partial') AND direction = ? AND created > ? ORDER BY created`,
		tenant, string(run.Do), since.UnixNano())
	if err != nil {
		return nil, err
	}
	out := make([]Observed, len(list))
	for i, ef := range list {
		out[i] = Observed{Effect: ef, ByQuell: after(ef, done)}
	}
	return out, e.seen(ctx, out)
}

// after finds the first of done that did later what ef would have done.
func after(ef *Effect, done []*Effect) string {
	for _, d := range done {
		if d.Created.After(ef.Created) && d.Instance == ef.Instance && d.Action == ef.Action && d.Scope == ef.Scope && len(ef.Targets) > 0 && all(d, ef) {
			return d.Key
		}
	}
	return ""
}

// all reports whether an effect reached every target of another.
func all(d, of *Effect) bool {
	reached := map[string]bool{}
	for _, t := range d.Targets {
		reached[t.ID] = true
	}
	for _, t := range of.Targets {
		if !reached[t.ID] {
			return false
		}
	}
	return true
}

// seen adds what reading the targets told.
func (e *Effects) seen(ctx context.Context, list []Observed) error {
	at := make(map[string]int, len(list))
	for i, o := range list {
		at[o.Key] = i
	}
	return e.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT effect_key, looked, present FROM effect_seen`)
		if err != nil {
			return fmt.Errorf("effects: what was seen: %w", err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var key string
			var looked, present int64
			if err := rows.Scan(&key, &looked, &present); err != nil {
				return fmt.Errorf("effects: what was seen: %w", err)
			}
			if i, ok := at[key]; ok {
				list[i].Looked, list[i].Present = nanos(looked), nanos(present)
			}
		}
		return rows.Err()
	})
}
