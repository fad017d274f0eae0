package auth

import "github.com/quell-soar/quell/internal/store"

// Schema makes the tables of tokens, sessions and the first admin.
func Schema() store.Schema {
	return store.Schema{Name: "auth", Steps: []string{
		`CREATE TABLE tokens (
			id TEXT PRIMARY KEY,
			tenant TEXT NOT NULL,
			hash TEXT NOT NULL UNIQUE,
			name TEXT NOT NULL,
			user_name TEXT NOT NULL,
			roles BLOB NOT NULL,
			scopes BLOB NOT NULL,
			made_by TEXT NOT NULL,
			created BIGINT NOT NULL,
			expires BIGINT NOT NULL,
			last_used BIGINT NOT NULL,
			revoked BIGINT NOT NULL)`,
		`CREATE TABLE sessions (
			id TEXT PRIMARY KEY,
			tenant TEXT NOT NULL,
			hash TEXT NOT NULL UNIQUE,
			csrf TEXT NOT NULL,
			actor TEXT NOT NULL,
			issuer TEXT NOT NULL,
			subject TEXT NOT NULL,
			shown TEXT NOT NULL,
			roles BLOB NOT NULL,
			signed_in BIGINT NOT NULL,
			created BIGINT NOT NULL,
			seen BIGINT NOT NULL,
			expires BIGINT NOT NULL,
			address TEXT NOT NULL)`,
		`CREATE INDEX sessions_actor ON sessions (tenant, actor, created)`,
		`CREATE TABLE first_admin (
			tenant TEXT PRIMARY KEY,
			hash TEXT NOT NULL,
			expires BIGINT NOT NULL,
			used BIGINT NOT NULL)`,
	}}
}
