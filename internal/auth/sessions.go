package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// Sessions keeps the sessions of people who signed in with a browser. A session
// is a cookie with 260 random bits, kept as its SHA-256; beside it stands a token
// that a page must send with each change, which no other site can read.
type Sessions struct {
	db     *store.DB
	ledger *ledger.Ledger
	tenant string
	limits SessionLimits
	now    func() time.Time
}

// SessionLimits bound a session.
type SessionLimits struct {
	// Idle ends a session that was not used; default 30 minutes.
	Idle time.Duration
	// Life ends it in any case; default 12 hours, a long shift.
	Life time.Duration
	// Each is how many sessions one person may have; the oldest ends; default 5.
	Each int
}

// ErrSession says that a session is unknown, ended, idle or over its life; which
// of them is not told.
var ErrSession = errors.New("the session is over; sign in again")

// ErrCSRF says that a change came without the session's own token, so that another
// site may have sent it.
var ErrCSRF = errors.New("the request lacks the session's token against forged requests")

// NewSessions opens the room; its tables must be there (Schema).
func NewSessions(db *store.DB, l *ledger.Ledger, tenant string, limits SessionLimits, now func() time.Time) *Sessions {
	if limits.Idle <= 0 {
		limits.Idle = 30 * time.Minute
	}
	if limits.Life <= 0 {
		limits.Life = 12 * time.Hour
	}
	if limits.Each <= 0 {
		limits.Each = 5
	}
	return &Sessions{db: db, ledger: l, tenant: tenant, limits: limits, now: now}
}

// SignedIn is what the identity provider said.
type SignedIn struct {
	// Actor is the person's name in the ledger.
	Actor string
	// Issuer and Subject are the identity.
	Issuer, Subject string
	// Shown is what the provider calls the person. It decides nothing.
	Shown string
	Roles []string
	// At is when the person proved who they are, as the provider says.
	At time.Time
}

// Session is a session without its secrets.
type Session struct {
	ID      string
	Who     SignedIn
	Created time.Time
	Seen    time.Time
	Expires time.Time
	Address string
}

