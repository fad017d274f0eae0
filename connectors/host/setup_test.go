package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

// canary is the secret that must turn up nowhere.
const canary = "c4n4ry-t0ken/with+signs"

// binary is the tests' connector, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "host-test-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "connector")
	if out, err := exec.Command("go", "build", "-o", binary, "./testdata/connector").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the tests' connector: %v\n%s", err, out)
		os.Exit(1)
	}
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

func withToken(context.Context) (map[string]secret.Value, error) {
	return map[string]secret.Value{"token": secret.New(canary)}, nil
}

// one is a host with the instance "m", changed by edit.
func one(edit func(*host.Options)) host.Options {
	o := host.Options{
		Log:       zerolog.Nop(),
		Instances: []host.Instance{{Name: "m", Connector: "mock", Binary: binary, Secrets: withToken}},
		PingEvery: 100 * time.Millisecond, PingTimeout: 2 * time.Second,
		StopGrace: time.Second,
	}
	if edit != nil {
		edit(&o)
	}
	return o
}

// run starts a host and closes it after the test.
func run(t *testing.T, edit func(*host.Options)) *host.Host {
	t.Helper()
	h := idle(t, edit)
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

func idle(t *testing.T, edit func(*host.Options)) *host.Host {
	t.Helper()
	h, err := host.New(one(edit))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// rogue makes the instance misbehave.
func rogue(how string) func(*host.Options) {
	return func(o *host.Options) {
		o.Instances[0].Args = []string{how}
		o.Instances[0].Secrets = nil
	}
}

func read(action string, inputs map[string]any) spec.Request {
	return spec.Request{Action: action, Mode: spec.Act, Inputs: inputs, Deadline: time.Now().Add(10 * time.Second)}
}

func effect(inputs map[string]any) (spec.Request, host.Permit) {
	r := read("test.push", inputs)
	r.Key = "t/run/step"
	return r, host.Permit{Key: r.Key, Expires: time.Now().Add(5 * time.Second)}
}

// say calls a read and returns one text of its output.
func say(t *testing.T, h *host.Host, action, out string, inputs map[string]any) string {
	t.Helper()
	r, err := h.Call(t.Context(), "m", read(action, inputs), host.Permit{})
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	s, _ := r.Output[out].(string)
	return s
}

func wantKind(t *testing.T, err error, k spec.ErrorKind) {
	t.Helper()
	_ = fault(t, err, k)
}

// fault is err as a connector's error of that kind; the test ends where it is none.
func fault(t *testing.T, err error, k spec.ErrorKind) *spec.Error {
	t.Helper()
	var e *spec.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want a *spec.Error of kind %s", err, k)
	}
	if e.Kind != k {
		t.Fatalf("error %v, want kind %s", err, k)
	}
	return e
}

func state(h *host.Host) host.InstanceStatus { return h.Status()[0] }

func until(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(time.Millisecond)
	}
}

func alive(pid int) bool {
	if pid == 0 || syscall.Kill(pid, 0) != nil {
		return false
	}
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	after := raw[bytes.LastIndexByte(raw, ')')+1:]
	return !bytes.HasPrefix(bytes.TrimSpace(after), []byte("Z"))
}
