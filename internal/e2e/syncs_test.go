package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// heldSyncs makes this test program, as its first argument, a launcher: it asks the
// kernel to hold every fsync and fdatasync of the program that it then becomes, and
// of that one's children, until the test lets it go (seccomp_unotify(2)). It needs
// neither a module nor a device, and every layer of the program is as it ships.
const heldSyncs = "hold-syncs"

// launchHeld is the launcher's main: socket, program, arguments. It returns at a
// fault only.
func launchHeld(args []string) error {
	runtime.LockOSThread() // the filter is this thread's, and what it becomes
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: args[0], Net: "unix"})
	if err != nil {
		return err
	}
	listener, err := filterSyncs()
	if err != nil {
		return err
	}
	if _, _, err := conn.WriteMsgUnix([]byte{1}, unix.UnixRights(listener), nil); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil { // until somebody listens
		return err
	}
	return syscall.Exec(args[1], args[1:], os.Environ())
}

// filterSyncs installs the filter on this thread and returns its listener.
func filterSyncs() (int, error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	arch := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	const load, equal, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load, K: 4}, // seccomp_data.arch
		{Code: equal, K: arch, Jf: 4},
		{Code: load, K: 0}, // seccomp_data.nr
		{Code: equal, K: unix.SYS_FSYNC, Jt: 1},
		{Code: equal, K: unix.SYS_FDATASYNC, Jf: 1},
		{Code: give, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return 0, fmt.Errorf("seccomp: %w", errno)
	}
	return int(fd), nil
}

// syncs is the test's side: what becomes of each sync of a program.
type syncs struct {
	t      *testing.T
	socket string
	wg     sync.WaitGroup

	mu sync.Mutex
	// only is how the names of the files begin whose syncs are meant; empty is all.
	only  string
	delay time.Duration
	errno syscall.Errno
	// gate is closed when stuck syncs may go; nil where they are not stuck.
	gate chan struct{}
	done int
	over bool
}

// slowly makes ready to hold the syncs of a house's server; it skips the test where
// the kernel cannot.
func slowly(t *testing.T, h *house) *syncs {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "quell-sync") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &syncs{t: t, socket: filepath.Join(dir, "s")}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	s.wg.Go(func() { s.accept(l) })
	t.Cleanup(func() {
		s.mu.Lock()
		s.over = true
		s.mu.Unlock()
		_ = l.Close()
		s.wg.Wait()
	})
	h.under = []string{self, heldSyncs, s.socket}
	t.Cleanup(func() { s.set(0, 0); h.stop() }) // before the listener goes: its syncs would fail
	return s
}

// accept takes the listener of each process that is started.
func (s *syncs) accept(l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return
		}
		one, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
		_, n, _, _, err := conn.ReadMsgUnix(one, oob)
		if err != nil {
			continue
		}
		msgs, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil || len(msgs) != 1 {
			continue
		}
		fds, err := unix.ParseUnixRights(&msgs[0])
		if err != nil || len(fds) != 1 {
			continue
		}
		s.wg.Go(func() { s.listen(fds[0]) })
		_, _ = conn.Write(one)
		_ = conn.Close()
	}
}

// notice and verdict are seccomp_notif and seccomp_notif_resp of linux/seccomp.h.
type notice struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type verdict struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

// listen decides about each sync until the processes are gone.
func (s *syncs) listen(fd int) {
	defer func() { _ = unix.Close(fd) }()
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 200)
		s.mu.Lock()
		over := s.over
		s.mu.Unlock()
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 || over && n == 0:
			return
		case n == 0:
			continue
		}
		var in notice
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&in))); errno != 0 {
			continue // it was killed meanwhile
		}
		s.wg.Go(func() { s.decide(fd, in) })
	}
}

// decide lets one sync through when its time has come, or fails it.
func (s *syncs) decide(fd int, in notice) {
	file, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", in.pid, int32(in.args[0])))
	s.mu.Lock()
	delay, errno, gate := s.delay, s.errno, s.gate
	if !strings.HasPrefix(filepath.Base(file), s.only) {
		delay, errno, gate = 0, 0, nil
	}
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if delay > 0 {
		<-time.After(delay)
	}
	out := verdict{id: in.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if errno != 0 {
		out = verdict{id: in.id, errno: -int32(errno)}
	}
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&out)))
	s.mu.Lock()
	s.done++
	s.mu.Unlock()
}

// set lets each further sync take so long, or fail.
func (s *syncs) set(delay time.Duration, errno syscall.Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay, s.errno = delay, errno
	if s.gate != nil {
		close(s.gate)
		s.gate = nil
	}
}

// stick holds each further sync until set is called.
func (s *syncs) stick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate == nil {
		s.gate = make(chan struct{})
	}
}

// count is how many syncs were let through or failed.
func (s *syncs) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}
