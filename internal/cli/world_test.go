package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is a terminal that several goroutines write to.
type screen struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newWorld is a person's shell before a desk that listens on a socket.
func newWorld(t *testing.T, in io.Reader) (world, *screen) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(goodToken), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(newDesk().mux())
	s.Listener = l
	s.Start()
	t.Cleanup(s.CloseClientConnections)
	out := &screen{}
	return world{
		in: in, out: out, err: out, now: func() time.Time { return now }, dir: dir,
		getenv: func(k string) string { return map[string]string{"QUELL_SOCKET": "s"}[k] },
		screen: func() (int, int, bool) { return 80, 24, true },
	}, out
}

func eventually(t *testing.T, out *screen, want string) {
	t.Helper()
	for range 500 {
		if strings.Contains(out.String(), want) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%q never came; there is %q", want, out)
}

// TestLiveWatch draws on a terminal; the only escapes there are its own.
func TestLiveWatch(t *testing.T) {
	w, out := newWorld(t, nil)
	if code := w.run(t.Context(), []string{"--token-file", "token", "run", "watch", oneRunID}, nil); code != ExitOK {
		t.Fatalf("exit %d: %s", code, out)
	}
	got := out.String()
	for _, want := range []string{"\x1b[", "contain", "✓ isolate", "1m12s", "approved by user:ben: sure", "completed"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	for _, bad := range []string{"\x1b[2J", "\u009b", "\u202e"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q reached the terminal", bad)
		}
	}
	for line := range strings.Lines(got) {
		if n := len([]rune(line)); n > 95 { // 80 and the escapes that move the cursor
			t.Errorf("a line of %d characters wraps, and the next drawing is off: %q", n, line)
		}
	}
}

// TestDumbTerminal gets lines and no escape.
func TestDumbTerminal(t *testing.T) {
	w, out := newWorld(t, nil)
	w.getenv = func(k string) string { return map[string]string{"QUELL_SOCKET": "s", "TERM": "dumb"}[k] }
	if code := w.run(t.Context(), []string{"--token-file", "token", "run", "watch", oneRunID}, nil); code != ExitOK {
		t.Fatalf("exit %d: %s", code, out)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("escapes on a dumb terminal: %q", out)
	}
}

// TestInterrupted ends a watch, and a question that nobody answers, with 130.
func TestInterrupted(t *testing.T) {
	for name, try := range map[string]struct {
		args []string
		wait string
	}{
		"watch":   {[]string{"run", "watch", "endless/3fa9c1/1"}, "waiting for approval"},
		"approve": {[]string{"approve", reqID}, "[y/N]"},
	} {
		t.Run(name, func(t *testing.T) {
			in, hold := io.Pipe()
			defer func() { _ = hold.Close() }()
			w, out := newWorld(t, in)
			w.asking = true
			ctx, cancel := context.WithCancel(t.Context())
			code := make(chan int, 1)
			go func() { code <- w.run(ctx, append([]string{"--token-file", "token"}, try.args...), nil) }()
			eventually(t, out, try.wait)
			cancel()
			if got := <-code; got != ExitInterrupted {
				t.Fatalf("exit %d: %s", got, out)
			}
			if !strings.Contains(out.String(), "quell: interrupted") {
				t.Errorf("it does not say so: %q", out)
			}
		})
	}
}

// TestServe hands the configuration's path on, and the exit code back.
func TestServe(t *testing.T) {
	var got string
	serve := func(_ context.Context, file string, stdout, _ io.Writer) error {
		got = file
		_, err := io.WriteString(stdout, "ready\n")
		return err
	}
	var out, errs bytes.Buffer
	if code := Main(t.Context(), []string{"serve", "--config", "q.yaml"}, strings.NewReader(""), &out, &errs, serve); code != ExitOK {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	if got != "q.yaml" || out.String() != "ready\n" {
		t.Errorf("file %q, output %q", got, &out)
	}
	fail := func(context.Context, string, io.Writer, io.Writer) error {
		return &Error{Code: ExitUsage, Message: "no such file"}
	}
	if code := Main(t.Context(), []string{"serve", "--config", "q.yaml"}, nil, &out, &errs, fail); code != ExitUsage {
		t.Errorf("exit %d", code)
	}
}

// TestUndoOutlivesAbsence keeps asking while the server restarts.
func TestUndoOutlivesAbsence(t *testing.T) {
	d := newDesk()
	asked := 0
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			mu.Lock()
			asked++
			n := asked
			mu.Unlock()
			if n <= 2 {
				panic(http.ErrAbortHandler)
			}
		}
		d.mux().ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	w, out := newWorld(t, nil)
	if code := w.run(t.Context(), []string{"--server", s.URL, "--token-file", "token", "undo", oneRunID, "--reason", "x", "--wait"}, nil); code != ExitOK {
		t.Fatalf("exit %d: %s", code, out)
	}
}

// TestEscaper writes JSON that means the same and shows nothing hostile.
func TestEscaper(t *testing.T) {
	in := evil + "\u007f\u2028\U000e0001é—🛡"
	var b bytes.Buffer
	if err := printJSON(&b, in); err != nil {
		t.Fatal(err)
	}
	if got := clean(strings.TrimSpace(b.String())); strings.Contains(got, "·") {
		t.Errorf("hostile characters are left: %q", &b)
	}
	var back string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back != in {
		t.Errorf("%q came back as %q, %v", in, back, err)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 300 * time.Millisecond: "0.3s", 12 * time.Second: "12s", 72 * time.Second: "1m12s",
		3*time.Hour + 5*time.Minute: "3h05m", 52 * time.Hour: "2d4h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%d) = %s, want %s", d, got, want)
		}
	}
}

// TestFit never gives a line more cells than there are.
func TestFit(t *testing.T) {
	for in, want := range map[string]string{"short": "short", "exactly ten": "exactly t…", strings.Repeat("宽", 10): "宽宽宽宽…", "✓ step done": "✓ step do…"} {
		if got := fit(in, 10); got != want {
			t.Errorf("fit(%s) = %s, want %s", in, got, want)
		}
	}
}
