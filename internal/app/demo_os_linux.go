package app

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup puts a child into a group of its own. It dies with us, should we be
// killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

const getTerminal, setTerminal = unix.TCGETS, unix.TCSETS