// Begin opens a session for somebody who just signed in and returns its cookie
// and its token against forged requests; nobody can read either again. A cookie
// that the browser had before is worth nothing after it: pass it as old.
func (s *Sessions) Begin(ctx context.Context, who SignedIn, address, old string) (cookie, csrf string, err error) {
	roles, err := json.Marshal(orNone(who.Roles))
	if err != nil {
		return "", "", fmt.Errorf("session: %w", err)
	}
	cookie, csrf = strings.ToLower(rand.Text()+rand.Text()), strings.ToLower(rand.Text()+rand.Text())
	id := "s-" + strings.ToLower(rand.Text())[:12]
	now := s.now().UTC()
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if old != "" {
			if _, err := tx.Exec(`DELETE FROM sessions WHERE tenant = ? AND hash = ?`, s.tenant, digest(old)); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`DELETE FROM sessions WHERE tenant = ? AND (expires <= ? OR seen <= ?)`,
			s.tenant, now.UnixNano(), now.Add(-s.limits.Idle).UnixNano()); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE tenant = ? AND actor = ? ORDER BY created DESC, id LIMIT 1000 OFFSET ?)`,
			s.tenant, who.Actor, s.limits.Each-1); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO sessions (id, tenant, hash, csrf, actor, issuer, subject, shown, roles, signed_in, created, seen, expires, address)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, id, s.tenant, digest(cookie), digest(csrf), who.Actor, who.Issuer, who.Subject,
			who.Shown, roles, who.At.UnixNano(), now.UnixNano(), now.UnixNano(), now.Add(s.limits.Life).UnixNano(), address); err != nil {
			return err
		}
		return s.record(tx, "session.began", who.Actor, id, map[string]any{"issuer": who.Issuer, "subject": who.Subject, "roles": orNone(who.Roles), "address": address})
	})
	if err != nil {
		return "", "", fmt.Errorf("begin session: %w", err)
	}
	return cookie, csrf, nil
}

func (s *Sessions) record(tx *store.Tx, kind, actor, id string, body any) error {
	_, err := s.ledger.Append(tx, ledger.Row{Kind: kind, Tenant: s.tenant, Key: id, Actor: actor}, body)
	return err
}

const sessionColumns = `id, actor, issuer, subject, shown, roles, signed_in, created, seen, expires, address`

func scanSession(r interface{ Scan(...any) error }, more ...any) (Session, error) {
	var out Session
	var roles []byte
	var in, created, seen, expires int64
	dest := append([]any{&out.ID, &out.Who.Actor, &out.Who.Issuer, &out.Who.Subject, &out.Who.Shown, &roles, &in, &created, &seen, &expires, &out.Address}, more...)
	if err := r.Scan(dest...); err != nil {
		return out, err
	}
	out.Who.At, out.Created, out.Seen, out.Expires = at(in), at(created), at(seen), at(expires)
	if err := json.Unmarshal(roles, &out.Who.Roles); err != nil {
		return out, fmt.Errorf("session %s: roles: %w", out.ID, err)
	}
	return out, nil
}

// Resume finds the session of a cookie. change says that the request changes
// something: then csrf must be the session's token. The errors are ErrSession,
// ErrCSRF, or a fault of the store.
func (s *Sessions) Resume(ctx context.Context, cookie, csrf string, change bool) (Session, error) {
	if len(cookie) != 52 {
		return Session{}, ErrSession
	}
	now := s.now()
	var got Session
	var want string
	err := s.db.View(ctx, func(tx *store.Tx) error {
		var err error
		got, err = scanSession(tx.QueryRow(`SELECT `+sessionColumns+`, csrf FROM sessions WHERE tenant = ? AND hash = ?`, s.tenant, digest(cookie)), &want)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, ErrSession
	}
	if err != nil {
		return Session{}, fmt.Errorf("resume session: %w", err)
	}
	if !now.Before(got.Expires) || now.Sub(got.Seen) >= s.limits.Idle {
		return Session{}, ErrSession
	}
	if change && subtle.ConstantTimeCompare([]byte(digest(csrf)), []byte(want)) != 1 {
		return Session{}, ErrCSRF
	}
	if now.Sub(got.Seen) >= usedEvery {
		if err := s.db.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE sessions SET seen = ? WHERE id = ? AND seen < ?`, now.UnixNano(), got.ID, now.UnixNano())
			return err
		}); err != nil {
			return Session{}, fmt.Errorf("resume session: %w", err)
		}
	}
	return got, nil
}

// End ends one session, by itself (sign-out) or by another; a second time is
// ErrSession.
func (s *Sessions) End(ctx context.Context, by, id string) error {
	return s.end(ctx, by, `id = ?`, id)
}

// EndAll ends every session of an actor, so that whoever was let go is out at
// once. It returns nil where there was none.
func (s *Sessions) EndAll(ctx context.Context, by, actor string) error {
	err := s.end(ctx, by, `actor = ?`, actor)
	if errors.Is(err, ErrSession) {
		return nil
	}
	return err
}

func (s *Sessions) end(ctx context.Context, by, where, key string) error {
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		res, err := tx.Exec(`DELETE FROM sessions WHERE tenant = ? AND `+where, s.tenant, key)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrSession
		}
		return s.record(tx, "session.ended", by, key, map[string]any{"sessions": n})
	})
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// List returns the live sessions, newest first.
func (s *Sessions) List(ctx context.Context) ([]Session, error) {
	now := s.now()
	var out []Session
	err := s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT `+sessionColumns+` FROM sessions WHERE tenant = ? AND expires > ? AND seen > ? ORDER BY created DESC, id`,
			s.tenant, now.UnixNano(), now.Add(-s.limits.Idle).UnixNano())
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			one, err := scanSession(rows)
			if err != nil {
				return err
			}
			out = append(out, one)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return out, nil
}
