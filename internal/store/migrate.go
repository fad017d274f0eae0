package store

import (
	"context"
	"fmt"
	"strings"
)

// Schema is the tables of one domain. Steps are applied once each, in order, and
// are never edited after a release: what is to change becomes a further step.
type Schema struct {
	Name  string
	Steps []string
}

// Migrate brings the tables of the domains up to date, each domain in one
// transaction. It refuses a database that a newer build has changed. Called at
// every start.
func (d *DB) Migrate(ctx context.Context, schemas ...Schema) error {
	err := d.Update(ctx, func(tx *Tx) error {
		if tx.Dialect() == Postgres { // two processes may start at once
			if _, err := tx.Exec(`SELECT pg_advisory_xact_lock(7106053)`); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`CREATE TABLE IF NOT EXISTS store_schemas (name TEXT PRIMARY KEY, version BIGINT NOT NULL)`)
		return err
	})
	if err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	for _, s := range schemas {
		if err := d.Update(ctx, func(tx *Tx) error { return migrate(tx, s) }); err != nil {
			return fmt.Errorf("store: migrate %s: %w", s.Name, err)
		}
	}
	return nil
}

func migrate(tx *Tx, s Schema) error {
	if _, err := tx.Exec(`INSERT INTO store_schemas (name, version) VALUES (?, 0) ON CONFLICT (name) DO NOTHING`, s.Name); err != nil {
		return err
	}
	var version int
	if err := tx.QueryRow(`SELECT version FROM store_schemas WHERE name = ?`+tx.ForUpdate(), s.Name).Scan(&version); err != nil {
		return err
	}
	if version > len(s.Steps) {
		return fmt.Errorf("the database has version %d, this build knows %d; start the newer build, or restore a backup", version, len(s.Steps))
	}
	for i, step := range s.Steps[version:] {
		if tx.Dialect() == Postgres {
			step = strings.ReplaceAll(step, "BLOB", "BYTEA")
		}
		if _, err := tx.Exec(step); err != nil {
			return fmt.Errorf("step %d: %w", version+i+1, err)
		}
	}
	_, err := tx.Exec(`UPDATE store_schemas SET version = ? WHERE name = ?`, len(s.Steps), s.Name)
	return err
}
