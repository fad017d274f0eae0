package auth

import "github.com/quell-soar/quell/internal/store"

// Schema makes the table of tokens.
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
	}}
}
