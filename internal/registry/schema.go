package registry

import "github.com/quell-soar/quell/internal/store"

// Schema makes the tables of versions, of what is current, and of what sources
// offer.
func Schema() store.Schema {
	return store.Schema{Name: "registry", Steps: []string{
		`CREATE TABLE registry_versions (
			tenant TEXT NOT NULL,
			playbook TEXT NOT NULL,
			digest TEXT NOT NULL,
			n BIGINT NOT NULL,
			meaning TEXT NOT NULL,
			file TEXT NOT NULL,
			text BLOB NOT NULL,
			tests BLOB NOT NULL,
			plan BLOB NOT NULL,
			tested BIGINT NOT NULL,
			origin TEXT NOT NULL,
			note TEXT NOT NULL,
			actor TEXT NOT NULL,
			at BIGINT NOT NULL,
			PRIMARY KEY (tenant, playbook, digest))`,
		`CREATE UNIQUE INDEX registry_numbers ON registry_versions (tenant, playbook, n)`,
		`CREATE TABLE registry_playbooks (
			tenant TEXT NOT NULL,
			playbook TEXT NOT NULL,
			digest TEXT NOT NULL,
			since BIGINT NOT NULL,
			actor TEXT NOT NULL,
			origin TEXT NOT NULL,
			mode TEXT NOT NULL DEFAULT '',
			mode_by TEXT NOT NULL DEFAULT '',
			mode_at BIGINT NOT NULL DEFAULT 0,
			retired BIGINT NOT NULL DEFAULT 0,
			retired_by TEXT NOT NULL DEFAULT '',
			retired_why TEXT NOT NULL DEFAULT '',
			PRIMARY KEY (tenant, playbook))`,
		`CREATE TABLE registry_offers (
			tenant TEXT NOT NULL,
			origin TEXT NOT NULL,
			file TEXT NOT NULL,
			sum TEXT NOT NULL,
			playbook TEXT NOT NULL,
			problem TEXT NOT NULL,
			at BIGINT NOT NULL,
			PRIMARY KEY (tenant, origin, file))`,
		`CREATE TABLE registry_state (
			tenant TEXT PRIMARY KEY,
			revision BIGINT NOT NULL)`,
	}}
}
