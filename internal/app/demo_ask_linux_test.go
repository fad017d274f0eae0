package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a terminal of its own: what is written to the first is typed at
// the second.
func terminal(t *testing.T) (keys, screen *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this machine gives no terminals: %v", err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	return keys, screen
}

// A key decides at once, another is passed over, no key is nobody's answer; and
// the terminal is afterwards as it was.
func TestAskKeys(t *testing.T) {
	for typed, want := range map[string]choice{"y": choseYes, "N": choseNo, "xy": choseYes, "": choseNothing, "\n": choseNothing} {
		keys, screen := terminal(t)
		before, err := unix.IoctlGetTermios(int(screen.Fd()), getTerminal)
		if err != nil {
			t.Fatal(err)
		}
		ticks := 0
		got, err := askKeys(t.Context(), int(screen.Fd()), 400*time.Millisecond, func(time.Duration) {
			if ticks++; ticks == 1 { // the terminal takes single keys by now
				if _, err := keys.WriteString(typed); err != nil {
					t.Error(err)
				}
			}
		})
		if err != nil || got != want {
			t.Errorf("%q chose %d (%v), want %d", typed, got, err, want)
		}
		after, err := unix.IoctlGetTermios(int(screen.Fd()), getTerminal)
		if err != nil || *after != *before {
			t.Errorf("%q left the terminal changed: %v", typed, err)
		}
	}
}

// Who is interrupted, or whose terminal is gone, decides nothing.
func TestAskKeysEnds(t *testing.T) {
	_, screen := terminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := askKeys(ctx, int(screen.Fd()), time.Minute, func(time.Duration) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	keys, screen := terminal(t)
	if got, err := askKeys(t.Context(), int(screen.Fd()), time.Minute, func(time.Duration) { _ = keys.Close() }); err != nil || got != choseNothing {
		t.Errorf("hung up: %d %v", got, err)
	}
}

// A terminal that does not tell its size is one all the same.
func TestScreenWithoutSize(t *testing.T) {
	_, screen := terminal(t) // nobody gave it a size
	if w, h, ok := screenOf(screen); !ok || w != 80 || h != 24 {
		t.Errorf("%d by %d, %v", w, h, ok)
	}
	if _, _, ok := screenOf(&bytes.Buffer{}); ok {
		t.Error("a buffer is no terminal")
	}
}
