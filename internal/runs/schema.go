package runs

import "github.com/quell-soar/quell/internal/store"

// Schema makes the tables of runs, plans, alerts and claims.
func Schema() store.Schema {
	return store.Schema{Name: "runs", Steps: []string{
		`CREATE TABLE plans (
			digest TEXT PRIMARY KEY,
			playbook TEXT NOT NULL,
			plan BLOB NOT NULL)`,
		`CREATE TABLE claims (
			tenant TEXT NOT NULL,
			playbook TEXT NOT NULL,
			hash TEXT NOT NULL,
			generation BIGINT NOT NULL,
			PRIMARY KEY (tenant, playbook, hash))`,
		`CREATE TABLE runs (
			id TEXT PRIMARY KEY,
			tenant TEXT NOT NULL,
			playbook TEXT NOT NULL,
			hash TEXT NOT NULL,
			generation BIGINT NOT NULL,
			digest TEXT NOT NULL,
			status TEXT NOT NULL,
			mode TEXT NOT NULL,
			severity TEXT NOT NULL,
			severity_rank BIGINT NOT NULL,
			incident TEXT NOT NULL,
			source TEXT NOT NULL,
			trigger_json BLOB NOT NULL,
			inputs BLOB NOT NULL,
			settings BLOB NOT NULL,
			bindings BLOB NOT NULL,
			targets BLOB NOT NULL,
			closing TEXT NOT NULL,
			reason TEXT NOT NULL,
			result BLOB,
			created BIGINT NOT NULL,
			started BIGINT NOT NULL,
			ended BIGINT NOT NULL)`,
		`CREATE INDEX runs_waiting ON runs (severity_rank, source, created) WHERE status = 'waiting'`,
		`CREATE INDEX runs_created ON runs (tenant, created, id)`,
		`CREATE TABLE alerts (
			id TEXT PRIMARY KEY,
			tenant TEXT NOT NULL,
			source TEXT NOT NULL,
			source_id TEXT NOT NULL,
			kind TEXT NOT NULL,
			title TEXT NOT NULL,
			severity TEXT NOT NULL,
			occurred BIGINT NOT NULL,
			received BIGINT NOT NULL,
			value BLOB NOT NULL,
			raw BLOB NOT NULL,
			dropped BLOB NOT NULL)`,
		`CREATE INDEX alerts_received ON alerts (tenant, received, id)`,
		`CREATE TABLE verdicts (
			alert TEXT NOT NULL,
			seq BIGINT NOT NULL,
			playbook TEXT NOT NULL,
			run TEXT NOT NULL,
			verdict TEXT NOT NULL,
			reason TEXT NOT NULL,
			PRIMARY KEY (alert, seq))`,
		`CREATE INDEX verdicts_run ON verdicts (run)`,
	}}
}
