package store

import (
	"context"
	"database/sql"
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
	wdb, err := openFile(ctx, file, 1, "")
	if err != nil {
		unlock()
		return nil, err
	}
	rdb, err := openFile(ctx, file, 4, "&_pragma=query_only(1)")
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
	// temp_store: what a savepoint may have to undo stays in memory; written to a
	// file it cost an admission a fifth of its time.
	u := url.URL{Scheme: "file", Path: file}
	dsn := u.String() + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=temp_store(MEMORY)" + more
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
