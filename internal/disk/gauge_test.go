package disk

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestLow falls below the mark and comes back, and is not low and well by turns
// about the mark.
func TestLow(t *testing.T) {
	const mib = 1 << 20
	var log bytes.Buffer
	now := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		mark, all uint64
		free      []uint64
		low       string // of each look: l or -
	}{
		"a mark":                 {100 * mib, 1 << 40, []uint64{200 * mib, 100 * mib, 99 * mib, 110 * mib, 124 * mib, 125 * mib, 101 * mib, 0}, "--lll--l"},
		"a twentieth of a small": {0, 64 * mib, []uint64{4 * mib, 3 * mib, 4 * mib}, "-l-"},
		"one GiB of a large":     {0, 1 << 40, []uint64{1 << 30, 1<<30 - 1}, "-l"},
	} {
		t.Run(name, func(t *testing.T) {
			g := New("d", c.mark, zerolog.New(&log))
			g.now = func() time.Time { return now }
			var free uint64
			g.stat = func(string) (uint64, uint64, error) { return free, c.all, nil }
			got := ""
			for _, free = range c.free {
				now = now.Add(fresh)
				var low *LowError
				if err := g.Low(); errors.As(err, &low) {
					got += "l"
				} else {
					got += "-"
				}
			}
			if got != c.low {
				t.Errorf("low %s, want %s", got, c.low)
			}
		})
	}
	if n := strings.Count(log.String(), "no run is started"); n != 4 {
		t.Errorf("the log tells %d times of a full disk, want 4: once for each time it got low\n%s", n, log.String())
	}
}

// TestLook asks a real disk, at most once a second, and says when it cannot.
func TestLook(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1000, 0)
	g := New(dir, 1, zerolog.Nop())
	g.now = func() time.Time { return now }
	if err := g.Low(); err != nil {
		t.Fatal(err)
	}
	g.dir = dir + "/gone"
	if err := g.Low(); err != nil {
		t.Fatalf("it looked twice in one second: %v", err)
	}
	now = now.Add(fresh)
	if err := g.Low(); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Fatalf("a disk that is not there: %v", err)
	}
	if err := New(dir, 1<<62, zerolog.Nop()).Low(); err == nil || !strings.Contains(err.Error(), "mark") {
		t.Fatalf("a mark above any disk: %v", err)
	}
}
