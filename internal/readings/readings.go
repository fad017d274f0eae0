package readings

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Reading is one answer to a read.
type Reading struct {
	Tenant, Run, Step, Iteration string
	Action, Instance             string
	// Inputs is canonical JSON.
	Inputs json.RawMessage
	// Output is the whole answer as canonical JSON; empty with Error.
	Output json.RawMessage
	// Error is the kind of a failure, Message its text.
	Error, Message string
	At             time.Time
}

// Bounds of what is kept.
const (
	// MaxOutput is the largest answer, in bytes, that is kept.
	MaxOutput = 256 << 10

	waiting   = 4096
	mostBytes = 32 << 20 // of the answers that wait to be written, together
	batch     = 256
	flushTime = 250 * time.Millisecond
	pruneTime = time.Hour
)

// Schema makes the table of readings.
func Schema() store.Schema {
	return store.Schema{Name: "readings", Steps: []string{
		`CREATE TABLE readings (
			id TEXT PRIMARY KEY, tenant TEXT NOT NULL, run TEXT NOT NULL, step TEXT NOT NULL, iteration TEXT NOT NULL,
			action TEXT NOT NULL, instance TEXT NOT NULL, asked TEXT NOT NULL, inputs BLOB NOT NULL, output BLOB,
			error TEXT NOT NULL, message TEXT NOT NULL, at BIGINT NOT NULL)`,
		`CREATE INDEX readings_run ON readings (run, at)`,
		`CREATE INDEX readings_at ON readings (at)`,
	}}
}

// Readings keeps answers. It may be used from several goroutines.
type Readings struct {
	db      *store.DB
	now     func() time.Time
	keep    time.Duration
	queue   chan Reading
	flush   chan chan error
	dropped atomic.Int64
	// bytes are those of the answers that wait to be written.
	bytes atomic.Int64
}

// New opens the room, which keeps answers for that long; its tables must be there
// (Schema), and Run must be running for anything to be written.
func New(db *store.DB, now func() time.Time, keep time.Duration) *Readings {
	return &Readings{db: db, now: now, keep: keep, queue: make(chan Reading, waiting), flush: make(chan chan error)}
}

// Keep takes an answer and returns at once. Where too many wait to be written, or
// the answer is too large, it is dropped: see Dropped.
func (r *Readings) Keep(one Reading) {
	if len(one.Output) > MaxOutput {
		r.dropped.Add(1)
		return
	}
	if one.At.IsZero() {
		one.At = r.now()
	}
	if r.bytes.Add(one.size()) <= mostBytes {
		select {
		case r.queue <- one:
			return
		default:
		}
	}
	r.bytes.Add(-one.size())
	r.dropped.Add(1)
}

func (r Reading) size() int64 { return int64(len(r.Inputs) + len(r.Output) + len(r.Message)) }

// Dropped counts the answers that were not kept since the start.
func (r *Readings) Dropped() int64 { return r.dropped.Load() }

// Run writes what Keep takes until ctx ends, and what is left then. warn is told of
// batches that could not be written; they are dropped.
func (r *Readings) Run(ctx context.Context, warn func(error)) {
	tick, prune := time.NewTicker(flushTime), time.NewTicker(max(time.Second, min(pruneTime, r.keep/4)))
	defer tick.Stop()
	defer prune.Stop()
	var list []Reading
	put := func(ctx context.Context) error {
		if len(list) == 0 {
			return nil
		}
		err := r.put(ctx, list)
		if err != nil {
			r.dropped.Add(int64(len(list)))
			warn(err)
		}
		for _, one := range list {
			r.bytes.Add(-one.size())
		}
		clear(list) // what was written is not held until others take its place
		list = list[:0]
		return err
	}
	for {
		select {
		case one := <-r.queue:
			if list = append(list, one); len(list) >= batch {
				_ = put(ctx)
			}
		case <-tick.C:
			_ = put(ctx)
		case done := <-r.flush:
			list = r.drain(list)
			done <- put(ctx)
		case <-prune.C:
			if err := r.Prune(ctx, r.now().Add(-r.keep)); err != nil {
				warn(err)
			}
		case <-ctx.Done():
			list = r.drain(list)
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_ = put(last)
			return
		}
	}
}

func (r *Readings) drain(list []Reading) []Reading {
	for {
		select {
		case one := <-r.queue:
			list = append(list, one)
		default:
			return list
		}
	}
}

// Flush waits until what was kept before is written. Run must be running.
func (r *Readings) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case r.flush <- done:
		return <-done
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Readings) put(ctx context.Context, list []Reading) error {
	return r.db.Update(ctx, func(tx *store.Tx) error {
		for _, one := range list {
			_, err := tx.Exec(`INSERT INTO readings (id, tenant, run, step, iteration, action, instance, asked, inputs, output, error, message, at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				rand.Text(), one.Tenant, one.Run, one.Step, one.Iteration, one.Action, one.Instance, digest(one.Inputs), []byte(one.Inputs), null(one.Output),
				one.Error, one.Message, one.At.UnixNano())
			if err != nil {
				return fmt.Errorf("readings: %w", err)
			}
		}
		return nil
	})
}

func null(raw []byte) any {
	if len(raw) == 0 {
		return nil
	}
	return raw
}

func digest(inputs []byte) string {
	sum := sha256.Sum256(inputs)
	return hex.EncodeToString(sum[:])
}

// Prune forgets answers from before a time.
func (r *Readings) Prune(ctx context.Context, before time.Time) error {
	return r.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM readings WHERE at < ?`, before.UnixNano()); err != nil {
			return fmt.Errorf("readings: prune: %w", err)
		}
		return nil
	})
}

// Of lists the answers to reads of runs, in the order in which they came.
func (r *Readings) Of(ctx context.Context, runs ...string) ([]Reading, error) {
	var out []Reading
	err := r.db.View(ctx, func(tx *store.Tx) error {
		out = nil
		for _, chunk := range chunks(runs) {
			args := make([]any, len(chunk))
			for i, id := range chunk {
				args[i] = id
			}
			rows, err := tx.Query(`SELECT tenant, run, step, iteration, action, instance, inputs, output, error, message, at FROM readings
				WHERE run IN (?`+strings.Repeat(", ?", len(chunk)-1)+`) ORDER BY at, id`, args...)
			if err != nil {
				return err
			}
			for rows.Next() {
				var one Reading
				var inputs, output []byte
				var at int64
				if err := rows.Scan(&one.Tenant, &one.Run, &one.Step, &one.Iteration, &one.Action, &one.Instance, &inputs, &output, &one.Error, &one.Message, &at); err != nil {
					_ = rows.Close()
					return err
				}
				one.Inputs, one.Output, one.At = inputs, output, time.Unix(0, at).UTC()
				out = append(out, one)
			}
			if err := rows.Err(); err != nil {
				return err
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("readings: of %d runs: %w", len(runs), err)
	}
	return out, nil
}

// chunks keeps the number of a statement's values small.
func chunks(list []string) [][]string {
	const most = 200
	var out [][]string
	for len(list) > most {
		out, list = append(out, list[:most]), list[most:]
	}
	if len(list) > 0 {
		out = append(out, list)
	}
	return out
}
