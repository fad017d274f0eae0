package approval

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// What people do to a request beside voting on it.
const (
	HandedOver = "handed_over"
	Withdrawn  = "withdrawn"
	Commented  = "commented"
)

// ErrEmpty says that a comment or a hand-over says nothing.
var ErrEmpty = errors.New("say what, or whom to")

// Event is one thing that was done to a request.
type Event struct {
	ID, Kind, Actor, Text string
	// Names are whom it was handed over to.
	Names []string
	At    time.Time
}

// Deed is what somebody wants to do to a request, as the API received it.
type Deed struct {
	Tenant, Request string
	Actor           string
	// Names are the actor's roles and duties.
	Names []string
	Text  string
	// Ref is the API request.
	Ref string
}

// Comment adds a remark. Whoever may decide may, at any level, and who asked.
func (a *Approvals) Comment(ctx context.Context, d Deed) error {
	return a.do(ctx, d, Commented, nil, func(r *Request) bool { return r.concerns(d) })
}

// HandOver lets others decide too, from now on: names are roles, duties, or
// persons as chains name them. Who could decide before still can; the rules about
// requester and seal stay. A duty follows its shift by itself.
func (a *Approvals) HandOver(ctx context.Context, d Deed, to []string) error {
	return a.do(ctx, d, HandedOver, to, func(r *Request) bool { return r.entitles(d.Names, a.now()) })
}

// Withdraw takes a request back: it is denied without anybody's vote. Who asked
// may, and who may decide.
func (a *Approvals) Withdraw(ctx context.Context, d Deed) error {
	return a.do(ctx, d, Withdrawn, nil, func(r *Request) bool {
		return d.Actor == r.Requester || r.entitles(d.Names, a.now())
	})
}

// concerns reports whether somebody stands in the chain at all, or asked.
func (r *Request) concerns(d Deed) bool {
	return d.Actor == r.Requester || slices.ContainsFunc(r.Levels, func(l Level) bool {
		return slices.ContainsFunc(l.Who, func(w string) bool { return slices.Contains(d.Names, w) })
	})
}

// do stores an event with its ledger entry, or refuses it on record.
func (a *Approvals) do(ctx context.Context, d Deed, kind string, to []string, may func(*Request) bool) error {
	var refused error
	var withdrawn *Request
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		refused, withdrawn = nil, nil
		r, err := load(tx, d.Request, tx.ForUpdate())
		if errors.Is(err, ErrNotFound) || (err == nil && r.Tenant != d.Tenant) {
			refused, r = ErrNotFound, &Request{ID: d.Request, Tenant: d.Tenant}
		} else if err != nil {
			return err
		}
		switch {
		case refused != nil:
		case untrusted(d.Actor) || !may(r):
			refused = ErrNotEntitled
		case kind != Commented && (r.Decision != "" || r.Stands(a.now()).State != "open"):
			refused = ErrClosed
		case (kind == Commented && strings.TrimSpace(d.Text) == "") || (kind == HandedOver && len(to) == 0):
			refused = ErrEmpty
		}
		row := r.row("request."+kind, d.Actor)
		row.Ref = d.Ref
		if refused != nil {
			row.Kind = "request.refused"
			_, err := a.ledger.Append(tx, row, map[string]any{"what": kind, "reason": refused.Error()})
			return err
		}
		if kind == Withdrawn {
			withdrawn = r
		}
		return a.done(tx, r, d, kind, to, row)
	})
	if err != nil {
		return err
	}
	a.seen(withdrawn, Withdrawn)
	return refused
}

// done writes what was allowed.
func (a *Approvals) done(tx *store.Tx, r *Request, d Deed, kind string, to []string, row ledger.Row) error {
	now, told := a.now().UTC(), 1
	if kind == Withdrawn {
		told = 0 // the run waits
	}
	names, err := json.Marshal(to)
	if err != nil {
		return fmt.Errorf("approval: %w", err)
	}
	if _, err := tx.Exec(`INSERT INTO request_events (id, request, kind, actor, text, names, at, delivered) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		"e-"+strings.ToLower(rand.Text()), r.ID, kind, d.Actor, d.Text, names, now.UnixNano(), told); err != nil {
		return fmt.Errorf("approval: %s %s: %w", kind, r.ID, err)
	}
	if _, err := a.ledger.Append(tx, row, map[string]any{"text": d.Text, "to": to}); err != nil {
		return err
	}
	switch kind {
	case HandedOver:
		return a.widen(tx, r, to, now)
	case Withdrawn:
		return a.close(tx, r, Withdrawn)
	}
	return nil
}

// widen adds names to the level that is open now.
func (a *Approvals) widen(tx *store.Tx, r *Request, to []string, now time.Time) error {
	open, _ := r.level(now)
	if open == 0 {
		return nil
	}
	l := &r.Levels[open-1]
	for _, who := range to {
		if !slices.Contains(l.Who, who) {
			l.Who = append(l.Who, who)
		}
	}
	raw, err := json.Marshal(r.Levels)
	if err != nil {
		return fmt.Errorf("approval: %w", err)
	}
	if _, err := tx.Exec(`UPDATE requests SET levels = ? WHERE id = ?`, raw, r.ID); err != nil {
		return fmt.Errorf("approval: hand over %s: %w", r.ID, err)
	}
	return nil
}

// withdrawn is how a request stands that was taken back, by a person or because
// nobody waits for it any more.
func (r *Request) withdrawn() Tally {
	t := Tally{State: "denied", Reason: "withdrawn", Withdrawn: true}
	for _, e := range r.Events {
		if e.Kind == Withdrawn {
			t.By, t.Reason = []string{e.Actor}, strings.TrimSuffix("withdrawn: "+e.Text, ": ")
		}
	}
	return t
}

// untrusted reports whether an actor is an affected person whom a run asked; see
// run.Subject. Such a one answers questions and decides nothing.
func untrusted(actor string) bool { return strings.HasPrefix(actor, "subject:") }
