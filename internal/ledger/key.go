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
	public = strings.TrimSpace(public)
	signer, err := note.NewSigner(strings.TrimSpace(secret))
	if err != nil {
		return Key{}, fmt.Errorf("ledger: %s does not hold a signing key; restore it from where keys are kept", file)
	}
	if v, err := note.NewVerifier(public); err != nil || v.KeyHash() != signer.KeyHash() || v.Name() != signer.Name() {
		return Key{}, fmt.Errorf("ledger: the second line of %s is not the public key of the first; restore it from where keys are kept", file)
	}
	return Key{signer: signer, Public: public}, nil
}

// makeKey makes a key where there is none. The file appears whole or not at all,
// and of two processes that start at once both use the key of one.
func makeKey(file string) ([]byte, error) {
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".ledger-key-*") // 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(secret + "\n" + public + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	_, public, _ = strings.Cut(strings.TrimSpace(string(raw)), "\n")
	return raw, os.WriteFile(file+".pub", []byte(public+"\n"), 0o644) //nolint:gosec // a public key
}
