package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

// Dialect names the database.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("the store is closed")

// Options says which database to open: Dir for SQLite, DSN for PostgreSQL.
type Options struct {
	// Dir is the data directory; it exists. The database is Dir/quell.db.
	Dir string
	// DSN is a PostgreSQL connection string. It may hold a password and is never
	// printed.
	DSN string
	Log zerolog.Logger
	// Seen is told of every transaction, update or view, after its end: how long it
	// took from the call, and how it went. It returns at once; nil is told nothing.
	Seen func(what string, took time.Duration, err error)
}

// DB is an open store.
type DB struct {
	dialect Dialect
	// write runs an update; read begins a read transaction.
	write func(ctx context.Context, f func(*Tx) error) error
	read  *sql.DB
	close func() error
	seen  func(what string, took time.Duration, err error)
}

// Open opens the store and checks that it can be written. With SQLite it fails
// while another process has it open and says which.
func Open(ctx context.Context, o Options) (*DB, error) {
	open := openSQLite
	if o.DSN != "" {
		open = openPostgres
	}
	d, err := open(ctx, o)
	if err == nil {
		d.seen = o.Seen
	}
	return d, err
}

// watch tells who watches of a transaction that began at a time.
func (d *DB) watch(what string, began time.Time, err error) {
	if d.seen != nil {
		d.seen(what, time.Since(began), err)
	}
}

// Dialect tells which database it is.
func (d *DB) Dialect() Dialect { return d.dialect }

// Close waits for updates under way and closes the database.
func (d *DB) Close() error { return d.close() }

// Update runs f in a transaction and returns when it is on disk. An error of f
// is returned as it is and nothing of f is kept. f may be called again and must
// not keep its Tx.
func (d *DB) Update(ctx context.Context, f func(tx *Tx) error) error {
	began := time.Now()
	err := d.write(ctx, f)
	d.watch("update", began, err)
	return err
}

// View runs f on one consistent state, without writing.
func (d *DB) View(ctx context.Context, f func(tx *Tx) error) error {
	began := time.Now()
	err := d.view(ctx, f)
	d.watch("view", began, err)
	return err
}

// Texts runs a query of one column of texts on one consistent state, and returns it in
// its order; nil where there is no row.
func (d *DB) Texts(ctx context.Context, q string, args ...any) (out []string, err error) {
	err = d.View(ctx, func(tx *Tx) error {
		out = nil // a view may be tried again
		rows, err := tx.Query(q, args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return errors.Join(err, rows.Close())
			}
			out = append(out, s)
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	return out, err
}

func (d *DB) view(ctx context.Context, f func(tx *Tx) error) error {
	tx, err := d.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: d.isolation()})
	if err != nil {
		return fmt.Errorf("store: begin to read: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	return guarded(f, &Tx{ctx: ctx, on: tx, dialect: d.dialect})
}

func (d *DB) isolation() sql.IsolationLevel {
	if d.dialect == Postgres {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault
}

// Ready writes a row and so finds a full disk, a read-only file system and a
// database that is away. It returns what is wrong, or nil.
func (d *DB) Ready(ctx context.Context) error {
	err := d.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`UPDATE store_ready SET n = n + 1`)
		return err
	})
	if err != nil {
		return fmt.Errorf("store: cannot write: %w", err)
	}
	return nil
}

// guarded turns a panic of f into an error, so that one faulty caller does not
// end the process or the writer.
func guarded(f func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		tx.end()
		if p := recover(); p != nil {
			err = fmt.Errorf("store: a transaction panicked: %v", p)
		}
	}()
	return f(tx)
}

// Tx is a transaction as one function sees it.
type Tx struct {
	ctx     context.Context
	on      handle
	dialect Dialect
	// kept are the prepared statements of SQLite's writing connection, or nil.
	kept *statements
	rows []*sql.Rows
	over bool
}

