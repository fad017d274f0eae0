package approval

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// Approvals keeps requests and votes.
type Approvals struct {
	db     *store.DB
	ledger *ledger.Ledger
	now    func() time.Time
	// Seen is told of every request that was opened, with an empty decision, and of
	// every one that was decided, after the commit. It returns at once; nil is told
	// nothing. Set it before the room is used.
	Seen func(kind, decision string, after time.Duration)
}

// seen tells of a request after the commit.
func (a *Approvals) seen(r *Request, decision string) {
	if a.Seen == nil || r == nil {
		return
	}
	a.Seen(r.Kind, decision, max(0, a.now().Sub(r.Opened)))
}

// New opens the room; its tables must be there (Schema).
func New(db *store.DB, l *ledger.Ledger, now func() time.Time) *Approvals {
	return &Approvals{db: db, ledger: l, now: now}
}

// Schema makes the tables of requests and votes.
func Schema() store.Schema {
	return store.Schema{Name: "approval", Steps: []string{
		`CREATE TABLE requests (
			id TEXT PRIMARY KEY, tenant TEXT NOT NULL, run TEXT NOT NULL, step TEXT NOT NULL, iteration TEXT NOT NULL,
			kind TEXT NOT NULL, text TEXT NOT NULL, seal TEXT NOT NULL, shown BLOB, fields BLOB, levels BLOB NOT NULL,
			quorum BIGINT NOT NULL, requester TEXT NOT NULL, silent TEXT NOT NULL,
			opened BIGINT NOT NULL, closed BIGINT NOT NULL, decision TEXT NOT NULL)`,
		`CREATE INDEX requests_open ON requests (decision, opened)`,
		`CREATE INDEX requests_run ON requests (run, opened)`,
		`CREATE TABLE votes (
			id TEXT PRIMARY KEY, request TEXT NOT NULL, actor TEXT NOT NULL, approve BIGINT NOT NULL,
			reason TEXT NOT NULL, answer BLOB, at BIGINT NOT NULL, delivered BIGINT NOT NULL)`,
		`CREATE INDEX votes_request ON votes (request, at)`,
		`CREATE INDEX votes_undelivered ON votes (delivered)`,
		`ALTER TABLE requests ADD COLUMN subject TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE requests ADD COLUMN via TEXT NOT NULL DEFAULT ''`,
		`CREATE TABLE request_events (
			id TEXT PRIMARY KEY, request TEXT NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL, text TEXT NOT NULL,
			names BLOB, at BIGINT NOT NULL, delivered BIGINT NOT NULL)`,
		`CREATE INDEX request_events_request ON request_events (request, at)`,
		`CREATE INDEX request_events_undelivered ON request_events (delivered) WHERE delivered = 0`,
	}}
}

const columns = `id, tenant, run, step, iteration, kind, text, seal, shown, fields, levels, quorum, requester, silent, opened, closed, decision, subject, via`

