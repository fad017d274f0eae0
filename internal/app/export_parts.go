package app

import (
	"io"
	"os"

	"github.com/quell-soar/quell/internal/ledger"
)

// openExport opens an export: a file, or all files of a directory in which it is
// made in parts; dir says which.
func openExport(name string) (r io.ReadCloser, dir bool, err error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, false, err
	}
	if st.IsDir() {
		r, err = ledger.OpenParts(name, 0)
		return r, true, err
	}
	r, err = os.Open(name)
	return r, false, err
}
