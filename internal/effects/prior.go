package effects

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
)

// priorOf is what an effect found on one of its targets: the target's own entry
// of a prior state that is kept by the vendors' ids, with the id; else all of it.
func priorOf(prior json.RawMessage, t guard.Target) json.RawMessage {
	id := vendorID(t)
	own, ok := entries(prior)[id]
	if !ok {
		return prior
	}
	raw, err := json.Marshal(map[string]json.RawMessage{id: own})
	if err != nil { // it was JSON just now
		return prior
	}
	return raw
}

func vendorID(t guard.Target) string {
	if t.Kind != "" {
		return strings.TrimPrefix(t.ID, t.Kind+":")
	}
	return t.ID
}

func entries(prior json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(prior, &m) != nil {
		return nil
	}
	return m
}

// firstPriors is the state that the first holder of each target found: of one
// target its own, of several all of them together, each under its vendor's id.
func firstPriors(tx *store.Tx, of *Effect, alone []guard.Target) (json.RawMessage, error) {
	if len(alone) == 0 {
		return of.Prior, nil
	}
	if len(alone) == 1 && len(of.Targets) == 1 {
		return firstPrior(tx, of, alone[0])
	}
	all := map[string]json.RawMessage{}
	for _, t := range alone {
		prior, err := firstPrior(tx, of, t)
		if err != nil {
			return nil, err
		}
		own, ok := entries(prior)[vendorID(t)]
		if len(prior) == 0 {
			continue
		}
		if !ok { // this connector keeps one state for all of its targets
			return prior, nil
		}
		all[vendorID(t)] = own
	}
	if len(all) == 0 {
		return nil, nil
	}
	return json.Marshal(all)
}

// firstPrior is the state that the first holder of a target found.
func firstPrior(tx *store.Tx, of *Effect, t guard.Target) (json.RawMessage, error) {
	var prior []byte
	err := tx.QueryRow(`SELECT prior FROM effect_held WHERE tenant = ? AND instance = ? AND action = ? AND target = ? AND scope = ?`,
		of.Tenant, of.Instance, of.Action, t.ID, of.Scope).Scan(&prior)
	if errors.Is(err, sql.ErrNoRows) {
		return of.Prior, nil
	}
	if err != nil {
		return nil, fmt.Errorf("effects: prior state: %w", err)
	}
	return prior, nil
}
