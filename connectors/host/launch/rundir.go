package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	dirPattern  = "quell-connector-*"
	socketsName = "s"
	imagesName  = "i"
	// settle is how old a directory must be before it counts as left behind: a
	// younger one may not be locked yet.
	settle = time.Minute
	// maxSocketDir leaves room for what go-plugin appends to it in the at most
	// 107 bytes of a socket's path.
	maxSocketDir = 107 - len("/plugin-dir4294967295/plugin4294967295")
)

// makeDir makes a launcher's private directory, locked as long as this process
// lives, and removes those that killed processes left behind.
func makeDir(parent string) (dir string, lock *os.File, err error) {
	if parent == "" {
		parent = os.TempDir()
	}
	sweep(parent)
	if dir, err = os.MkdirTemp(parent, dirPattern); err != nil {
		return "", nil, err
	}
	if n := len(filepath.Join(dir, socketsName)); n > maxSocketDir {
		_ = os.RemoveAll(dir)
		return "", nil, fmt.Errorf("%s is too long for sockets by %d bytes; choose a shorter run directory", parent, n-maxSocketDir)
	}
	if lock, err = os.Open(dir); err == nil {
		err = errors.Join(
			syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB),
			os.Mkdir(filepath.Join(dir, socketsName), 0o700),
			os.Mkdir(filepath.Join(dir, imagesName), 0o700),
		)
	}
	if err != nil {
		_ = lock.Close()
		_ = os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, lock, nil
}

// sweep removes directories of launchers that nobody holds any more. It is best
// effort: what it cannot open or lock it leaves.
func sweep(parent string) {
	left, err := filepath.Glob(filepath.Join(parent, dirPattern))
	if err != nil {
		return
	}
	for _, dir := range left {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < settle || checkOwner(dir, info) != nil {
			continue
		}
		f, err := os.Open(dir)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = f.Close()
	}
}
