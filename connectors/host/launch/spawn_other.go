//go:build !linux

package launch

import (
	"os"
	"syscall"
)

// confine has nothing to do: these kernels have neither no_new_privs nor
// Landlock.
func confine(string, string, []string) (int, error) { return 0, nil }

func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func limit(int, Options) error { return nil }

// waitExit reaps the process; its group is killed right after, best effort.
func waitExit(p *os.Process) { _, _ = p.Wait() }

func verify(int) error { return nil }

func watched(int, []string) []string { return nil }
