package guard

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Schema makes the guard's tables.
func Schema() store.Schema {
	return store.Schema{Name: "guard", Steps: []string{
		`CREATE TABLE guard_kill (id BIGINT PRIMARY KEY, active BIGINT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, at BIGINT NOT NULL)`,
		`INSERT INTO guard_kill (id, active, actor, reason, at) VALUES (1, 0, '', '', 0)`,
		`CREATE TABLE guard_spent (
			tenant TEXT NOT NULL, budget TEXT NOT NULL, effect_key TEXT NOT NULL, targets BIGINT NOT NULL, at BIGINT NOT NULL,
			PRIMARY KEY (tenant, budget, effect_key))`,
		`CREATE INDEX guard_spent_at ON guard_spent (tenant, budget, at)`,
		`CREATE INDEX guard_spent_key ON guard_spent (effect_key)`,
	}}
}

// Switch is how the kill switch stands.
type Switch struct {
	On            bool
	Actor, Reason string
	// At is when it was last turned; zero means never.
	At time.Time
}

// Killed tells whether the kill switch is on, and why.
func Killed(tx *store.Tx) (on bool, reason string, err error) {
	var n int64
	err = tx.QueryRow(`SELECT active, reason FROM guard_kill WHERE id = 1`).Scan(&n, &reason)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, "", fmt.Errorf("guard: read the kill switch: %w", err)
	}
	return n != 0, reason, nil
}

// KillSwitch tells how the kill switch stands.
func KillSwitch(tx *store.Tx) (Switch, error) {
	var s Switch
	var n, at int64
	err := tx.QueryRow(`SELECT active, actor, reason, at FROM guard_kill WHERE id = 1`).Scan(&n, &s.Actor, &s.Reason, &at)
	if err != nil {
		return s, fmt.Errorf("guard: read the kill switch: %w", err)
	}
	if s.On = n != 0; at != 0 {
		s.At = time.Unix(0, at).UTC()
	}
	return s, nil
}

// PutOff returns why an inverse that no person asked for waits, or nil. Like
// Check it is called in the transaction that would admit it.
func (g *Guard) PutOff(tx *store.Tx) (*Refusal, error) {
	on, reason, err := holdSwitch(tx)
	if err != nil || !on {
		return nil, err
	}
	return &Refusal{Rule: "kill_switch", Reason: "the kill switch is on: " + reason + "; what is held stays so until a person releases it or the switch is lifted"}, nil
}

// theSwitch is what admissions have together and whoever turns the switch alone.
const theSwitch = "guard.kill"

// holdSwitch reads the switch and keeps it as it is until the transaction ends:
// whoever turns it waits for admissions under way, and admissions that come later
// wait for them. Once it is turned, no intent follows.
func holdSwitch(tx *store.Tx) (on bool, reason string, err error) {
	if err := tx.Together(theSwitch); err != nil {
		return false, "", fmt.Errorf("guard: read the kill switch: %w", err)
	}
	return Killed(tx)
}

// Kill turns the kill switch on or off. The caller appends the ledger entry in
// the same transaction. Turning it as it stands changes actor and reason.
func Kill(tx *store.Tx, on bool, actor, reason string, now time.Time) error {
	if err := tx.Alone(theSwitch); err != nil {
		return fmt.Errorf("guard: turn the kill switch: %w", err)
	}
	n := 0
	if on {
		n = 1
	}
	if _, err := tx.Exec(`UPDATE guard_kill SET active = ?, actor = ?, reason = ?, at = ? WHERE id = 1`, n, actor, reason, now.UnixNano()); err != nil {
		return fmt.Errorf("guard: turn the kill switch: %w", err)
	}
	return nil
}
