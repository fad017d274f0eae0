package disk

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// Default marks: the smaller of the two counts, so that a small disk can be used
// and a large one is not left half empty.
const (
	defaultMark  = 1 << 30
	defaultShare = 20 // one part of so many
)

// fresh is how long one look at the disk is believed.
const fresh = time.Second

// LowError says that the disk has less space than its mark, or that it cannot be
// looked at.
type LowError struct {
	Dir string
	// Free and Mark are bytes.
	Free, Mark uint64
	// Err is why the disk cannot be looked at.
	Err error
}

// Unwrap returns why the disk cannot be looked at.
func (e *LowError) Unwrap() error { return e.Err }

func (e *LowError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("the disk of %s cannot be looked at, so no alert is taken and no run started: %v", e.Dir, e.Err)
	}
	return fmt.Sprintf("the disk of %s has %s free, its mark is %s; until there is more, no alert is taken and no run started, and what runs goes on",
		e.Dir, size(e.Free), size(e.Mark))
}

func size(n uint64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// Gauge watches the disk of one directory. It is safe for concurrent use.
type Gauge struct {
	dir  string
	mark uint64
	log  zerolog.Logger
	now  func() time.Time
	// stat returns the free and all bytes of the disk.
	stat func(dir string) (free, all uint64, err error)

	mu   sync.Mutex
	at   time.Time
	last error
}

// New makes a gauge of the disk that dir lies on. mark is how many bytes shall be
// free; 0 is 1 GiB, or a twentieth of the disk where that is less.
func New(dir string, mark uint64, log zerolog.Logger) *Gauge {
	return &Gauge{dir: dir, mark: mark, log: log, now: time.Now, stat: stat}
}

// Low returns a *LowError while the disk is below its mark, and nil otherwise. Once low, it stays so until a
// quarter more than the mark is free. It looks at most once a second, logs each
// change, and may be called as often as one likes.
func (g *Gauge) Low() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); g.at.IsZero() || now.Sub(g.at) >= fresh || now.Before(g.at) {
		was := g.last
		g.at, g.last = now, g.look()
		switch {
		case was == nil && g.last != nil:
			g.log.Error().Err(g.last).Msg("no alert is taken and no run is started")
		case was != nil && g.last == nil:
			g.log.Info().Msg("the disk has space again; alerts are taken and runs started")
		}
	}
	return g.last
}

// Ready is Low, for those who ask parts whether they work.
func (g *Gauge) Ready(context.Context) error { return g.Low() }

func (g *Gauge) look() error {
	free, all, err := g.stat(g.dir)
	if err != nil {
		return &LowError{Dir: g.dir, Err: err}
	}
	mark := g.mark
	if mark == 0 {
		mark = min(defaultMark, all/defaultShare)
	}
	enough := mark
	if g.last != nil {
		enough += mark / 4
	}
	if free < enough {
		return &LowError{Dir: g.dir, Free: free, Mark: mark}
	}
	return nil
}

// stat asks the file system what an unprivileged process may still use
// (statfs(2), f_bavail).
func stat(dir string) (free, all uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	block := uint64(s.Bsize) //nolint:gosec,unconvert // a size; its type differs between systems
	return s.Bavail * block, s.Blocks * block, nil
}
