package answers

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Life is how long a key is kept.
const Life = 24 * time.Hour

// abandoned is how long a request may be worked on before its key counts as left
// behind by a process that died: the answer's own deadline is far shorter.
const abandoned = 2 * time.Minute

// The errors of Take.
var (
	// ErrOther: the key came with another request before.
	ErrOther = errors.New("this idempotency key came with another request before; each request needs a key of its own")
	// ErrBusy: the first request with the key is still being worked on.
	ErrBusy = errors.New("the first request with this idempotency key is still being worked on; try again in a moment")
	// ErrLeft: the server stopped while it worked on the first request. What that
	// one did stands in the record; it is not done again.
	ErrLeft = errors.New("the server stopped while it worked on the first request with this key; look at what it did before you try again with another key")
)

// Schema makes the table of answers.
func Schema() store.Schema {
	return store.Schema{Name: "answers", Steps: []string{
		`CREATE TABLE answers (
			tenant TEXT NOT NULL,
			actor TEXT NOT NULL,
			request_key TEXT NOT NULL,
			request TEXT NOT NULL,
			status BIGINT NOT NULL,
			media TEXT NOT NULL,
			body BLOB NOT NULL,
			taken BIGINT NOT NULL,
			PRIMARY KEY (tenant, actor, request_key))`,
		`CREATE INDEX answers_taken ON answers (taken)`,
	}}
}

// Answer is what a request was answered.
type Answer struct {
	Status int
	Media  string
	Body   []byte
}

// Answers keeps answers by key. It is safe for concurrent use, by several
// processes too.
type Answers struct {
	db     *store.DB
	tenant string
	now    func() time.Time
}

// New opens the room; its table must be there (Schema).
func New(db *store.DB, tenant string, now func() time.Time) *Answers {
	return &Answers{db: db, tenant: tenant, now: now}
}

// Request digests what makes a request the same: method, path with query, body.
func Request(method, uri string, body []byte) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(method), []byte(uri), body} {
		_, _ = fmt.Fprintf(h, "%d:", len(part))
		_, _ = h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Take takes a key for a request. found is the answer of the first time, nil
// where this is the first: the caller then works on it and calls Keep or Drop.
func (a *Answers) Take(ctx context.Context, actor, key, request string) (found *Answer, err error) {
	now := a.now()
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		found = nil
		if _, err := tx.Exec(`DELETE FROM answers WHERE taken <= ?`, now.Add(-Life).UnixNano()); err != nil {
			return err
		}
		// The insert comes first: of two processes that take a key at once, one waits
		// here for the other, and reads below what that one did.
		res, err := tx.Exec(`INSERT INTO answers (tenant, actor, request_key, request, status, media, body, taken) VALUES (?, ?, ?, ?, 0, '', ?, ?)
			ON CONFLICT DO NOTHING`, a.tenant, actor, key, request, []byte{}, now.UnixNano())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); n == 1 || err != nil {
			return err
		}
		var was string
		var taken int64
		got := &Answer{}
		err = tx.QueryRow(`SELECT request, status, media, body, taken FROM answers WHERE tenant = ? AND actor = ? AND request_key = ?`,
			a.tenant, actor, key).Scan(&was, &got.Status, &got.Media, &got.Body, &taken)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrBusy // who had it gave it back in this moment
		case err != nil:
			return err
		case was != request:
			return ErrOther
		case got.Status == 0 && now.Sub(time.Unix(0, taken)) > abandoned:
			return ErrLeft
		case got.Status == 0:
			return ErrBusy
		}
		found = got
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("idempotency key: %w", err)
	}
	return found, nil
}

// Keep stores the answer under a key that Take gave.
func (a *Answers) Keep(ctx context.Context, actor, key string, with Answer) error {
	return a.change(ctx, `UPDATE answers SET status = ?, media = ?, body = ? WHERE tenant = ? AND actor = ? AND request_key = ?`,
		with.Status, with.Media, with.Body, a.tenant, actor, key)
}

// Drop gives a key back: the request was refused or failed before it did
// anything, and may be sent again.
func (a *Answers) Drop(ctx context.Context, actor, key string) error {
	return a.change(ctx, `DELETE FROM answers WHERE tenant = ? AND actor = ? AND request_key = ? AND status = 0`, a.tenant, actor, key)
}

func (a *Answers) change(ctx context.Context, text string, args ...any) error {
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(text, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("idempotency key: %w", err)
	}
	return nil
}
