package e2e

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// demo prepares a demo whose temporary files lie in a directory of the test.
func demo(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(bin(t, "quell"), append([]string{"demo"}, args...)...)
	dir, err := os.MkdirTemp("", "qd") //nolint:usetesting // short: sockets lie in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "CI=true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// TestDemo shows the demo from alert to review: nobody is asked, the second
// person approves, what was done is taken back, the review is there, and nothing
// else is left.
func TestDemo(t *testing.T) {
	alongside(t)
	report := filepath.Join(t.TempDir(), "review.html")
	cmd := demo(t, "--report", report)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	for _, want := range []string{
		"approves: nobody is asked here", "vote.cast  contain.isolate  user:lena", "edr.isolate_host done", "ended  completed",
		"edr.quarantine_file   lt-0471  done", "verified offline", "Next\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
	raw, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Isolate a host", "user lena", "false alarm: invoice-viewer.exe is ours", "Verdict: all of it was taken back by", "Nothing was found open at"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the review does not say %q", want)
		}
	}
	emptied(t, cmd)
}

// emptied holds that a demo left nothing in its directory.
func emptied(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	for _, e := range cmd.Env {
		dir, ok := strings.CutPrefix(e, "TMPDIR=")
		if !ok || !strings.Contains(dir, "/qd") {
			continue
		}
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range left {
			t.Errorf("the demo left %s", l.Name())
		}
	}
}

// TestDemoInterrupted sends Ctrl-C in the middle of the run: lab, server and
// connectors end, the exit code is 130, nothing is left.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	cmd := demo(t, "--keep")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var said strings.Builder
	sc := bufio.NewScanner(out)
	for sc.Scan() && !strings.Contains(sc.Text(), "effect.intent  contain.isolate") {
		said.WriteString(sc.Text() + "\n")
	}
	family := descendants(cmd.Process.Pid)
	if len(family) < 4 { // lab, server, and connectors below it
		t.Fatalf("the demo has %d processes below it:\n%s", len(family), said.String())
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for sc.Scan() {
		said.WriteString(sc.Text() + "\n")
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("it ended with %v:\n%s", err, said.String())
	}
	for _, pid := range family {
		if alive(pid) {
			t.Errorf("process %d outlived the demo", pid)
		}
	}
	emptied(t, cmd)
}

// descendants lists the live processes below one.
func descendants(pid int) []int {
	var out []int
	for _, child := range children(pid) {
		out = append(append(out, child), descendants(child)...)
	}
	return out
}