// Open stores a request with its ledger entry. The same ID again changes nothing
// where it asks the same; where it is of another run or kind or has another seal,
// it is ErrChanged: votes on the one must not count for the other.
func (a *Approvals) Open(ctx context.Context, r Request) error {
	levels, err := json.Marshal(r.Levels)
	if err != nil {
		return fmt.Errorf("approval: %w", err)
	}
	var fresh *Request
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		fresh = nil
		res, err := tx.Exec(`INSERT INTO requests (`+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?) ON CONFLICT (id) DO NOTHING`,
			r.ID, r.Tenant, r.Run, r.Step, r.Iteration, r.Kind, r.Text, r.Seal, null(r.Show), null(r.Fields), levels, max(1, r.Quorum), r.Requester, r.Silent, r.Opened.UnixNano(), r.Subject, r.Via)
		if err != nil {
			return fmt.Errorf("approval: open %s: %w", r.ID, err)
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return r.again(tx)
		}
		fresh = &r
		_, err = a.ledger.Append(tx, r.row("request.opened", ""), map[string]any{
			"kind": r.Kind, "text": r.Text, "seal": r.Seal, "show": r.Show, "levels": r.Levels, "quorum": r.Quorum, "requester": r.Requester, "silent": r.Silent, "subject": r.Subject, "via": r.Via,
		})
		return err
	})
	if err == nil {
		a.seen(fresh, "")
	}
	return err
}

// again compares a request with the stored one of its ID.
func (r *Request) again(tx *store.Tx) error {
	old, err := load(tx, r.ID, "")
	if err != nil {
		return err
	}
	if old.Tenant != r.Tenant || old.Run != r.Run || old.Kind != r.Kind || old.Seal != r.Seal {
		return fmt.Errorf("%w: %s", ErrChanged, r.ID)
	}
	return nil
}

func (r *Request) row(kind, actor string) ledger.Row {
	return ledger.Row{Kind: kind, Tenant: r.Tenant, Run: r.Run, Step: r.Step, Key: r.ID, Actor: actor}
}

// Vote stores a ballot and returns the vote. A ballot that may not count is
// refused, with an error of this package, and the refusal is in the ledger. The
// same ballot again is the same vote. It is received when Vote is called; a wait
// for the disk does not make it late, unless the request is decided meanwhile.
func (a *Approvals) Vote(ctx context.Context, b Ballot) (Vote, error) {
	var v Vote
	var refused error
	now := a.now().UTC()
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		v, refused = Vote{}, nil
		r, err := load(tx, b.Request, tx.ForUpdate())
		if errors.Is(err, ErrNotFound) || (err == nil && r.Tenant != b.Tenant) {
			refused = ErrNotFound
			r = &Request{ID: b.Request, Tenant: b.Tenant}
		} else if err != nil {
			return err
		}
		if refused == nil {
			if v, refused = r.repeated(b); v.ID != "" {
				return nil
			}
		}
		if refused == nil {
			refused = r.refuses(b, now)
		}
		if refused != nil {
			row := r.row("vote.refused", b.Actor)
			row.Ref = b.Ref
			_, err := a.ledger.Append(tx, row, map[string]any{"approve": b.Approve, "reason": refused.Error(), "seal": b.Seal})
			return err
		}
		v, err = a.put(tx, r, b, now)
		return err
	})
	if err != nil {
		return Vote{}, err
	}
	return v, refused
}

// repeated finds the actor's earlier vote: the same word is the same vote.
func (r *Request) repeated(b Ballot) (Vote, error) {
	for _, v := range r.Votes {
		if v.Actor != b.Actor {
			continue
		}
		if v.Approve == b.Approve && string(v.Answer) == string(b.Answer) {
			return v, nil
		}
		return Vote{}, ErrVoted
	}
	return Vote{}, nil
}

// refuses says why a ballot may not count, or nil.
func (r *Request) refuses(b Ballot, now time.Time) error {
	switch {
	case r.Decision != "" || r.tally(now).State == "approved" || r.tally(now).State == "denied":
		return ErrClosed
	case r.expired(now):
		return ErrExpired
	case r.Kind == Approval && r.Requester != "" && b.Actor == r.Requester:
		return ErrRequester
	case r.Seal != "" && b.Approve && b.Seal != r.Seal:
		return ErrSeal
	case untrusted(b.Actor) && r.Kind != Question:
		return ErrNotEntitled
	case !r.entitles(b.Names, now):
		return ErrNotEntitled
	}
	return nil
}

// entitles reports whether one of the names may decide at a time.
func (r *Request) entitles(names []string, now time.Time) bool {
	open, _ := r.level(now)
	for _, l := range r.Levels[:open] {
		for _, who := range l.Who {
			if slices.Contains(names, who) {
				return true
			}
		}
	}
	return false
}

func (a *Approvals) put(tx *store.Tx, r *Request, b Ballot, now time.Time) (Vote, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return Vote{}, fmt.Errorf("approval: %w", err)
	}
	v := Vote{ID: hex.EncodeToString(id), Actor: b.Actor, Approve: b.Approve, Reason: b.Reason, Answer: b.Answer, At: now}
	n := 0
	if b.Approve {
		n = 1
	}
	if _, err := tx.Exec(`INSERT INTO votes (id, request, actor, approve, reason, answer, at, delivered) VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
		v.ID, r.ID, v.Actor, n, v.Reason, null(v.Answer), now.UnixNano()); err != nil {
		return Vote{}, fmt.Errorf("approval: vote: %w", err)
	}
	row := r.row("vote.cast", b.Actor)
	row.Ref = b.Ref
	_, err := a.ledger.Append(tx, row, map[string]any{"approve": b.Approve, "reason": b.Reason, "answer": b.Answer, "seal": b.Seal, "names": b.Names})
	return v, err
}

