package launch

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// confine is called once on the launcher's thread, before it starts anything.
func confine(own, images string, reads []string) (int, error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("no_new_privs: %w", err)
	}
	return landlock(own, images, reads)
}

func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limit bounds a process that was just started. Go cannot set limits between
// fork and exec, so the first instants run without.
func limit(pid int, o Options) error {
	for _, l := range []struct {
		name     string
		resource int
		max      uint64
	}{
		{"open files", unix.RLIMIT_NOFILE, o.Files},
		{"core size", unix.RLIMIT_CORE, 0},
		// Private writable memory, and not address space: Go and TLS libraries
		// reserve far more of that than they use.
		{"memory", unix.RLIMIT_DATA, o.Memory},
	} {
		err := unix.Prlimit(pid, l.resource, &unix.Rlimit{Cur: l.max, Max: l.max}, nil)
		if errors.Is(err, unix.ESRCH) {
			return nil // it died already, which the start-up reports better
		}
		if err != nil {
			return fmt.Errorf("limiting %s to %d: %w", l.name, l.max, err)
		}
	}
	return nil
}

// waitExit returns when the process has ended, and leaves it a zombie: until it
// is reaped its number belongs to nobody else, so its group can be killed.
func waitExit(p *os.Process) {
	for {
		err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// verify makes sure that the process really runs without the way to new
// privileges.
func verify(pid int) error {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return fmt.Errorf("reading the state of process %d: %w", pid, err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), "NoNewPrivs:"); ok {
			if strings.TrimSpace(v) == "1" {
				return nil
			}
			return fmt.Errorf("%w: process %d runs without no_new_privs", ErrRefused, pid)
		}
	}
	return nil // a kernel older than 4.10 does not tell
}
