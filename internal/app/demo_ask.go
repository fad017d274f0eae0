package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// keyboard reads single keys from a terminal. Ctrl-C stays a signal.
type keyboard struct {
	fd  int
	was *unix.Termios
}

// openKeyboard switches the terminal to single keys without echo; close switches
// it back.
func openKeyboard(fd int) (*keyboard, error) {
	was, err := unix.IoctlGetTermios(fd, getTerminal)
	if err != nil {
		return nil, fmt.Errorf("read the terminal: %w", err)
	}
	now := *was
	now.Lflag &^= unix.ICANON | unix.ECHO
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, setTerminal, &now); err != nil {
		return nil, fmt.Errorf("set the terminal: %w", err)
	}
	return &keyboard{fd: fd, was: was}, nil
}

func (k *keyboard) close() { _ = unix.IoctlSetTermios(k.fd, setTerminal, k.was) }

// key waits for a key, at most for a time; 0 means that none came. hungUp says
// that the terminal is gone.
func (k *keyboard) key(most time.Duration) (key byte, hungUp bool, err error) {
	list := []unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}} //nolint:gosec // a file descriptor is small
	n, err := unix.Poll(list, int(most.Milliseconds()))
	if errors.Is(err, unix.EINTR) || err == nil && n == 0 {
		return 0, false, nil
	}
	if err != nil {
		return 0, true, fmt.Errorf("wait for a key: %w", err)
	}
	var one [1]byte
	n, err = unix.Read(k.fd, one[:])
	if err != nil || n == 0 {
		return 0, true, nil
	}
	return one[0], false, nil
}

// choice is what came of asking at the terminal.
type choice int

const (
	choseNothing choice = iota // the time was over, or the terminal is gone
	choseYes
	choseNo
)

// asksPerson says whether a person sits here who may be asked: at a terminal, not
// in a machine's run, and not one who said --yes.
func (c *cli) asksPerson(yes bool) (fd int, ok bool) {
	f, isFile := c.in.(*os.File)
	if yes || !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	if ci := c.getenv("CI"); ci != "" && ci != "false" && ci != "0" {
		return 0, false
	}
	_, _, terminal := c.screen()
	return int(f.Fd()), terminal
}

// askKeys waits for y or n for as long as the demo's default lets it. tick is told
// the time that is left.
func askKeys(ctx context.Context, fd int, within time.Duration, tick func(left time.Duration)) (choice, error) {
	k, err := openKeyboard(fd)
	if err != nil {
		return choseNothing, err
	}
	defer k.close()
	for end := time.Now().Add(within); ; {
		left := time.Until(end)
		if left <= 0 {
			return choseNothing, nil
		}
		tick(left)
		key, hungUp, err := k.key(min(left, 200*time.Millisecond))
		switch {
		case ctx.Err() != nil:
			return choseNothing, ctx.Err()
		case err != nil || hungUp:
			return choseNothing, err
		}
		switch strings.ToLower(string(key)) {
		case "y":
			return choseYes, nil
		case "n":
			return choseNo, nil
		}
	}
}
