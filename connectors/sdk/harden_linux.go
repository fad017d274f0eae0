package sdk

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// harden gives up what no connector needs. The host has done the same from
// outside where it can (see host/launch); this holds for a connector that was
// started any other way, and it holds for every thread of the process.
func harden() error {
	// Without it a setuid program could be used to gain privileges.
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 && errno != syscall.ENOTSUP {
		return fmt.Errorf("no_new_privs: %w", errno)
	}
	// Secrets live in this memory: no core dump, and no other process of the
	// same user may look into it.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("dumpable: %w", err)
	}
	return nil
}
