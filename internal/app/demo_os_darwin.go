package app

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup puts a child into a group of its own. This system has no way to end it
// with us, should we be killed.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

const getTerminal, setTerminal = unix.TIOCGETA, unix.TIOCSETA
