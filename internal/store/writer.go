package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

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
	conn          *sql.Conn   // the writing connection; nil before the first use and after a fault
	kept          *statements // prepared on conn
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
	defer func() {
		if w.conn != nil {
			w.kept.drop()
			_ = w.conn.Close()
		}
	}()
	for {
		select {
		case <-w.done:
			return
		case j := <-w.jobs:
			runtime.Gosched() // those whom the last batch woke come along
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

// transact runs a batch in one transaction on the writing connection.
func (w *writer) transact(list []*job) error {
	ctx := context.Background() // one caller's cancellation is not the others'
	if err := w.begin(ctx); err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	committed := false
	defer func() {
		if !committed { // SQLite may have rolled back by itself; then this says so
			_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
		}
	}()
	if len(list) == 1 { // the transaction is its savepoint
		j := list[0]
		if j.err = j.ctx.Err(); j.err == nil {
			j.err = guarded(j.f, w.tx(j))
		}
		if j.err != nil {
			return nil
		}
		list = nil
	}
	for _, j := range list {
		if j.err = j.ctx.Err(); j.err != nil {
			continue
		}
		if err := w.one(ctx, j); err != nil {
			return err
		}
	}
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	committed = true
	return nil
}

// one runs one function in its savepoint. The error is the database's; that of
// the function is in the job.
func (w *writer) one(ctx context.Context, j *job) error {
	if err := w.exec(ctx, "SAVEPOINT j"); err != nil {
		return fmt.Errorf("store: savepoint: %w", err)
	}
	if j.err = guarded(j.f, w.tx(j)); j.err != nil {
		if err := w.exec(ctx, "ROLLBACK TO j"); err != nil {
			return fmt.Errorf("store: roll back after %w: %w", j.err, err)
		}
	}
	if err := w.exec(ctx, "RELEASE j"); err != nil {
		return fmt.Errorf("store: release: %w", err)
	}
	return nil
}

func (w *writer) tx(j *job) *Tx {
	return &Tx{ctx: context.WithoutCancel(j.ctx), on: w.conn, dialect: SQLite, kept: w.kept}
}

func (w *writer) exec(ctx context.Context, q string) error {
	if s := w.kept.get(ctx, q); s != nil {
		_, err := s.ExecContext(ctx)
		return err
	}
	_, err := w.conn.ExecContext(ctx, q)
	return err
}

// begin takes the writing connection, again after a fault, and begins.
func (w *writer) begin(ctx context.Context) error {
	if w.conn == nil {
		conn, err := w.db.Conn(ctx)
		if err != nil {
			return err
		}
		w.conn, w.kept = conn, &statements{on: conn}
	}
	_, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	if err != nil { // the next batch starts afresh, whatever this connection is in
		_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
		w.kept.drop()
		_ = w.conn.Close()
		w.conn = nil
	}
	return err
}

// statements are those that were prepared on a connection. A third of the time
// of an admission went into parsing.
type statements struct {
	on     *sql.Conn
	byText map[string]*sql.Stmt
}

// get returns the statement for q, or nil where it is not to be kept: then it is
// run as it is, and tells its own errors.
func (s *statements) get(ctx context.Context, q string) *sql.Stmt {
	if s == nil {
		return nil
	}
	if st, ok := s.byText[q]; ok {
		return st
	}
	const most = 256 // beyond, someone builds statements from data
	verb, _, _ := strings.Cut(strings.TrimSpace(q), " ")
	switch verb {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "SAVEPOINT", "RELEASE", "ROLLBACK":
	default:
		return nil
	}
	if len(s.byText) >= most {
		return nil
	}
	st, err := s.on.PrepareContext(ctx, q)
	if err != nil {
		return nil
	}
	if s.byText == nil {
		s.byText = map[string]*sql.Stmt{}
	}
	s.byText[q] = st
	return st
}

func (s *statements) drop() {
	for _, st := range s.byText {
		_ = st.Close()
	}
	s.byText = nil
}
