package runs

import "github.com/quell-soar/quell/internal/store"

// Schema makes the tables of runs, plans, alerts, claims, verbs and firings.
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
		`ALTER TABLE runs ADD COLUMN calendars BLOB`,
		`ALTER TABLE runs ADD COLUMN calls BLOB`,
		`ALTER TABLE runs ADD COLUMN parent TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE runs ADD COLUMN parent_step TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE runs ADD COLUMN depth BIGINT NOT NULL DEFAULT 0`,
		`ALTER TABLE runs ADD COLUMN alerted BIGINT NOT NULL DEFAULT 0`,
		`CREATE INDEX runs_parent ON runs (parent) WHERE parent <> ''`,
		`CREATE INDEX runs_alerted ON runs (alerted) WHERE alerted = 1`,
		`CREATE TABLE joins (
			run TEXT NOT NULL,
			seq BIGINT NOT NULL,
			alert TEXT NOT NULL,
			PRIMARY KEY (run, seq))`,
		`CREATE TABLE verbs (
			run TEXT NOT NULL,
			seq BIGINT NOT NULL,
			body BLOB NOT NULL,
			told BIGINT NOT NULL,
			answer TEXT NOT NULL,
			PRIMARY KEY (run, seq))`,
		`CREATE INDEX verbs_untold ON verbs (told) WHERE told = 0`,
		`CREATE TABLE firings (
			id TEXT PRIMARY KEY,
			run TEXT NOT NULL)`,
		`ALTER TABLE alerts ADD COLUMN closed_as TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE alerts ADD COLUMN closed_by TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE alerts ADD COLUMN closed BIGINT NOT NULL DEFAULT 0`,
		// One for each filter of List, and for the pairs with a playbook, each in
		// the order of the list: a filter that few of 100,000 runs pass must not
		// read the others.
		`CREATE INDEX runs_of_playbook ON runs (tenant, playbook, created, id)`,
		`CREATE INDEX runs_in_status ON runs (tenant, status, created, id)`,
		`CREATE INDEX runs_closed_as ON runs (tenant, closing, created, id)`,
		`CREATE INDEX runs_of_incident ON runs (tenant, incident, created, id)`,
		`CREATE INDEX runs_of_playbook_in_status ON runs (tenant, playbook, status, created, id)`,
		`CREATE INDEX runs_of_playbook_closed_as ON runs (tenant, playbook, closing, created, id)`,
		`CREATE INDEX alerts_of_source ON alerts (tenant, source, received, id)`,
		// shed is 1 once the detail of a run was deleted; see Shed.
		`ALTER TABLE runs ADD COLUMN shed BIGINT NOT NULL DEFAULT 0`,
		`CREATE INDEX runs_unshed ON runs (ended) WHERE status = 'ended' AND shed = 0`,
		`CREATE INDEX runs_shed ON runs (ended) WHERE shed = 1`,
		// The highest generation that was forgotten; see Forget.
		`CREATE TABLE claims_floor (id BIGINT PRIMARY KEY, generation BIGINT NOT NULL)`,
	}}
}