// handle is an *sql.Tx, or the *sql.Conn that SQLite's writer is on.
type handle interface {
	ExecContext(ctx context.Context, q string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row
}

var errOver = errors.New("store: a Tx was used after its function had returned")

// end closes what the function left open: the next one may get the same
// connection.
func (t *Tx) end() {
	t.over = true
	for _, r := range t.rows {
		_ = r.Close()
	}
}

// Context is the context of the caller of Update or View.
func (t *Tx) Context() context.Context { return t.ctx }

// Dialect tells which database it is.
func (t *Tx) Dialect() Dialect { return t.dialect }

// Exec runs a statement; parameters are written as ?. Texts among the arguments
// are stored as PostgreSQL takes them, on either database: what is NUL or no
// UTF-8 in them becomes U+FFFD. Bytes stay as they are.
func (t *Tx) Exec(q string, args ...any) (sql.Result, error) {
	if t.over {
		return nil, errOver
	}
	args = storable(args)
	if s := t.kept.get(t.ctx, q); s != nil {
		return s.ExecContext(t.ctx, args...)
	}
	return t.on.ExecContext(t.ctx, t.bind(q), args...)
}

// Query runs a query, with arguments as in Exec; the rows must be closed before the next statement.
func (t *Tx) Query(q string, args ...any) (*sql.Rows, error) {
	if t.over {
		return nil, errOver
	}
	// Not a kept statement: while rows are open, the same query may come again.
	rows, err := t.on.QueryContext(t.ctx, t.bind(q), storable(args)...)
	if err == nil {
		t.rows = append(t.rows, rows)
	}
	return rows, err
}

// QueryRow runs a query for at most one row, with arguments as in Exec; it is
// scanned before the next statement.
func (t *Tx) QueryRow(q string, args ...any) *sql.Row {
	ctx := t.ctx
	args = storable(args)
	if t.over { // a Row carries no error of ours; a context that is over does
		done, cancel := context.WithCancelCause(ctx)
		cancel(errOver)
		ctx = done
	} else if s := t.kept.get(ctx, q); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return t.on.QueryRowContext(ctx, t.bind(q), args...)
}

// ForUpdate is the end of a SELECT whose rows shall be locked until the
// transaction ends. SQLite has one writer and needs no words for it.
func (t *Tx) ForUpdate() string {
	if t.dialect == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// Alone waits until no other transaction has the name, and has it until this one
// ends: for what is counted over rows that are not there yet. SQLite has one
// writer.
func (t *Tx) Alone(name string) error {
	if t.dialect == SQLite {
		return nil
	}
	_, err := t.Exec(`SELECT pg_advisory_xact_lock(hashtextextended(?, 0))`, name)
	return err
}

// Together is as Alone, but shared: any number have the name at once, and who
// wants it alone waits for them. Whoever comes after one that waits does so too,
// so that a stream of them keeps nobody out. A row lock FOR SHARE promises no
// such thing.
func (t *Tx) Together(name string) error {
	if t.dialect == SQLite {
		return nil
	}
	_, err := t.Exec(`SELECT pg_advisory_xact_lock_shared(hashtextextended(?, 0))`, name)
	return err
}

func (t *Tx) bind(q string) string {
	if t.dialect == SQLite {
		return q
	}
	return numbered(q)
}

// storable replaces texts that PostgreSQL would refuse. An attacker writes hostnames
// and subjects; one of them must not keep an effect or a vote from being stored.
func storable(args []any) []any {
	const replacement = "\uFFFD"
	var out []any
	for i, a := range args {
		s, is := a.(string)
		if !is || strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
			continue
		}
		if out == nil {
			out = slices.Clone(args)
		}
		out[i] = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", replacement), replacement)
	}
	if out == nil {
		return args
	}
	return out
}

// numbered turns ? outside quotes into $1, $2 …
func numbered(q string) string {
	var b strings.Builder
	n, quoted := 0, false
	for _, r := range q {
		switch {
		case r == '\'':
			quoted = !quoted
			b.WriteRune(r)
		case r == '?' && !quoted:
			n++
			b.WriteString("$" + strconv.Itoa(n))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
