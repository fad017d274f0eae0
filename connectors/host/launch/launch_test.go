package launch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/quell-soar/quell/connectors/host/launch"
	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/sdk/secret"
)

// binary is the tests' connector, built once.
var binary string

func TestMain(m *testing.M) {
	if dir := os.Getenv("LAUNCH_TEST_HOST"); dir != "" {
		hostToBeKilled(dir)
		return
	}
	dir, err := os.MkdirTemp("", "launch-test-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "connector")
	if out, err := exec.Command("go", "build", "-o", binary, "../testdata/connector").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the tests' connector: %v\n%s", err, out)
		os.Exit(1)
	}
	// As strict as the rule demands, whatever the umask.
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chmod(binary, 0o755)); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// hostToBeKilled starts a connector, tells its process id and waits for its end.
func hostToBeKilled(bin string) {
	l, err := launch.New(launch.Options{Log: zerolog.Nop()})
	if err == nil {
		var p *launch.Process
		if p, err = l.Start(context.Background(), launch.Program{Path: bin, Args: []string{"mock"}}); err == nil {
			fmt.Println(p.PID())
			select {}
		}
	}
	fmt.Println("error:", err)
}

// logged collects a log.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func launcher(t *testing.T, o launch.Options) *launch.Launcher {
	t.Helper()
	l, err := launch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func start(t *testing.T, o launch.Options, args ...string) (*launch.Process, error) {
	t.Helper()
	p, err := launcher(t, o).Start(t.Context(), launch.Program{Path: binary, Args: append([]string{"mock"}, args...)})
	if err == nil {
		t.Cleanup(p.Stop)
	}
	return p, err
}

func until(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	after := raw[bytes.LastIndexByte(raw, ')')+1:]
	return !bytes.HasPrefix(bytes.TrimSpace(after), []byte("Z"))
}

// stopped reports whether all threads of a process are stopped.
func stopped(pid int) bool {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		if after := raw[bytes.LastIndexByte(raw, ')')+1:]; !bytes.HasPrefix(bytes.TrimSpace(after), []byte("T")) {
			return false
		}
	}
	return true
}

func sum(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(raw)
	return hex.EncodeToString(s[:])
}

// copyOf puts a copy of the connector into a directory of its own.
func copyOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "connector")
	raw, err := os.ReadFile(binary)
	if err == nil {
		err = os.WriteFile(path, raw, 0o755)
	}
	if err == nil {
		err = os.Chmod(path, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStart(t *testing.T) {
	p, err := start(t, launch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.SHA256(), sum(t, binary); got != want {
		t.Errorf("checksum %s, want %s", got, want)
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if pgid, err := syscall.Getpgid(p.PID()); err != nil || pgid != p.PID() {
		t.Errorf("process group %d (%v), want its own, %d", pgid, err, p.PID())
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err == nil && !strings.Contains(string(raw), "NoNewPrivs:\t1") {
		t.Error("it runs without no_new_privs")
	}
	p.Stop()
	if alive(p.PID()) {
		t.Error("it lives on after Stop")
	}
}

func TestRefusedBinaries(t *testing.T) {
	good := copyOf(t)
	for _, c := range []struct {
		name    string
		spoil   func(path string) error
		pinned  string
		message string
	}{
		{"wrong checksum", nil, strings.Repeat("0", 64), "pins"},
		{"group-writable file", func(p string) error { return os.Chmod(p, 0o775) }, "", "writable"},
		{"world-writable file", func(p string) error { return os.Chmod(p, 0o757) }, "", "writable"},
		{"setuid", func(p string) error { return os.Chmod(p, 0o755|os.ModeSetuid) }, "", "setuid"},
		{"not executable", func(p string) error { return os.Chmod(p, 0o644) }, "", "not executable"},
		{"world-writable directory", func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) }, "", "directory"},
		{"sticky directory", func(p string) error { return os.Chmod(filepath.Dir(p), 0o777|os.ModeSticky) }, "", "directory"},
		{"a directory", func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) }, "", "regular"},
		{"a pipe", func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o700)) }, "", "regular"},
		{"of another user", func(p string) error { return os.Chown(p, 4711, -1) }, "", "belongs to user"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := copyOf(t)
			if c.spoil != nil {
				if err := c.spoil(path); err != nil {
					t.Skip(err)
				}
			}
			_, err := launcher(t, launch.Options{}).Start(t.Context(), launch.Program{Path: path, SHA256: c.pinned, Args: []string{"mock"}})
			if !errors.Is(err, launch.ErrRefused) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("error %v, want a refusal with %q", err, c.message)
			}
		})
	}
	link := filepath.Join(filepath.Dir(good), "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	p, err := launcher(t, launch.Options{}).Start(t.Context(), launch.Program{Path: link, SHA256: sum(t, good), Args: []string{"mock"}})
	if err != nil {
		t.Fatalf("a link to a good binary: %v", err)
	}
	p.Stop()
}

