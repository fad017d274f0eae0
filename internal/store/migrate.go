package store

import (
	"context"
	"errors"
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

// Behind lists the domains, by name, whose tables an earlier build left for Migrate
// to change. A new database is behind in nothing.
func (d *DB) Behind(ctx context.Context, schemas ...Schema) ([]string, error) {
	var out []string
	err := d.View(ctx, func(tx *Tx) error {
		out = nil
		known := map[string]int{}
		rows, err := tx.Query(`SELECT name, version FROM store_schemas`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			var version int
			if err := rows.Scan(&name, &version); err != nil {
				return errors.Join(err, rows.Close())
			}
			known[name] = version
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		if len(known) <= 1 { // the store's own, which Open makes
			return nil
		}
		for _, s := range schemas {
			if known[s.Name] < len(s.Steps) {
				out = append(out, s.Name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: migrate: %w", err)
	}
	return out, nil
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
