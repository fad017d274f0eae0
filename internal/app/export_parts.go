package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// parts reads files one after the other, each opened when its turn comes.
type parts struct {
	names []string
	open  *os.File
}

// openExport opens an export: a file, or all files of a directory in which it is
// made in parts; dir says which.
func openExport(name string) (r io.ReadCloser, dir bool, err error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, false, err
	}
	if !st.IsDir() {
		f, err := os.Open(name)
		return f, false, err
	}
	names, err := filepath.Glob(filepath.Join(name, "ledger-*.jsonl"))
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s has no ledger-*.jsonl", name)
	}
	return &parts{names: names}, true, err
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
