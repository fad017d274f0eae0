package ledger

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/quell-soar/quell/internal/store"
)

// kindPruned is the entry by which rows left the store.
const kindPruned = "ledger.pruned"

// pruning is the payload of a ledger.pruned entry.
type pruning struct {
	// Upto is the last row that is gone, Hash the chain's hash after it in hex.
	Upto int64  `json:"upto"`
	Hash string `json:"hash"`
	// Until is when the last row was written that is gone.
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// Base is where the ledger in the store begins.
type Base struct {
	// Seq is the last row that left the store; 0 where all are there.
	Seq int64
	// Hash is the chain's hash after it.
	Hash []byte
	// Until is when it was written.
	Until time.Time
}

// Base tells where the ledger in the store begins.
func (l *Ledger) Base(ctx context.Context) (b Base, err error) {
	err = l.db.View(ctx, func(tx *store.Tx) (err error) {
		b, err = base(tx)
		return err
	})
	if err != nil {
		return b, fmt.Errorf("ledger: base: %w", err)
	}
	return b, nil
}

func base(tx *store.Tx) (Base, error) {
	b := Base{Hash: make([]byte, sha256.Size)}
	var until int64
	err := tx.QueryRow(`SELECT seq, hash, until FROM ledger_base WHERE id = 1`).Scan(&b.Seq, &b.Hash, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return b, nil
	}
	b.Until = time.Unix(0, until).UTC()
	return b, err
}

// pruneStep is how many rows leave the store at once, with one entry that says so.
// Fewer stay: else a ledger at rest would write one entry for each that goes.
const pruneStep = 500

// Pruning says which rows may leave the store.
type Pruning struct {
	// Upto is the last row that may go, Before the time that all of them are older
	// than.
	Upto   int64
	Before time.Time
	// Keeps tells whether the rows of a run must stay, and so all after them.
	Keeps func(ctx context.Context, run string) (bool, error)
	// Exported opens the export at the row after a number, or before it.
	Exported      func(after int64) (io.ReadCloser, error)
	Actor, Reason string
	// Step is how many go at once, no fewer and no more; 0 is 500.
	Step int
}

// ErrNotExported says that an export has not, byte for byte, what the store has.
var ErrNotExported = errors.New("the export does not have the rows as the store has them")

// Prune lets the oldest rows leave the store with their payloads, a step of them, and
// puts that on record. It does so only where all of them may go, hang together, are
// under the tree that was signed last, and stand in the export, which is read for it.
// The hashes stay by which the rest is proved. It returns how many rows went, 0 where
// there are not so many yet; it may be called at any time, by one caller.
func (l *Ledger) Prune(ctx context.Context, p Pruning) (int64, error) {
	if p.Step == 0 {
		p.Step = pruneStep
	}
	var rows []stored
	var from Base
	err := l.db.View(ctx, func(tx *store.Tx) (err error) {
		if from, err = base(tx); err == nil {
			rows, err = oldest(tx, from, p)
		}
		return err
	})
	if err == nil {
		rows, err = p.may(ctx, rows)
	}
	if err != nil || len(rows) < p.Step {
		return 0, wrapPrune(err)
	}
	if err := p.compare(from.Seq, rows); err != nil {
		return 0, wrapPrune(err)
	}
	last := rows[len(rows)-1]
	to := Base{Seq: last.Seq, Hash: last.hash, Until: last.at()}
	err = l.db.Update(ctx, func(tx *store.Tx) error { return l.prune(tx, from, to, p) })
	if err != nil {
		return 0, wrapPrune(err)
	}
	return int64(len(rows)), nil
}

func wrapPrune(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ledger: prune: %w", err)
}

// stored is a row as it lies in the store.
type stored struct {
	Row
	raw, hash []byte
	// bare says that it has no payload any more.
	bare bool
}

func (s stored) at() time.Time { return time.Unix(0, s.Time).UTC() }

// oldest reads the first rows in the store, as far as they are under a checkpoint,
// and checks that the chain and the tree know them as they stand.
func oldest(tx *store.Tx, from Base, p Pruning) ([]stored, error) {
	var signed sql.NullInt64
	if err := tx.QueryRow(`SELECT MAX(size) FROM ledger_checkpoints`).Scan(&signed); err != nil {
		return nil, err
	}
	if min(p.Upto, signed.Int64) < from.Seq+int64(p.Step) {
		return nil, nil
	}
	list, err := storedAfter(tx, from.Seq, p.Step)
	if err != nil {
		return nil, err
	}
	hashes := reader(tx)
	prev := from.Hash
	for i, s := range list {
		place := from.Seq + int64(i) + 1
		if s.Seq != place {
			return nil, &DamagedError{place, "it is missing"}
		}
		if prev = chain(prev, s.raw); !bytes.Equal(prev, s.hash) {
			return nil, &DamagedError{place, "it was changed, or the one before it"}
		}
		want, err := tlog.StoredHashesForRecordHash(place-1, tlog.RecordHash(s.raw), hashes)
		if err != nil {
			return nil, err
		}
		at := tlog.StoredHashIndex(0, place-1)
		for j, h := range want {
			got, err := hashes.ReadHashes([]int64{at + int64(j)})
			if err != nil {
				return nil, err
			}
			if got[0] != h {
				return nil, &DamagedError{place, "the stored tree does not know it as it stands"}
			}
		}
	}
	return list, nil
}

func storedAfter(tx *store.Tx, after int64, most int) (list []stored, err error) {
	rows, err := tx.Query(`SELECT r.row_bytes, r.hash, p.seq IS NULL FROM ledger_rows r LEFT JOIN ledger_payloads p ON p.seq = r.seq
		WHERE r.seq > ? ORDER BY r.seq LIMIT ?`, after, most)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s stored
		if err := rows.Scan(&s.raw, &s.hash, &s.bare); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(s.raw, &s.Row); err != nil {
			return nil, &DamagedError{after + int64(len(list)) + 1, "it is not JSON"}
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// may cuts off what may not go: from the first row that is too young or whose run
// keeps it.
func (p Pruning) may(ctx context.Context, rows []stored) ([]stored, error) {
	asked := map[string]bool{}
	for i, s := range rows {
		if !s.at().Before(p.Before) {
			return rows[:i], nil
		}
		if s.Run == "" || asked[s.Run] {
			continue
		}
		keeps, err := p.Keeps(ctx, s.Run)
		if err != nil || keeps {
			return rows[:i], err
		}
		asked[s.Run] = true
	}
	return rows, nil
}

// compare reads the rows out of the export.
func (p Pruning) compare(after int64, rows []stored) (err error) {
	in, err := p.Exported(after)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 64<<20)
	for len(rows) > 0 && sc.Scan() {
		var l line
		var r Row
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			return fmt.Errorf("%w: a line before row %d is none of an export", ErrNotExported, rows[0].Seq)
		}
		if l.Type != "row" || json.Unmarshal(l.Row, &r) == nil && r.Seq < rows[0].Seq {
			continue
		}
		bare := len(l.Salt) == 0 && len(l.Body) == 0
		same := bytes.Equal(l.Row, rows[0].raw) && bytes.Equal(l.Hash, rows[0].hash)
		if !same || bare && !rows[0].bare || !bare && payloadDigest(l.Salt, l.Body) != rows[0].Payload {
			return fmt.Errorf("%w: row %d is another there", ErrNotExported, rows[0].Seq)
		}
		rows = rows[1:]
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("read the export: %w", err)
	}
	if len(rows) > 0 {
		return fmt.Errorf("%w: row %d is not there", ErrNotExported, rows[0].Seq)
	}
	return nil
}

// prune moves the base, and checks that the last checkpoint holds over what is left.
func (l *Ledger) prune(tx *store.Tx, from, to Base, p Pruning) error {
	if _, _, err := l.lockHead(tx); err != nil {
		return err
	}
	if now, err := base(tx); err != nil {
		return err
	} else if now.Seq != from.Seq {
		return fmt.Errorf("another process prunes this ledger too: give retention.export to one server only")
	}
	edge := edgeOf(to.Seq)
	args := []any{tlog.StoredHashCount(to.Seq)}
	for _, idx := range edge {
		args = append(args, idx)
	}
	for _, s := range []struct {
		q    string
		args []any
	}{
		{`DELETE FROM ledger_payloads WHERE seq <= ?`, []any{to.Seq}},
		{`DELETE FROM ledger_rows WHERE seq <= ?`, []any{to.Seq}},
		{`DELETE FROM ledger_marks WHERE seq <= ?`, []any{to.Seq}},
		{`DELETE FROM ledger_checkpoints WHERE size < ?`, []any{to.Seq}},
		{`DELETE FROM ledger_hashes WHERE idx < ? AND idx NOT IN (?` + strings.Repeat(", ?", len(edge)-1) + `)`, args},
		{`INSERT INTO ledger_base (id, seq, hash, until) VALUES (1, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, until = excluded.until`, []any{to.Seq, to.Hash, to.Until.UnixNano()}},
	} {
		if _, err := tx.Exec(s.q, s.args...); err != nil {
			return err
		}
	}
	done, err := treeSize(tx)
	if err != nil {
		return err
	}
	if _, err := l.lastSigned(tx, done, reader(tx)); err != nil {
		return err
	}
	_, err = l.Append(tx, Row{Kind: kindPruned, Actor: p.Actor}, pruning{Upto: to.Seq, Hash: hex.EncodeToString(to.Hash), Until: to.Until, Reason: p.Reason})
	return err
}

// edgeOf lists the stored hashes, in their order, that stand for the first n rows:
// the largest whole subtrees of RFC 6962 over them, from the left.
func edgeOf(n int64) (idx []int64) {
	for level, done := 62, int64(0); level >= 0; level-- {
		if size := int64(1) << level; n&size != 0 {
			idx = append(idx, tlog.StoredHashIndex(level, done>>level))
			done += size
		}
	}
	return idx
}

// told says whether an entry tells that the rows up to b left.
func (b Base) told(r Row, body []byte) bool {
	var p pruning
	return r.Kind == kindPruned && json.Unmarshal(body, &p) == nil && p.Upto == b.Seq && p.Hash == hex.EncodeToString(b.Hash)
}
