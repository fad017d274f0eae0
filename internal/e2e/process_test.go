package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
)

// binaries are built once per test process.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "quell-e2e-")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"quell", "quell-connector", "quell-lab"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), "github.com/quell-soar/quell/cmd/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, os.Chmod(dir, 0o755) // other users run the programs in TestSockets
})

func TestMain(m *testing.M) {
	if dir := os.Getenv(temporalDir); dir != "" {
		if err := serveTemporal(dir, os.Getenv(temporalPorts)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if len(os.Args) > 3 && os.Args[1] == heldSyncs {
		fmt.Fprintln(os.Stderr, launchHeld(os.Args[2:]))
		os.Exit(1)
	}
	if len(os.Args) > 1 && (os.Args[1] == "labdata" || os.Args[1] == sdk.ManifestsFlag) {
		sdk.Serve(narrowLab{})
	}
	code := m.Run()
	if dir, err := binaries(); err == nil && dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func bin(t *testing.T, name string) string {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// labProcess is a running quell-lab.
type labProcess struct {
	t    *testing.T
	urls map[string]string
}

// startLab runs the fakes with n hosts. It lives until the test ends.
func startLab(t *testing.T, args ...string) *labProcess {
	t.Helper()
	cmd := exec.Command(bin(t, "quell-lab"), append([]string{"--listen", "127.0.0.1:0", "--data", t.TempDir()}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = logFile(t, "lab.log")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the lab did not say where it listens: %v", err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	l := &labProcess{t: t}
	if err := json.Unmarshal(line, &l.urls); err != nil {
		t.Fatalf("the lab said %q: %v", line, err)
	}
	return l
}

func logFile(t *testing.T, name string) *os.File {
	t.Helper()
	dir := os.Getenv("QUELL_E2E_LOGS")
	if dir == "" {
		dir = t.TempDir()
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			tail(t, f.Name())
		}
		_ = f.Close()
	})
	return f
}

// tail shows the end of a log of a failed test.
func tail(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return
	}
	const most = 6000
	if len(raw) > most {
		raw = raw[len(raw)-most:]
	}
	t.Logf("%s ends:\n%s", filepath.Base(file), raw)
}

// control calls the lab's own API.
func (l *labProcess) control(method, path string, body []byte, out any) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.urls["control"]+path, bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatalf("lab %s: %v", path, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		l.t.Fatalf("lab %s: %s %v: %s", path, res.Status, err, raw)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			l.t.Fatalf("lab %s: %v: %s", path, err, raw)
		}
	}
}

// children lists the live processes whose parent is pid.
func children(pid int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []int
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		_, rest, ok := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		if ok && len(fields) > 2 && fields[0] != "Z" && fields[1] == strconv.Itoa(pid) {
			out = append(out, child)
		}
	}
	return out
}

// alive reports whether a process is there and not a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// eventually polls until ok says so.
func eventually(t *testing.T, within time.Duration, what string, ok func() (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		done, err := ok()
		if done {
			return
		}
		if err != nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s (%v)", within, what, errors.Join(last, ctx.Err()))
		case <-tick.C:
		}
	}
}
