package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/quell-soar/quell/internal/failpoint"
	"github.com/quell-soar/quell/internal/store"
)

// Checkpoint is a signed statement of the ledger's state.
type Checkpoint struct {
	// Size is the number of rows that it covers.
	Size int64
	// Root is the tree's root over them.
	Root tlog.Hash
	// Note is the signed text.
	Note string
}

// pace is how often Run looks: a commit just after a round is under a signature
// within a second.
const pace = 500 * time.Millisecond

// Run signs a checkpoint within a second of new rows, until ctx ends, and once
// more then. It begins with what an earlier process left unsigned. A fault is
// reported and left to the next round: the chain covers the rows meanwhile. A
// *DamagedError comes back in every round and means that nothing is signed any
// more.
func (l *Ledger) Run(ctx context.Context, report func(error)) {
	l.wake()
	t := time.NewTicker(pace)
	defer t.Stop()
	for {
		l.round(ctx, report)
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			l.round(last, report)
			return
		case <-t.C:
		}
	}
}

func (l *Ledger) round(ctx context.Context, report func(error)) {
	select {
	case <-l.nudge:
	default:
		return
	}
	if _, err := l.Sign(ctx); err != nil {
		l.wake()
		if ctx.Err() == nil {
			report(err)
		}
	}
}

// Sign extends the tree over all rows and signs a checkpoint. It may be called
// at any time, by several processes at once. It signs nothing that does not hang
// together: rows that were cut off under the tree, a broken chain, a tree that
// the last checkpoint does not know are a *DamagedError.
func (l *Ledger) Sign(ctx context.Context) (Checkpoint, error) {
	var c Checkpoint
	for {
		more := false
		err := l.db.Update(ctx, func(tx *store.Tx) (err error) {
			more, c, err = l.extend(tx)
			failpoint.Here("ledger.signing", strconv.FormatInt(c.Size, 10))
			return err
		})
		if err != nil {
			return Checkpoint{}, fmt.Errorf("ledger: sign: %w", err)
		}
		failpoint.Here("ledger.signed", strconv.FormatInt(c.Size, 10))
		if !more {
			return c, l.publish(c)
		}
	}
}

// DamagedError says at which row the stored ledger stopped fitting together.
type DamagedError struct {
	Seq     int64
	Problem string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("row %d: %s; nothing is signed until the ledger is restored from a backup: run quell audit verify", e.Seq, e.Problem)
}

// chunk is how many rows one transaction adds to the tree.
const chunk = 1000

// extend adds rows to the tree, and signs once it is complete.
func (l *Ledger) extend(tx *store.Tx) (more bool, c Checkpoint, err error) {
	head, hash, err := l.lockHead(tx)
	if err != nil {
		return false, c, err
	}
	done, err := treeSize(tx)
	if err != nil {
		return false, c, err
	}
	if done > head {
		return false, c, &DamagedError{head + 1, fmt.Sprintf("rows %d to %d are under the tree and gone from the ledger", head+1, done)}
	}
	hashes := reader(tx)
	last, err := l.lastSigned(tx, done, hashes)
	if err != nil || head == 0 || (last.Size == head && done == head) {
		return false, last, err
	}
	leaves, at, err := leavesAfter(tx, done)
	if err != nil {
		return false, c, err
	}
	if err := grow(tx, done, leaves, hashes); err != nil {
		return false, c, err
	}
	if size := done + int64(len(leaves)); size < head {
		if len(leaves) < chunk {
			return false, c, &DamagedError{size + 1, "it is missing"}
		}
		return true, c, nil
	}
	if !bytes.Equal(at, hash) {
		return false, c, &DamagedError{head, "the head does not continue from it"}
	}
	if c, err = l.sign(head, hashes); err != nil {
		return false, c, err
	}
	_, err = tx.Exec(`INSERT INTO ledger_checkpoints (size, note, made) VALUES (?, ?, ?) ON CONFLICT (size) DO NOTHING`, c.Size, c.Note, l.now().UnixNano())
	return false, c, err
}

// lastSigned returns the newest checkpoint, or one of size 0, and checks that the
// tree still says the same. One that another key signed is no measure and is
// passed over; the verifier will name it.
func (l *Ledger) lastSigned(tx *store.Tx, done int64, hashes tlog.HashReader) (Checkpoint, error) {
	var text string
	err := tx.QueryRow(`SELECT note FROM ledger_checkpoints ORDER BY size DESC LIMIT 1`).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := openCheckpoint(text, l.key.Public)
	if err != nil {
		return Checkpoint{}, nil //nolint:nilerr // see above
	}
	if c.Size > done {
		return c, &DamagedError{done + 1, fmt.Sprintf("the last checkpoint covers %d rows and the tree has %d", c.Size, done)}
	}
	if root, err := tlog.TreeHash(c.Size, hashes); err != nil || root != c.Root {
		return c, &DamagedError{c.Size, "the stored tree up to it is not the one that was signed"}
	}
	return c, nil
}

