package ledger

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/quell-soar/quell/internal/store"
)

// OpenParts reads an export that lies in parts in a directory, from the file that has
// the row after a number: 0 is all of it, as one. The caller closes it.
func OpenParts(dir string, after int64) (io.ReadCloser, error) {
	names, err := filepath.Glob(filepath.Join(dir, "ledger-*.jsonl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	last := PartName(after + 1)
	for len(names) > 1 && filepath.Base(names[1]) <= last {
		names = names[1:]
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%s has no ledger-*.jsonl", dir)
	case after > 0 && filepath.Base(names[0]) > last:
		return nil, fmt.Errorf("%s has no file with row %d of the ledger: put back what retention.export wrote", dir, after+1)
	}
	return &parts{names: names}, nil
}

// PartName is the file of a part that begins with a row: names in their order are the
// rows in theirs.
func PartName(seq int64) string { return fmt.Sprintf("ledger-%015d.jsonl", seq) }

// parts reads files one after the other, each opened when its turn comes.
type parts struct {
	names []string
	open  *os.File
}

func (p *parts) Read(b []byte) (int, error) {
	for {
		if p.open == nil {
			if len(p.names) == 0 {
				return 0, io.EOF
			}
			f, err := os.Open(p.names[0])
			if err != nil {
				return 0, err
			}
			p.open, p.names = f, p.names[1:]
		}
		n, err := p.open.Read(b)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if err := p.Close(); err != nil || n > 0 {
			return n, err
		}
	}
}

// Close closes the file whose turn it is.
func (p *parts) Close() error {
	if p.open == nil {
		return nil
	}
	err := p.open.Close()
	p.open = nil
	return err
}

// Continues tells whether the ledger in the store has the last row of a part of an
// export as it stands there. It has not where a backup was restored from before it.
func (l *Ledger) Continues(ctx context.Context, part io.Reader) (bool, error) {
	var last Row
	var want []byte
	sc := bufio.NewScanner(part)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		var one line
		if json.Unmarshal(sc.Bytes(), &one) != nil || one.Type == "row" && json.Unmarshal(one.Row, &last) != nil {
			return false, nil
		}
		if one.Type == "row" {
			want = one.Hash
		}
	}
	if err := sc.Err(); err != nil || want == nil {
		return err == nil, err
	}
	var got []byte
	err := l.db.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT hash FROM ledger_rows WHERE seq = ?`, last.Seq).Scan(&got)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("ledger: continue an export: %w", err)
	}
	return bytes.Equal(got, want), nil
}