// The program that runs is the one that was hashed, however fast somebody
// exchanges or rewrites the file.
func TestSwapLoses(t *testing.T) {
	path := copyOf(t)
	evil := filepath.Join(filepath.Dir(path), "evil")
	raw, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(evil, append(raw, "evil"...), 0o755); err != nil {
		t.Fatal(err)
	}
	good, bad := sum(t, path), sum(t, evil)
	stop := make(chan struct{})
	var swaps int
	var wg sync.WaitGroup
	wg.Go(func() {
		tmp := path + ".tmp"
		for ; ; swaps++ {
			select {
			case <-stop:
				return
			default:
			}
			src := evil
			if swaps%2 == 1 {
				src = binary
			}
			_ = os.Remove(tmp)
			if err := os.Symlink(src, tmp); err != nil {
				return
			}
			_ = os.Rename(tmp, path)
		}
	})
	l := launcher(t, launch.Options{})
	ran, refused := 0, 0
	for range 20 {
		p, err := l.Start(t.Context(), launch.Program{Path: path, SHA256: good, Args: []string{"mock"}})
		if err != nil {
			refused++
			continue
		}
		ran++
		if exe, err := os.Open(fmt.Sprintf("/proc/%d/exe", p.PID())); err == nil {
			h := sha256.New()
			_, _ = io.Copy(h, exe)
			_ = exe.Close()
			if got := hex.EncodeToString(h.Sum(nil)); got != good {
				t.Errorf("the program that runs has %s, want %s (evil is %s)", got, good, bad)
			}
		}
		p.Stop()
	}
	close(stop)
	wg.Wait()
	t.Logf("%d swaps: %d starts ran the pinned program, %d were refused", swaps, ran, refused)
}

func TestRogueStarts(t *testing.T) {
	for _, c := range []struct {
		how     string
		message string
	}{
		{"garbage", "chatty library"},
		{"endless", "handshake"},
		{"silent", "deadline exceeded"},
		{"exit", "before the handshake"},
		{"address", "not its own socket"},
		{"elsewhere", "not its own socket"},
		{"half", "did not start"},
	} {
		t.Run(c.how, func(t *testing.T) {
			begun := time.Now()
			_, err := start(t, launch.Options{StartTimeout: 2 * time.Second}, c.how)
			if err == nil || !strings.Contains(err.Error(), c.message) {
				t.Errorf("error %v, want one with %q", err, c.message)
			}
			if err != nil && strings.ContainsRune(err.Error(), '\x1b') {
				t.Error("the error carries the connector's escape sequence")
			}
			if d := time.Since(begun); d > 5*time.Second {
				t.Errorf("it took %s to give up", d)
			}
		})
	}
}