// grow adds leaves to a tree of done rows.
func grow(tx *store.Tx, done int64, leaves []tlog.Hash, hashes tlog.HashReader) error {
	for i, leaf := range leaves {
		n := done + int64(i)
		stored, err := tlog.StoredHashesForRecordHash(n, leaf, hashes)
		if err != nil {
			return err
		}
		at := tlog.StoredHashIndex(0, n)
		for j, h := range stored {
			if _, err := tx.Exec(`INSERT INTO ledger_hashes (idx, hash) VALUES (?, ?)`, at+int64(j), h[:]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Ledger) sign(size int64, hashes tlog.HashReader) (Checkpoint, error) {
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return Checkpoint{}, err
	}
	signed, err := note.Sign(&note.Note{Text: checkpointText(size, root)}, l.key.signer)
	return Checkpoint{Size: size, Root: root, Note: string(signed)}, err
}

func checkpointText(size int64, root tlog.Hash) string {
	return origin + "\n" + strconv.FormatInt(size, 10) + "\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"
}

// publish appends a checkpoint to the outside file, unless it stands there.
func (l *Ledger) publish(c Checkpoint) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Outside == "" || c.Size <= l.published {
		return nil
	}
	f, err := os.OpenFile(l.Outside, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // checkpoints are public
	if err != nil {
		return fmt.Errorf("ledger: outside checkpoint: %w", err)
	}
	_, err = f.WriteString(c.Note + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("ledger: outside checkpoint: %w", err)
	}
	l.published = c.Size
	return nil
}

// treeSize is the number of rows in the tree: leaf n stands at a known index.
func treeSize(tx *store.Tx) (int64, error) {
	var last sql.NullInt64
	if err := tx.QueryRow(`SELECT MAX(idx) FROM ledger_hashes`).Scan(&last); err != nil || !last.Valid {
		return 0, err
	}
	// The last leaf's hashes end at last: find it by halving.
	lo, hi := int64(0), last.Int64+1
	for lo < hi {
		mid := (lo + hi) / 2
		if tlog.StoredHashCount(mid+1) <= last.Int64+1 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// leavesAfter reads up to a chunk of rows after done and checks their chain. It
// returns their leaves and the chain's hash after them.
func leavesAfter(tx *store.Tx, done int64) (leaves []tlog.Hash, at []byte, err error) {
	at = make([]byte, sha256.Size)
	if done > 0 {
		err := tx.QueryRow(`SELECT hash FROM ledger_rows WHERE seq = ?`, done).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			var b Base
			if b, err = base(tx); err == nil && b.Seq != done {
				err = &DamagedError{done, "it is missing"}
			}
			at = b.Hash
		}
		if err != nil {
			return nil, nil, err
		}
	}
	rows, err := tx.Query(`SELECT seq, row_bytes, hash FROM ledger_rows WHERE seq > ? ORDER BY seq LIMIT ?`, done, chunk)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var seq int64
		var raw, hash []byte
		if err := rows.Scan(&seq, &raw, &hash); err != nil {
			return nil, nil, err
		}
		if want := done + int64(len(leaves)) + 1; seq != want {
			return nil, nil, &DamagedError{want, "it is missing"}
		}
		if at = chain(at, raw); !bytes.Equal(at, hash) {
			return nil, nil, &DamagedError{seq, "it was changed, or the one before it"}
		}
		leaves = append(leaves, tlog.RecordHash(raw))
	}
	return leaves, at, rows.Err()
}

// reader reads stored hashes within a transaction.
func reader(tx *store.Tx) tlog.HashReader {
	return tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			var h []byte
			if err := tx.QueryRow(`SELECT hash FROM ledger_hashes WHERE idx = ?`, x).Scan(&h); err != nil {
				return nil, fmt.Errorf("stored hash %d: %w", x, err)
			}
			copy(out[i][:], h)
		}
		return out, nil
	})
}

// Latest returns the newest checkpoint, or one of size 0.
func (l *Ledger) Latest(ctx context.Context) (Checkpoint, error) {
	var c Checkpoint
	err := l.db.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT size, note FROM ledger_checkpoints ORDER BY size DESC LIMIT 1`).Scan(&c.Size, &c.Note)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil || c.Size == 0 {
		return c, err
	}
	c, err = openCheckpoint(c.Note, l.key.Public)
	return c, err
}

// openCheckpoint verifies a note's signature and reads it.
func openCheckpoint(text, public string) (Checkpoint, error) {
	v, err := note.NewVerifier(public)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("the public key is not one of note's form")
	}
	n, err := note.Open([]byte(text), note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("the checkpoint's signature does not hold: %w", err)
	}
	if _, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64); err != nil {
		return Checkpoint{}, fmt.Errorf("the checkpoint's signature is not written as it was made")
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != origin {
		return Checkpoint{}, fmt.Errorf("the note is no checkpoint of a ledger")
	}
	c := Checkpoint{Note: text}
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return Checkpoint{}, fmt.Errorf("the checkpoint's size is no number")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, fmt.Errorf("the checkpoint's root is no hash")
	}
	copy(c.Root[:], root)
	return c, nil
}
