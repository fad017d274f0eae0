package e2e

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// listening reads from /proc/net which sockets a process listens on: TCP
// addresses and the paths of unix sockets.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	inodes := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	var out []string
	for _, table := range []string{"tcp", "tcp6"} {
		for _, f := range procTable(t, pid, table) {
			const listen = "0A"
			if len(f) > 9 && f[3] == listen && inodes[f[9]] {
				out = append(out, address(t, f[1]))
			}
		}
	}
	for _, f := range procTable(t, pid, "unix") {
		const accepting = "00010000"
		if len(f) > 7 && f[3] == accepting && inodes[f[6]] && strings.HasPrefix(f[7], "/") {
			out = append(out, f[7])
		}
	}
	return out
}

func procTable(t *testing.T, pid int, name string) [][]string {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, name))
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	var out [][]string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		out = append(out, strings.Fields(sc.Text()))
	}
	return out
}

// address reads the kernel's form of an address: 0100007F:1F90.
func address(t *testing.T, s string) string {
	t.Helper()
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+4 <= len(raw); i += 4 { // each word is little-endian
		raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(net.IP(raw).String(), strconv.FormatUint(n, 10))
}

// TestSockets tries every socket that Quell and its connectors listen on as
// another user, without certificate and token.
func TestSockets(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to become another user")
	}
	l := startLab(t)
	h := newHouse(t, l, "")
	h.start()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	stranger := filepath.Join(dir, "stranger")
	build := exec.Command("go", "build", "-o", stranger, "./testdata/stranger")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sockets := listening(t, h.cmd.Process.Pid)
	for _, pid := range children(h.cmd.Process.Pid) {
		sockets = append(sockets, listening(t, pid)...)
	}
	tcp := 0
	for _, s := range sockets {
		if !strings.HasPrefix(s, "/") {
			tcp++
			if !strings.HasPrefix(s, "127.0.0.1:") {
				t.Errorf("it listens on %s", s)
			}
		}
	}
	if tcp < 5 || len(sockets) < 6 {
		t.Fatalf("only %v were found", sockets)
	}
	const nobody = 65534
	cmd := exec.Command(stranger, sockets...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	for _, s := range sockets {
		t.Logf("%s: %s", s, got[s])
		switch {
		case strings.Contains(got[s], "OPEN") || strings.Contains(got[s], "http 200"):
			t.Errorf("%s let a stranger in: %s", s, got[s])
		case s == h.listen && !strings.Contains(got[s], fmt.Sprint("http ", http.StatusUnauthorized)):
			t.Errorf("the API on %s answered %s", s, got[s])
		case got[s] == "":
			t.Errorf("%s was not tried", s)
		}
	}
}
