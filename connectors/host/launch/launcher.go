package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Options bound what a launcher's processes may use. A zero field takes its
// default.
type Options struct {
	// Log gets the processes' output and go-plugin's messages.
	Log zerolog.Logger
	// RunDir is where the launcher makes its private directory; default the
	// system's directory for temporary files. Its path must be short: a unix
	// socket's is at most 107 bytes.
	RunDir string
	// Reads are files and directories that a process may read besides the
	// system's own, such as a private certificate authority.
	Reads []string
	// Files is how many files a process may hold open; default 512.
	Files uint64
	// Memory is how much private writable memory a process may map, in bytes;
	// default 2 GiB.
	Memory uint64
	// StartTimeout bounds start and handshake; default 15 s.
	StartTimeout time.Duration
	// StopGrace is how long a process may take to end by itself before it is
	// killed; default 2 s.
	StopGrace time.Duration
}

func (o Options) filled() Options {
	if o.Files == 0 {
		o.Files = 512
	}
	if o.Memory == 0 {
		o.Memory = 2 << 30
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = 15 * time.Second
	}
	if o.StopGrace == 0 {
		o.StopGrace = 2 * time.Second
	}
	return o
}

// Program says what to run.
type Program struct {
	Path string
	// SHA256 is the pinned checksum in hex; empty accepts any binary that
	// others cannot write.
	SHA256 string
	// Args follow the program's name. They are visible to every user of the
	// machine and hold no secret.
	Args []string
}

// errClosed is returned by Start after Close.
var errClosed = errors.New("the launcher is closed")

// Launcher starts processes from one OS thread of its own. Use one for each
// configured instance: its directory and its Landlock domain are shared by the
// processes that it starts.
type Launcher struct {
	opts Options
	dir  string
	// sockets is the one directory that the processes may write, images the one
	// that they may run programs from where memory is not allowed.
	sockets, images string
	confined        int
	// files are watched for being replaced; see Stale.
	files map[string]os.FileInfo
	lock  *os.File

	work chan func()
	once sync.Once
	quit chan struct{}
	done chan struct{}
}

// New makes a launcher. Close it when its last process is gone.
func New(o Options) (*Launcher, error) {
	o = o.filled()
	dir, lock, err := makeDir(o.RunDir)
	if err != nil {
		return nil, fmt.Errorf("making the connector's directory: %w", err)
	}
	l := &Launcher{
		opts: o, dir: dir, sockets: filepath.Join(dir, socketsName), images: filepath.Join(dir, imagesName), lock: lock,
		work: make(chan func()), quit: make(chan struct{}), done: make(chan struct{}),
	}
	ready := make(chan error)
	go l.thread(ready)
	if err := <-ready; err != nil {
		l.Close()
		return nil, fmt.Errorf("confining connectors: %w", err)
	}
	return l, nil
}

// thread owns the OS thread that starts the children. It is never unlocked: the
// thread is confined for ever, and when this function returns, the runtime ends
// it, on which the kernel kills every child that is left (Pdeathsig).
func (l *Launcher) thread(ready chan<- error) {
	defer close(l.done)
	runtime.LockOSThread()
	v, err := confine(l.sockets, l.images, l.opts.Reads)
	l.confined, l.files = v, map[string]os.FileInfo{}
	for _, path := range watched(v, l.opts.Reads) {
		if info, err := os.Stat(path); err == nil {
			l.files[path] = info
		}
	}
	ready <- err
	for {
		select {
		case f := <-l.work:
			f()
		case <-l.quit:
			return
		}
	}
}

// on runs f on the launcher's thread and waits for it.
func (l *Launcher) on(ctx context.Context, f func()) error {
	finished := make(chan struct{})
	run := func() { defer close(finished); f() }
	select {
	case l.work <- run:
		<-finished
		return nil
	case <-l.quit:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Confined is the version of Landlock that confines the processes; 0 means that
// the kernel has none.
func (l *Launcher) Confined() int { return l.confined }

// Stale reports that a file which the processes may read, such as the list of
// name servers, was replaced by another, which they may not: they need a new
// launcher. It names the file.
func (l *Launcher) Stale() (path string, stale bool) {
	for path, was := range l.files {
		if is, err := os.Stat(path); err == nil && !os.SameFile(was, is) {
			return path, true
		}
	}
	return "", false
}

// Close ends the thread, and with it every process that still runs. It may be
// called more than once.
func (l *Launcher) Close() {
	l.once.Do(func() { close(l.quit) })
	<-l.done
	_ = os.RemoveAll(l.dir)
	_ = l.lock.Close()
}
