package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quell-soar/quell/internal/disk"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/server/api"
)

// note is one entry that the API writes into the ledger.
type note struct {
	kind, tenant, actor string
	run, key            string
	// request is the API request that caused it.
	request string
	data    any
}

// note writes an entry within the caller's transaction.
func (r Rooms) note(tx *store.Tx, n note) error {
	_, err := r.Ledger.Append(tx, ledger.Row{Kind: n.kind, Tenant: n.tenant, Run: n.run, Key: n.key, Actor: n.actor, Ref: n.request}, n.data)
	return err
}

// write is note in a transaction of its own.
func (r Rooms) write(ctx context.Context, n note) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error { return r.note(tx, n) })
}

// entriesOf lists ledger entries after a number, of one run where run is not
// empty.
func (r Rooms) entriesOf(ctx context.Context, run string, after uint64, limit int) ([]api.Entry, error) {
	list, err := r.Ledger.Read(ctx, ledger.Filter{Run: run, After: int64(after), Limit: limit}) //nolint:gosec // parsed with 63 bits
	if err != nil {
		return nil, err
	}
	out := make([]api.Entry, len(list))
	for i, e := range list {
		out[i] = api.Entry{
			Seq: uint64(e.Seq), At: e.At(), Kind: e.Kind, Actor: e.Actor, Run: e.Run, Step: e.Step, Key: e.Key, Request: e.Ref, //nolint:gosec // counts from 1
			Digest: e.Row.Payload, Payload: e.Body, Erased: len(e.Body) == 0,
		}
	}
	return out, nil
}

// ledgerReady says why nothing could be recorded, or nil.
func (r Rooms) ledgerReady(ctx context.Context) error {
	if _, err := r.Ledger.Latest(ctx); err != nil {
		return fmt.Errorf("the ledger's last checkpoint does not hold: %w; run quell audit verify", err)
	}
	return nil
}

// export writes the ledger in pieces: a flush for each row would cost a
// system call each.
func (r Rooms) export(ctx context.Context, w io.Writer) error {
	b := bufio.NewWriterSize(w, 64<<10)
	return errors.Join(r.Ledger.Export(ctx, b), b.Flush())
}

func (r Rooms) checkpoint(ctx context.Context) (api.Checkpoint, error) {
	c, err := r.Ledger.Latest(ctx)
	if err != nil {
		return api.Checkpoint{}, err
	}
	tail, err := r.Ledger.Read(ctx, ledger.Filter{After: c.Size})
	if err != nil {
		return api.Checkpoint{}, err
	}
	return api.Checkpoint{Note: c.Note, Size: uint64(c.Size), Tail: uint64(len(tail))}, nil //nolint:gosec // counts from 0
}

// spaceAgain is when to come back to a full disk.
const spaceAgain = 30 * time.Second

// domainProblem maps the rooms' errors to what the caller is told; nil for one
// that is nobody's mistake but ours.
func domainProblem(err error) *api.Error {
	switch {
	case errors.Is(err, runs.ErrNotFound):
		return api.Problem(api.CodeNotFound, err.Error())
	case errors.Is(err, runs.ErrKeyReused):
		return api.Problem(api.CodeConflict, err.Error())
	case errors.Is(err, store.ErrCursor):
		return api.Problem(api.CodeInvalid, err.Error())
	case errors.Is(err, store.ErrClosed):
		return api.Problem(api.CodeNotReady, "the server is stopping; try again in a moment")
	}
	if p := registryProblem(err); p != nil {
		return p
	}
	var low *disk.LowError
	if errors.As(err, &low) {
		p := api.Problem(api.CodeNotReady, err.Error())
		p.RetryAfter = spaceAgain
		return p
	}
	if p := intakeProblem(err); p != nil {
		return p
	}
	return authProblem(err)
}