func TestFrozenIsStopped(t *testing.T) {
	p, err := start(t, launch.Options{StopGrace: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// kill returns before every thread stands still.
	until(t, "all threads are stopped", 5*time.Second, func() bool { return stopped(p.PID()) })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := p.Ping(ctx); err == nil {
		t.Error("a frozen process answered a ping")
	}
	begun := time.Now()
	p.Stop()
	if d := time.Since(begun); d > 2*time.Second {
		t.Errorf("Stop took %s", d)
	}
	if alive(p.PID()) {
		t.Error("the frozen process lives on")
	}
}

// A grandchild that left the group holds the pipes; Stop must not wait for it.
func TestGrandchildHoldsNothingUp(t *testing.T) {
	p, err := start(t, launch.Options{}, "grandchild")
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	p.Stop()
	if d := time.Since(begun); d > 2500*time.Millisecond {
		t.Errorf("Stop took %s", d)
	}
}

func TestHostDies(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LAUNCH_TEST_HOST="+binary)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatal("the connector does not run")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	until(t, "the connector ends with its host", 3*time.Second, func() bool { return !alive(pid) })
}

func TestLauncherCloseKills(t *testing.T) {
	l := launcher(t, launch.Options{})
	p, err := l.Start(t.Context(), launch.Program{Path: binary, Args: []string{"mock"}})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	select {
	case <-p.Done():
	case <-time.After(3 * time.Second):
		t.Error("the process outlives the thread that started it")
	}
	p.Stop()
	if _, err := l.Start(t.Context(), launch.Program{Path: binary}); err == nil {
		t.Error("a closed launcher starts processes")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	p, err := start(t, launch.Options{Memory: 300 << 20}, "raw")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Connector().Call(t.Context(), &proto.CallRequest{Action: "test.echo", Mode: "act", Inputs: []byte(`{"text":"hoard"}`)})
	if err == nil {
		t.Fatal("a process bounded to 300 MiB sent 1 GiB")
	}
	select {
	case <-p.Done():
	case <-time.After(10 * time.Second):
		t.Error("it did not run out of memory")
	}
}

func TestOutputIsCutAndRedacted(t *testing.T) {
	log := &logged{}
	p, err := start(t, launch.Options{Log: zerolog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	const canary = "s3cr3t-canary-value"
	p.Redact(secret.NewRedactor(secret.New(canary)))
	r, err := p.Connector().Configure(t.Context(), &proto.ConfigureRequest{Instance: "i", Settings: []byte(`{"colour":"red"}`)})
	if err != nil || r.GetError() != nil {
		t.Fatal(err, r.GetError())
	}
	say := func(text string) {
		in := fmt.Sprintf(`{"text":%q}`, text)
		r, err := p.Connector().Call(t.Context(), &proto.CallRequest{Action: "test.print", Mode: "act", Inputs: []byte(in), DeadlineUnixNanos: time.Now().Add(time.Minute).UnixNano()})
		if err != nil || r.GetError() != nil {
			t.Fatal(err, r.GetError())
		}
	}
	say("my token is " + canary)
	say(strings.Repeat("y", 1000) + canary + strings.Repeat("y", 30000))
	say("the end")
	until(t, "both streams are logged", 5*time.Second, func() bool { return strings.Count(log.String(), "the end") == 2 })
	if strings.Contains(log.String(), canary) {
		t.Error("the log holds the secret")
	}
	if !strings.Contains(log.String(), "my token is "+secret.Mark) {
		t.Errorf("the log lacks the redacted line: %.300s", log)
	}
	for line := range strings.SplitSeq(log.String(), "\n") {
		if len(line) > 1500 {
			t.Errorf("a log line has %d bytes", len(line))
		}
	}
	for range 300 {
		say("spam")
	}
	if n := strings.Count(log.String(), "spam"); n > 250 {
		t.Errorf("%d of 600 lines were logged", n)
	}
}

func BenchmarkStart(b *testing.B) {
	l, err := launch.New(launch.Options{Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for b.Loop() {
		p, err := l.Start(b.Context(), launch.Program{Path: binary, Args: []string{"mock"}})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		p.Stop()
		b.StartTimer()
	}
}