// Tally tells how a request stands: as it was decided, or else as the votes and
// the time make it. It decides nothing; see Decide.
func (a *Approvals) Tally(ctx context.Context, id string, now time.Time) (Tally, error) {
	r, err := a.Get(ctx, id)
	if err != nil {
		return Tally{}, err
	}
	return r.Stands(now), nil
}

// Decide tells how a request stands at a time of the run's clock, and where that
// is its end, decides it in the same transaction: a vote is in time and counts,
// or comes after and is refused, and nobody is told otherwise. The run that asked
// calls it, as often as it likes; the first decision counts.
func (a *Approvals) Decide(ctx context.Context, id string, now time.Time) (Tally, error) {
	t, err := a.Tally(ctx, id, now)
	if err != nil || t.State == "open" {
		return t, err
	}
	var decided *Request
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		decided = nil
		r, err := load(tx, id, tx.ForUpdate())
		if err != nil {
			return err
		}
		if t = r.Stands(now); r.Decision != "" || t.State == "open" {
			return nil
		}
		decided = r
		return a.close(tx, r, t.State)
	})
	if err != nil {
		return Tally{}, err
	}
	a.seen(decided, t.State)
	return t, nil
}

// Close ends a request with its decision and the ledger entry. The first close
// counts, also where it was Decide's.
func (a *Approvals) Close(ctx context.Context, id, decision string) error {
	if !decisions[decision] {
		return fmt.Errorf("approval: close %s as approved, denied, expired or withdrawn, not %q", id, decision)
	}
	var decided *Request
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		decided = nil
		r, err := load(tx, id, tx.ForUpdate())
		if err != nil || r.Decision != "" {
			return err
		}
		decided = r
		return a.close(tx, r, decision)
	})
	if err == nil {
		a.seen(decided, decision)
	}
	return err
}

var decisions = map[string]bool{"approved": true, "denied": true, "expired": true, "withdrawn": true}

// close writes the decision on a locked request that has none.
func (a *Approvals) close(tx *store.Tx, r *Request, decision string) error {
	if _, err := tx.Exec(`UPDATE requests SET decision = ?, closed = ? WHERE id = ?`, decision, a.now().UnixNano(), r.ID); err != nil {
		return fmt.Errorf("approval: close %s: %w", r.ID, err)
	}
	by := make([]string, len(r.Votes))
	for i, v := range r.Votes {
		by[i] = v.Actor
	}
	_, err := a.ledger.Append(tx, r.row("request.closed", ""), map[string]any{"decision": decision, "votes": by})
	return err
}

func load(tx *store.Tx, id, lock string) (*Request, error) {
	r, err := scan(tx.QueryRow(`SELECT `+columns+` FROM requests WHERE id = ?`+lock, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return nil, fmt.Errorf("approval: read %s: %w", id, err)
	}
	return r, cmp.Or(votes(tx, []*Request{r}), events(tx, []*Request{r}))
}

type scanner interface{ Scan(...any) error }

func scan(s scanner) (*Request, error) {
	var r Request
	var show, fields, levels []byte
	var opened, closed int64
	err := s.Scan(&r.ID, &r.Tenant, &r.Run, &r.Step, &r.Iteration, &r.Kind, &r.Text, &r.Seal, &show, &fields, &levels,
		&r.Quorum, &r.Requester, &r.Silent, &opened, &closed, &r.Decision, &r.Subject, &r.Via)
	if err != nil {
		return nil, err
	}
	r.Show, r.Fields, r.Opened = show, fields, time.Unix(0, opened).UTC()
	if closed != 0 {
		r.Closed = time.Unix(0, closed).UTC()
	}
	return &r, json.Unmarshal(levels, &r.Levels)
}

// Get returns a request with its votes.
func (a *Approvals) Get(ctx context.Context, id string) (*Request, error) {
	var r *Request
	err := a.db.View(ctx, func(tx *store.Tx) (err error) {
		r, err = load(tx, id, "")
		return err
	})
	return r, err
}

func null(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return []byte(raw)
}
