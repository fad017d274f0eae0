package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// The files of a data directory that are copied as databases, in this order.
var databases = []string{filepath.Join("engine", "temporal.db"), "quell.db"}

// plain are copied as they are, if they are there: a file, and a directory whose
// files are written once.
const (
	schemaMark = "engine/temporal.db.schema"
	evidence   = "evidence"
)

// manifestFile is written last: a directory without it is no backup.
const manifestFile = "backup.json"

// Marks in the data directory: restoring while files are put there, restored until
// the first start has taken note.
const (
	restoringFile = "restoring"
	restoredFile  = "restored"
)

// Manifest tells of a backup.
type Manifest struct {
	Made    time.Time `json:"made"`
	Version string    `json:"version"`
	// Files maps each file, by its path in the backup, to its SHA-256 in hex.
	Files map[string]string `json:"files"`
	// Restored is when it was put in place; it is in the mark only.
	Restored time.Time `json:"restored,omitzero"`
}

// Make copies the data directory of an installation, which may be running, to a
// new directory.
func Make(ctx context.Context, dataDir, to, version string, now time.Time) (Manifest, error) {
	return makeBackup(ctx, dataDir, to, version, now, true)
}

// upgrades is the directory in the data directory for backups before upgrades, and
// how many are kept.
const (
	upgrades     = "before-upgrade"
	keptUpgrades = 2
)

// BeforeUpgrade copies the databases to a directory in the data directory and
// returns it; with quell restore the build that made them starts on them again. Of
// earlier ones the last is kept. Evidence stays where it is: it is only added to.
func BeforeUpgrade(ctx context.Context, dataDir, version string, now time.Time) (string, error) {
	dir := filepath.Join(dataDir, upgrades)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("backup: %w", err)
	}
	to := filepath.Join(dir, now.UTC().Format("20060102T150405.000000000"))
	if _, err := makeBackup(ctx, dataDir, to, version, now, false); err != nil {
		return "", errors.Join(err, os.RemoveAll(to))
	}
	all, err := os.ReadDir(dir) // by name, so the oldest first
	if err != nil {
		return "", fmt.Errorf("backup: %w", err)
	}
	for _, old := range all[:max(0, len(all)-keptUpgrades)] {
		if err := os.RemoveAll(filepath.Join(dir, old.Name())); err != nil {
			return "", fmt.Errorf("backup: %w", err)
		}
	}
	return to, nil
}

func makeBackup(ctx context.Context, dataDir, to, version string, now time.Time, withEvidence bool) (Manifest, error) {
	m := Manifest{Made: now.UTC(), Version: version, Files: map[string]string{}}
	if err := os.Mkdir(to, 0o700); err != nil {
		return m, fmt.Errorf("backup: %w; name a directory that is not there", err)
	}
	if err := os.Mkdir(filepath.Join(to, "engine"), 0o700); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	for _, name := range databases {
		_, err := os.Stat(filepath.Join(dataDir, name))
		if errors.Is(err, fs.ErrNotExist) && !withEvidence {
			continue // a first start that did not get so far
		}
		if err != nil {
			return m, fmt.Errorf("backup: %w", err)
		}
		if err := store.Copy(ctx, filepath.Join(dataDir, name), filepath.Join(to, name)); err != nil {
			return m, err
		}
	}
	err := copyFile(filepath.Join(dataDir, schemaMark), filepath.Join(to, schemaMark))
	if err != nil && (withEvidence || !errors.Is(err, fs.ErrNotExist)) {
		return m, err
	}
	if withEvidence {
		if err := copyTree(filepath.Join(dataDir, evidence), filepath.Join(to, evidence)); err != nil {
			return m, err
		}
	}
	if err := m.sum(to); err != nil {
		return m, err
	}
	return m, writeMark(filepath.Join(to, manifestFile), m)
}

// Restore puts a backup into a data directory that has no databases. The next
// `quell serve` there takes note and turns the kill switch on; see Pending.
func Restore(from, dataDir string, now time.Time) (Manifest, error) {
	m, err := readMark(filepath.Join(from, manifestFile))
	if err != nil {
		return m, fmt.Errorf("restore: %s is no complete backup: %w", from, err)
	}
	got := Manifest{Files: map[string]string{}}
	if err := got.sum(from); err != nil {
		return m, err
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		if got.Files[name] != m.Files[name] {
			return m, fmt.Errorf("restore: %s is not the file that was backed up; take another backup", filepath.Join(from, name))
		}
	}
	for _, name := range databases {
		if _, err := os.Stat(filepath.Join(dataDir, name)); !errors.Is(err, fs.ErrNotExist) {
			return m, fmt.Errorf("restore: %s is there; move the data directory away first", filepath.Join(dataDir, name))
		}
	}
	if err := os.MkdirAll(filepath.Join(dataDir, "engine"), 0o700); err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	m.Restored = now.UTC()
	if err := writeMark(filepath.Join(dataDir, restoringFile), m); err != nil {
		return m, err
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		if !filepath.IsLocal(name) {
			return m, fmt.Errorf("restore: %q is not a file of a backup", name)
		}
		to := filepath.Join(dataDir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return m, fmt.Errorf("restore: %w", err)
		}
		if err := copyFile(filepath.Join(from, name), to); err != nil {
			return m, err
		}
	}
	if err := os.Rename(filepath.Join(dataDir, restoringFile), filepath.Join(dataDir, restoredFile)); err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	return m, nil
}

// Pending tells whether the data directory was restored and no start has taken
// note. A restore that was interrupted is an error: nothing may start on it.
func Pending(dataDir string) (m Manifest, yes bool, err error) {
	if _, err := os.Stat(filepath.Join(dataDir, restoringFile)); err == nil {
		return m, false, fmt.Errorf("a restore into %s was interrupted; move the directory away and run quell restore again", dataDir)
	}
	m, err = readMark(filepath.Join(dataDir, restoredFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	return m, err == nil, err
}

// Noted removes the mark that Pending reads; it is called after the note is on
// disk.
func Noted(dataDir string) error { return os.Remove(filepath.Join(dataDir, restoredFile)) }

// sum fills Files with what lies under dir.
func (m *Manifest) sum(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == manifestFile {
			return err
		}
		f, err := os.Open(path) //nolint:gosec // the caller names the directory
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		m.Files[filepath.ToSlash(name)] = hex.EncodeToString(h.Sum(nil))
		return errors.Join(err, f.Close())
	})
}

func copyTree(from, to string) error {
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return copyFile(path, filepath.Join(to, name))
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// copyFile copies one file, 0600 and on disk.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func writeMark(file string, m Manifest) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	return errors.Join(err, f.Sync(), f.Close())
}

func readMark(file string) (m Manifest, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(raw, &m)
}
