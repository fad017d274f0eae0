package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxBinary is the largest binary that is started, in bytes.
const maxBinary = 512 << 20

// ErrRefused is wrapped by the errors of a binary that must not run: wrong
// checksum, wrong owner, writable by others. Trying again does not help.
var ErrRefused = errors.New("the connector's binary is refused")

// image is a binary whose bytes were checked and cannot change any more.
type image struct {
	// file keeps the bytes; path runs exactly them.
	file *os.File
	path string
	sum  string
	// drop removes what the image left on disk.
	drop func()
}

// close gives the bytes back. A process that runs them keeps them.
func (i *image) close() {
	_ = i.file.Close()
	if i.drop != nil {
		i.drop()
	}
}

// openImage checks the binary at path, copies it into memory or into dir, and
// compares its SHA-256 with pinned unless that is empty. Nothing else is trusted
// about the path afterwards.
func openImage(path, pinned, dir string) (*image, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("connector binary: %w; check the configured path", err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, fmt.Errorf("connector binary: %w", err)
	}
	if err := checkDirs(real); err != nil {
		return nil, err
	}
	// Not blocking: a named pipe in the binary's place must not hang us.
	src, err := os.OpenFile(real, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("connector binary: %w", err)
	}
	defer func() { _ = src.Close() }()
	info, err := src.Stat()
	if err != nil {
		return nil, fmt.Errorf("connector binary: %w", err)
	}
	if err := checkFile(real, info); err != nil {
		return nil, err
	}
	img, err := seal(src, dir)
	if err != nil {
		return nil, fmt.Errorf("connector binary %s: %w", real, err)
	}
	if pinned != "" && !strings.EqualFold(pinned, img.sum) {
		img.close()
		return nil, fmt.Errorf("%w: %s has SHA-256 %s, the configuration pins %s; install the pinned release or pin the new one", ErrRefused, real, img.sum, pinned)
	}
	return img, nil
}

// copyHashed copies src to dst and returns the SHA-256 of what was written.
func copyHashed(dst io.Writer, src io.Reader) (string, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(dst, h), io.LimitReader(src, maxBinary+1), make([]byte, 1<<20))
	if err != nil {
		return "", fmt.Errorf("copying it: %w", err)
	}
	if n > maxBinary {
		return "", fmt.Errorf("%w: it is larger than %d bytes", ErrRefused, maxBinary)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func checkFile(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return fmt.Errorf("%w: %s is not a regular file", ErrRefused, path)
	case mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return fmt.Errorf("%w: %s is setuid or setgid; chmod ug-s it", ErrRefused, path)
	case mode.Perm()&0o022 != 0:
		return fmt.Errorf("%w: %s is writable by its group or by everyone (%s); chmod go-w it", ErrRefused, path, mode)
	case mode.Perm()&0o100 == 0:
		return fmt.Errorf("%w: %s is not executable (%s); chmod u+x it", ErrRefused, path, mode)
	}
	return checkOwner(path, info)
}

// checkDirs refuses a path whose directories others may write to, since they
// could exchange the file. The file's own directory must be closed even where it
// is sticky; one above may be sticky, as /tmp is, because there nobody can move
// what is not theirs.
func checkDirs(file string) error {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("connector binary: %w", err)
		}
		sticky := info.Mode()&fs.ModeSticky != 0 && dir != filepath.Dir(file)
		if info.Mode().Perm()&0o022 != 0 && !sticky {
			return fmt.Errorf("%w: its directory %s is writable by its group or by everyone (%s); chmod go-w it", ErrRefused, dir, info.Mode())
		}
		if err := checkOwner(dir, info); err != nil {
			return err
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// checkOwner accepts what belongs to us or to root.
func checkOwner(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if uid := int(st.Uid); uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to user %d, neither to root nor to us (%d); chown it", ErrRefused, path, uid, os.Geteuid())
	}
	return nil
}

// sealByCopy puts the bytes into a file that only we may write, in a directory
// that no connector may write.
func sealByCopy(src *os.File, dir string) (*image, error) {
	private, err := os.MkdirTemp(dir, "image-")
	if err != nil {
		return nil, err
	}
	drop := func() { _ = os.RemoveAll(private) }
	path := filepath.Join(private, "connector")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o500) //nolint:gosec // it is run, and nobody writes it again
	if err != nil {
		drop()
		return nil, err
	}
	sum, err := copyHashed(f, src)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		f, err = os.Open(path) // a file open for writing cannot be run
	}
	if err != nil {
		drop()
		return nil, err
	}
	return &image{file: f, path: path, sum: sum, drop: drop}, nil
}
