package reachtest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside tells the second process of a test that it is the one in the network.
const inside = "QUELL_REACHTEST"

// InNetwork runs the calling test once more, in a process with a network
// namespace of its own. There every IPv4 and IPv6 address is this machine's,
// 169.254.169.254 as well as 8.8.8.8, and body finds a Canary at all of them. It
// skips the test where the kernel lets nobody have a namespace. The test must
// have no parent test.
func InNetwork(t *testing.T, body func(c *Canary)) {
	t.Helper()
	if os.Getenv(inside) != "" {
		body(open(t))
		return
	}
	var out []byte
	var err error
	for _, user := range []bool{false, true} { // root needs no user namespace; others do
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if user {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		out, err = cmd.CombinedOutput()
		var exit *exec.ExitError
		if err == nil || errors.As(err, &exit) {
			break // it ran
		}
	}
	switch {
	case err != nil && len(out) == 0:
		t.Skipf("this kernel gives no network namespace: %v", err)
	case err != nil:
		t.Errorf("in the network: %v\n%s", err, out)
	default:
		t.Logf("in the network:\n%s", out)
	}
}

// open makes the network and what listens in it.
func open(t *testing.T) *Canary {
	t.Helper()
	if err := everything(); err != nil {
		t.Fatalf("the network: %v", err)
	}
	c := &Canary{answers: map[string][][]netip.Addr{}}
	c.listen(t, "80")
	c.listen(t, "443")
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go c.names(l)
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", l.LocalAddr().String())
	}}
	return c
}

// everything makes all addresses local: the loopback interface is set up, and a
// route of type local leads 0.0.0.0/0 and ::/0 to it.
func everything() error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer func() { _ = unix.Close(s) }()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return err
	}
	up := binary.NativeEndian.AppendUint32([]byte{unix.AF_UNSPEC, 0, 0, 0}, uint32(lo.Index)) // ifinfomsg
	up = binary.NativeEndian.AppendUint32(up, unix.IFF_UP)
	up = binary.NativeEndian.AppendUint32(up, unix.IFF_UP)
	if err := ask(s, unix.RTM_NEWLINK, 0, up); err != nil {
		return fmt.Errorf("loopback up: %w", err)
	}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		route := []byte{family, 0, 0, 0, unix.RT_TABLE_LOCAL, unix.RTPROT_BOOT, unix.RT_SCOPE_HOST, unix.RTN_LOCAL, 0, 0, 0, 0} // rtmsg
		route = binary.NativeEndian.AppendUint16(route, 8)
		route = binary.NativeEndian.AppendUint16(route, unix.RTA_OIF)
		route = binary.NativeEndian.AppendUint32(route, uint32(lo.Index))
		if err := ask(s, unix.RTM_NEWROUTE, unix.NLM_F_CREATE, route); err != nil {
			return fmt.Errorf("route of family %d: %w", family, err)
		}
	}
	return nil
}

// ask sends one netlink request and reads its acknowledgement.
func ask(s int, kind, flags uint16, body []byte) error {
	msg := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	msg = binary.NativeEndian.AppendUint16(msg, kind)
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	msg = append(msg, make([]byte, 8)...) // sequence and port
	if err := unix.Sendto(s, append(msg, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(s, buf, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 {
		return errors.New("a short answer")
	}
	if code := int32(binary.NativeEndian.Uint32(buf[unix.SizeofNlMsghdr:])); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}
