package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// batch is how many updates share one commit at most.
const batch = 128

// openSQLite opens Dir/quell.db with one writing connection and a few that read.
func openSQLite(ctx context.Context, o Options) (*DB, error) {
	unlock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(o.Dir, "quell.db")
	if f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		unlock()
		return nil, fmt.Errorf("store: open %s: %w", file, err)
	} else if err := f.Close(); err != nil {
		unlock()
		return nil, fmt.Errorf("store: open %s: %w", file, err)
	}
	wdb, err := openFile(ctx, file, 1, "_txlock=immediate")
	if err != nil {
		unlock()
		return nil, err
	}
	rdb, err := openFile(ctx, file, 4, "_pragma=query_only(1)")
	if err != nil {
		_ = wdb.Close()
		unlock()
		return nil, err
	}
	w := &writer{db: wdb, jobs: make(chan *job, 4*batch), done: make(chan struct{}), stopped: make(chan struct{})}
	go w.run()
	d := &DB{dialect: SQLite, write: w.update, read: rdb}
	d.close = sync.OnceValue(func() error {
		w.stop()
		err := rdb.Close()
		if werr := wdb.Close(); werr != nil {
			err = werr
		}
		unlock()
		return err
	})
	return d, base(ctx, d)
}

func openFile(ctx context.Context, file string, conns int, more string) (*sql.DB, error) {
	u := url.URL{Scheme: "file", Path: file}
	dsn := u.String() + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&" + more
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", file, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("store: open %s: %w", file, err)
	}
	return db, nil
}

// base makes the store's own table and closes a store that cannot be written.
func base(ctx context.Context, d *DB) error {
	err := d.Migrate(ctx, Schema{Name: "store", Steps: []string{
		`CREATE TABLE store_ready (n BIGINT NOT NULL)`,
		`INSERT INTO store_ready (n) VALUES (0)`,
	}})
	if err != nil {
		_ = d.Close()
		return err
	}
	return nil
}

// lockDir takes the directory for this process.
func lockDir(dir string) (unlock func(), err error) {
	file := filepath.Join(dir, "store.lock")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", file, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(file)
		_ = f.Close()
		return nil, fmt.Errorf("store: %s is open in process %s; stop it first, or use PostgreSQL for more than one", dir, strings.TrimSpace(string(owner)))
	}
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
	}
	return func() { _ = f.Close() }, nil
}

// job is one update that waits.
type job struct {
	ctx context.Context
	f   func(*Tx) error
	err error
	end chan struct{}
}

// writer commits the updates that wait in batches.
type writer struct {
	db            *sql.DB
	jobs          chan *job
	done, stopped chan struct{}
	once          sync.Once
}

func (w *writer) stop() {
	w.once.Do(func() { close(w.done) })
	<-w.stopped
}

func (w *writer) update(ctx context.Context, f func(*Tx) error) error {
	j := &job{ctx: ctx, f: f, end: make(chan struct{})}
	select {
	case <-w.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case w.jobs <- j:
	}
	// Once queued it is waited for: the caller must know whether it happened.
	select {
	case <-j.end:
		return j.err
	case <-w.stopped:
		select {
		case <-j.end:
			return j.err
		default:
			return ErrClosed
		}
	}
}

func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case <-w.done:
			return
		case j := <-w.jobs:
			w.commit(w.gather(j))
		}
	}
}

// gather takes what else waits.
func (w *writer) gather(first *job) []*job {
	list := []*job{first}
	for len(list) < batch {
		select {
		case j := <-w.jobs:
			list = append(list, j)
		default:
			return list
		}
	}
	return list
}

// commit runs a batch and tells every caller how it went. A fault of the
// database, unlike one of a function, fails the whole batch: none is on disk.
func (w *writer) commit(list []*job) {
	ended := make(chan error, 1)
	go func() { // runtime.Goexit in a function, as t.FailNow calls it, must not end the writer
		err := errors.New("store: a transaction ended its goroutine")
		defer func() { ended <- err }()
		err = w.transact(list)
	}()
	err := <-ended
	for _, j := range list {
		if err != nil {
			j.err = err
		}
		close(j.end)
	}
}

func (w *writer) transact(list []*job) error {
	ctx := context.Background() // one caller's cancellation is not the others'
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, j := range list {
		if j.err = j.ctx.Err(); j.err != nil {
			continue
		}
		if _, err := tx.ExecContext(ctx, "SAVEPOINT j"); err != nil {
			return fmt.Errorf("store: savepoint: %w", err)
		}
		if j.err = guarded(j.f, &Tx{ctx: context.WithoutCancel(j.ctx), tx: tx, dialect: SQLite}); j.err != nil {
			if _, err := tx.ExecContext(ctx, "ROLLBACK TO j"); err != nil {
				return fmt.Errorf("store: roll back after %w: %w", j.err, err)
			}
		}
		if _, err := tx.ExecContext(ctx, "RELEASE j"); err != nil {
			return fmt.Errorf("store: release: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return nil
}
