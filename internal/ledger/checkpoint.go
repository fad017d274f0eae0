package ledger

import (
	"context"
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

// Run signs a checkpoint within a second of new rows, until ctx ends. A fault is
// left to the next round: the chain covers the rows meanwhile.
func (l *Ledger) Run(ctx context.Context, report func(error)) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		select {
		case <-l.nudge:
		default:
			continue
		}
		if _, err := l.Sign(ctx); err != nil && ctx.Err() == nil {
			report(err)
			select {
			case l.nudge <- struct{}{}:
			default:
			}
		}
	}
}

// Sign extends the tree over all rows and signs a checkpoint. It may be called
// at any time, by several processes at once.
func (l *Ledger) Sign(ctx context.Context) (Checkpoint, error) {
	var c Checkpoint
	for {
		more := false
		err := l.db.Update(ctx, func(tx *store.Tx) (err error) {
			more, c, err = l.extend(tx)
			return err
		})
		if err != nil {
			return Checkpoint{}, fmt.Errorf("ledger: sign: %w", err)
		}
		if !more {
			return c, l.publish(c)
		}
	}
}

// extend adds up to a thousand rows to the tree, and signs once it is complete.
func (l *Ledger) extend(tx *store.Tx) (more bool, c Checkpoint, err error) {
	head, _, err := l.lockHead(tx)
	if err != nil {
		return false, c, err
	}
	done, err := treeSize(tx)
	if err != nil {
		return false, c, err
	}
	const chunk = 1000
	leaves, err := leavesAfter(tx, done, chunk)
	if err != nil {
		return false, c, err
	}
	hashes := reader(tx)
	for i, leaf := range leaves {
		n := done + int64(i)
		stored, err := tlog.StoredHashesForRecordHash(n, leaf, hashes)
		if err != nil {
			return false, c, err
		}
		at := tlog.StoredHashIndex(0, n)
		for j, h := range stored {
			if _, err := tx.Exec(`INSERT INTO ledger_hashes (idx, hash) VALUES (?, ?)`, at+int64(j), h[:]); err != nil {
				return false, c, err
			}
		}
	}
	if size := done + int64(len(leaves)); size < head {
		return true, c, nil
	}
	c, err = l.sign(head, hashes)
	if err != nil || head == 0 {
		return false, c, err
	}
	_, err = tx.Exec(`INSERT INTO ledger_checkpoints (size, note, made) VALUES (?, ?, ?) ON CONFLICT (size) DO NOTHING`, c.Size, c.Note, l.now().UnixNano())
	return false, c, err
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

// publish appends a checkpoint to the outside file.
func (l *Ledger) publish(c Checkpoint) error {
	if l.Outside == "" || c.Size == 0 {
		return nil
	}
	f, err := os.OpenFile(l.Outside, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // checkpoints are public
	if err != nil {
		return fmt.Errorf("ledger: outside checkpoint: %w", err)
	}
	_, err = f.WriteString(c.Note + "\n")
	return errors.Join(err, f.Close())
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

func leavesAfter(tx *store.Tx, done int64, limit int) ([]tlog.Hash, error) {
	rows, err := tx.Query(`SELECT row_bytes FROM ledger_rows WHERE seq > ? ORDER BY seq LIMIT ?`, done, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []tlog.Hash
	for rows.Next() {
		var raw []byte
		if err := rows.Scan(&raw); err != nil {
			return nil, err
		}
		out = append(out, tlog.RecordHash(raw))
	}
	return out, rows.Err()
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
