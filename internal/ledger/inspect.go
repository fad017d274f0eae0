package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/quell-soar/quell/internal/store"
)

// VerifyWhole verifies the ledger in the store as VerifyStore does and, where rows
// left it, the export that has them: from the first row of all, and that the store
// goes on where they end. An outside checkpoint is held against the one that has its
// rows. exported is called at most once; an error of it is a finding.
func (l *Ledger) VerifyWhole(ctx context.Context, outside string, exported func() (io.ReadCloser, error)) (rep Report, err error) {
	b, err := l.Base(ctx)
	if err != nil {
		return rep, err
	}
	t := Trust{Public: l.key.Public, Open: true, Meets: b}
	if c, err := openCheckpoint(outside, l.key.Public); err == nil && c.Size < b.Seq {
		t.Outside, outside = outside, ""
	}
	if rep, err = l.VerifyStore(ctx, outside); err != nil || rep.Pruned == 0 {
		return rep, err
	}
	in, err := exported()
	if err != nil {
		rep.OK = false
		rep.Findings = append(rep.Findings, Finding{rep.Pruned, fmt.Sprintf("rows 1 to %d left the store, and the export that should have them cannot be read: %v", rep.Pruned, err)})
		return rep, nil
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	had, err := VerifyExport(in, t)
	if err != nil {
		return rep, err
	}
	rep.OK = rep.OK && had.OK
	for _, f := range had.Findings {
		f.Problem = "in the export: " + f.Problem
		rep.Findings = append(rep.Findings, f)
	}
	return rep, nil
}

// VerifyStore verifies the ledger in the store: all that VerifyExport does, and
// what the store keeps beside the rows, by which they are found and signed: the
// columns that Read looks in, the stored tree and the head.
func (l *Ledger) VerifyStore(ctx context.Context, outside string) (Report, error) {
	for {
		r, w := io.Pipe()
		go func() { _ = w.CloseWithError(l.Export(ctx, w)) }()
		v, err := examine(r, Trust{Public: l.key.Public, Outside: outside})
		_ = r.Close()
		if err != nil {
			return v.report, err
		}
		err = l.db.View(ctx, v.beside)
		if errors.Is(err, errPruned) {
			continue
		}
		if err != nil {
			return v.report, fmt.Errorf("ledger: verify: %w", err)
		}
		v.conclude()
		return v.report, nil
	}
}

// errPruned says that rows left while they were verified.
var errPruned = errors.New("rows left the store meanwhile")

// beside checks what stands beside the rows that v has seen. Rows that came
// since are left out.
func (v *verifier) beside(tx *store.Tx) error {
	if now, err := base(tx); err != nil {
		return err
	} else if now.Seq > v.says {
		return errPruned
	}
	if err := v.columns(tx); err != nil {
		return err
	}
	if err := v.tree(tx); err != nil {
		return err
	}
	var seq int64
	var hash []byte
	err := tx.QueryRow(`SELECT COALESCE(MAX(seq), 0) FROM ledger_head WHERE id = 1`).Scan(&seq)
	if err != nil || seq > v.report.Rows {
		return err // rows came since, and the next look will see them
	}
	if seq == v.report.Rows && seq > 0 {
		if err := tx.QueryRow(`SELECT hash FROM ledger_head WHERE id = 1`).Scan(&hash); err != nil {
			return err
		}
	}
	if seq < v.report.Rows || !bytes.Equal(hash, v.prev) && seq > 0 {
		v.found(seq, "the head of the ledger is not its last row")
	}
	return nil
}

func (v *verifier) columns(tx *store.Tx) error {
	rows, err := tx.Query(`SELECT seq, row_bytes, kind, run, entry_key FROM ledger_rows WHERE seq <= ? ORDER BY seq`, v.next)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var seq int64
		var raw []byte
		var kind, run, key string
		if err := rows.Scan(&seq, &raw, &kind, &run, &key); err != nil {
			return err
		}
		var r Row
		if json.Unmarshal(raw, &r) != nil {
			continue // told already
		}
		if r.Seq != seq || r.Kind != kind || r.Run != run || r.Key != key {
			v.found(seq, "row %d is filed under another number, kind, run or key than it has: a search would miss it", seq)
		}
	}
	return rows.Err()
}

// tree compares the stored hashes with those of the rows. A leaf names its row.
func (v *verifier) tree(tx *store.Tx) error {
	end := v.first + int64(len(v.hashes))
	rows, err := tx.Query(`SELECT idx, hash FROM ledger_hashes WHERE idx < ? ORDER BY idx`, end)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	places := v.edgeAt
	next := v.place(&places, 0)
	for rows.Next() {
		var idx int64
		var h []byte
		if err := rows.Scan(&idx, &h); err != nil {
			return err
		}
		level, n := tlog.SplitStoredHashIndex(idx)
		if want, ok := v.hash(idx); !ok || idx != next || !bytes.Equal(h, want[:]) {
			if level == 0 || idx != next {
				v.found(n<<level+1, "the stored tree does not know row %d as it stands", n<<level+1)
			} else {
				v.found(n<<level+1, "the stored tree is damaged over rows %d to %d", n<<level+1, (n+1)<<level)
			}
			return rows.Err()
		}
		next = v.place(&places, next+1)
	}
	if next < min(tlog.StoredHashCount(v.report.Covered), end) {
		level, n := tlog.SplitStoredHashIndex(next)
		v.found(n<<level+1, "the stored tree ends before row %d, which a checkpoint covers", n<<level+1)
	}
	return rows.Err()
}

// place is where the next hash of the tree lies: first those that stand for the rows
// that left, then one after the other from next.
func (v *verifier) place(left *[]int64, next int64) int64 {
	if len(*left) == 0 {
		return max(next, v.first)
	}
	at := (*left)[0]
	*left = (*left)[1:]
	return at
}
