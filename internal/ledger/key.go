package ledger

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// origin is the first line of every checkpoint and the name of its key.
const origin = "quell.ledger"

// Key signs checkpoints.
type Key struct {
	signer note.Signer
	// Public is the verifier's key, as note writes it: it may be given to anyone.
	Public string
}

// LoadKey reads the signing key, and makes one where the file is absent. The
// file is 0600; beside it, FILE.pub has the public key. It belongs outside the
// data directory: a backup must not contain it.
func LoadKey(file string) (Key, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = makeKey(file)
	}
	if err != nil {
		return Key{}, fmt.Errorf("ledger: signing key: %w", err)
	}
	st, err := os.Stat(file)
	if err != nil {
		return Key{}, fmt.Errorf("ledger: signing key: %w", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return Key{}, fmt.Errorf("ledger: the signing key %s is readable by others; chmod 600 it", file)
	}
	secret, public, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
	signer, err := note.NewSigner(secret)
	if err != nil {
		return Key{}, fmt.Errorf("ledger: %s does not hold a signing key", file)
	}
	return Key{signer: signer, Public: strings.TrimSpace(public)}, nil
}

func makeKey(file string) ([]byte, error) {
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	raw := []byte(secret + "\n" + public + "\n")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(raw); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	return raw, os.WriteFile(file+".pub", []byte(public+"\n"), 0o644) //nolint:gosec // a public key
}
