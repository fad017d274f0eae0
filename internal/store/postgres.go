package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// openPostgres opens a PostgreSQL database of 12 or later.
func openPostgres(ctx context.Context, o Options) (*DB, error) {
	db, err := sql.Open("pgx", o.DSN)
	if err != nil {
		// The driver's error may quote the DSN, which may hold a password.
		return nil, errors.New("store: the PostgreSQL connection string cannot be read; see libpq's URI form")
	}
	const conns = 16
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("store: PostgreSQL does not answer: %w", err)
	}
	d := &DB{dialect: Postgres, read: db, close: sync.OnceValue(db.Close)}
	d.write = func(ctx context.Context, f func(*Tx) error) error { return updatePostgres(ctx, db, f) }
	return d, base(ctx, d)
}

// updatePostgres runs f, and again where PostgreSQL says that two transactions
// got into each other's way.
func updatePostgres(ctx context.Context, db *sql.DB, f func(*Tx) error) error {
	const tries = 20
	for n := 1; ; n++ {
		err := oncePostgres(ctx, db, f)
		if err == nil || n >= tries || ctx.Err() != nil || !again(err) {
			return err
		}
	}
}

func oncePostgres(ctx context.Context, db *sql.DB, f func(*Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := guarded(f, &Tx{ctx: ctx, on: tx, dialect: Postgres}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return nil
}

// again reports serialization_failure and deadlock_detected (PostgreSQL manual,
// appendix A).
func again(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}
