package host_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

func itoa(n int) string { return strconv.Itoa(n) }

// How often the process is killed and frozen in the middle of a call; the
// acceptance figure is -kills 200 -freezes 50.
var (
	kills   = flag.Int("kills", 25, "rounds of TestKillMidCall")
	freezes = flag.Int("freezes", 3, "rounds of TestFreezeMidCall")
)

// R3: the process is killed in the middle of calls, again and again.
func TestKillMidCall(t *testing.T) {
	url, _, arrived := vendor(t)
	h := run(t, func(o *host.Options) {
		o.Instances[0].Settings = map[string]string{"url": url}
		o.Crashes = 1000
	})
	rounds := *kills
	var worst time.Duration
	for n := range rounds {
		r, p := effect(map[string]any{"text": "x", "for": time.Minute})
		ended := make(chan error, 1)
		go func() { _, err := h.Call(context.Background(), "m", r, p); ended <- err }()
		<-arrived
		pid := state(h).PID
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		wantKind(t, <-ended, spec.Uncertain)
		// The next call waits for the new process and knows nothing of this.
		if _, err := h.Call(t.Context(), "m", read("test.echo", nil), host.Permit{}); err != nil {
			t.Fatalf("round %d: the call after the kill: %v", n, err)
		}
		worst = max(worst, time.Since(killed))
		if alive(pid) {
			t.Fatal("the killed process lives")
		}
	}
	st := state(h)
	if st.Restarts != rounds || st.LastError == "" {
		t.Errorf("status %+v, want %d restarts", st, rounds)
	}
	t.Logf("%d kills; from kill to the next answer at most %s", rounds, worst)
	if worst > 5*time.Second {
		t.Errorf("respawn took %s", worst)
	}
}

func TestReadIsRetryableAfterKill(t *testing.T) {
	url, _, arrived := vendor(t)
	h := run(t, func(o *host.Options) { o.Instances[0].Settings = map[string]string{"url": url} })
	ended := make(chan error, 1)
	go func() {
		_, err := h.Call(context.Background(), "m", read("test.sleep", map[string]any{"for": time.Minute}), host.Permit{})
		ended <- err
	}()
	<-arrived
	_ = syscall.Kill(state(h).PID, syscall.SIGKILL)
	wantKind(t, <-ended, spec.Unavailable)
}

// A frozen process: the call ends by its deadline, the watchdog kills it.
func TestFreezeMidCall(t *testing.T) {
	url, _, arrived := vendor(t)
	h := run(t, func(o *host.Options) {
		o.Instances[0].Settings = map[string]string{"url": url}
		o.PingTimeout, o.Crashes = 500*time.Millisecond, 1000
	})
	var latest, slowest time.Duration
	for range *freezes {
		r, p := effect(map[string]any{"text": "x", "for": time.Minute})
		r.Deadline = time.Now().Add(400 * time.Millisecond)
		ended := make(chan error, 1)
		go func() { _, err := h.Call(context.Background(), "m", r, p); ended <- err }()
		<-arrived
		pid := state(h).PID
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		wantKind(t, <-ended, spec.Uncertain)
		latest = max(latest, time.Since(r.Deadline))
		if _, err := h.Call(t.Context(), "m", read("test.echo", nil), host.Permit{}); err != nil {
			// It may have met the frozen process; the new one serves it.
			wantKind(t, err, spec.Unavailable)
		}
		until(t, "the frozen process is reaped and replaced", 5*time.Second, func() bool {
			st := state(h)
			return !alive(pid) && st.State == host.Ready && st.PID != pid
		})
		slowest = max(slowest, time.Since(r.Deadline))
	}
	t.Logf("%d freezes; a call ended at most %s after its deadline, the new process was ready at most %s after it", *freezes, latest, slowest)
	if latest > time.Second {
		t.Errorf("a call ended %s after its deadline", latest)
	}
}

func TestFreezeWhenIdleAndAtClose(t *testing.T) {
	h := run(t, func(o *host.Options) { o.PingTimeout = 300 * time.Millisecond })
	pid := state(h).PID
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	until(t, "the watchdog replaces it", 5*time.Second, func() bool { return state(h).State == host.Ready && state(h).PID != pid })
	pid = state(h).PID
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	begun := time.Now()
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if d := time.Since(begun); d > 4*time.Second {
		t.Errorf("Close took %s on a frozen process", d)
	}
	if alive(pid) {
		t.Error("it lives on")
	}
	if state(h).State != host.Stopped {
		t.Errorf("state %s", state(h).State)
	}
	_, err := h.Call(context.Background(), "m", read("test.echo", nil), host.Permit{})
	wantKind(t, err, spec.Unavailable)
}

func TestQuarantineAndRecovery(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "connector")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := idle(t, func(o *host.Options) {
		o.Instances[0].Binary = path
		o.Crashes, o.QuarantineRetry, o.RetryFirst = 4, 300*time.Millisecond, time.Millisecond
	})
	if err := h.Start(t.Context()); err == nil {
		t.Error("Start did not report the broken instance")
	}
	until(t, "it is quarantined", 5*time.Second, func() bool { return state(h).State == host.Quarantined })
	_, err := h.Call(t.Context(), "m", read("test.echo", nil), host.Permit{})
	wantKind(t, err, spec.Unavailable)
	raw, err := os.ReadFile(binary)
	if err == nil {
		err = os.WriteFile(path+".new", raw, 0o755)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	until(t, "it comes back by itself", 5*time.Second, func() bool { return state(h).State == host.Ready })
}

// Calls that arrive while the process restarts wait instead of failing.
func TestCallsWaitForRestart(t *testing.T) {
	h := run(t, func(o *host.Options) { o.Crashes = 1000 })
	stop := make(chan struct{})
	var killer, callers sync.WaitGroup
	kills := 0
	killer.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(150 * time.Millisecond):
			}
			if pid := state(h).PID; pid != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
				kills++
			}
		}
	})
	var mu sync.Mutex
	good, lost := 0, 0
	for range 4 {
		callers.Go(func() {
			for range 60 {
				_, err := h.Call(context.Background(), "m", read("test.sleep", map[string]any{"for": 5 * time.Millisecond}), host.Permit{})
				mu.Lock()
				switch {
				case err == nil:
					good++
				case spec.KindOf(err) == spec.Unavailable:
					lost++
				default:
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	close(stop)
	killer.Wait()
	t.Logf("%d kills: %d of 240 calls answered, %d lost their process and may be retried", kills, good, lost)
	if good < 120 || lost > 4*(kills+1) {
		t.Errorf("too many calls failed: %d good, %d lost in %d kills", good, lost, kills)
	}
}

func TestHostileReplies(t *testing.T) {
	h := run(t, rogue("raw"))
	call := func(text string) (spec.Reply, error) {
		r := read("test.echo", map[string]any{"text": text})
		if text == "never" {
			r.Deadline = time.Now().Add(300 * time.Millisecond)
		}
		begun := time.Now()
		reply, err := h.Call(t.Context(), "m", r, host.Permit{})
		if d := time.Since(begun); text == "never" && d > 1300*time.Millisecond {
			t.Errorf("%s: it took %s", text, d)
		}
		return reply, err
	}
	for _, text := range []string{"notjson", "wrongtype", "extra", "outcome", "deep"} {
		_, err := call(text)
		t.Log(text, err)
		wantKind(t, err, spec.Internal)
	}
	_, err := call("kind")
	if e := fault(t, err, spec.Internal); len(e.Message) > 1100 || strings.ContainsAny(e.Message, "\x1b\a") {
		t.Errorf("the message has %d bytes or escapes", len(e.Message))
	}
	_, err = call("never")
	wantKind(t, err, spec.Transient)
	if r, err := call("large"); err != nil || len(r.VendorRequestID) > 200 {
		t.Errorf("6 MiB: %v", err)
	}
	push, permit := effect(map[string]any{"text": "outcome"})
	_, err = h.Call(t.Context(), "m", push, permit)
	wantKind(t, err, spec.Uncertain)
	_, err = call("forever")
	if e := fault(t, err, spec.RateLimited); e.RetryAfter != time.Hour {
		t.Errorf("retry after %s", e.RetryAfter)
	}
}

func TestReplyOfOneGiB(t *testing.T) {
	h := run(t, rogue("raw"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := h.Call(t.Context(), "m", read("test.echo", map[string]any{"text": "huge"}), host.Permit{})
	e := fault(t, err, spec.Internal)
	runtime.ReadMemStats(&after)
	if !strings.Contains(e.Message, "ResourceExhausted") {
		t.Errorf("error %v, want our cap of messages", e)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("the host allocated %d MiB for it", grown>>20)
	}
	if _, err := h.Call(t.Context(), "m", read("test.echo", nil), host.Permit{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestWrongConfigurations(t *testing.T) {
	for name, c := range map[string]struct {
		edit    func(*host.Options)
		message string
	}{
		"pinned":          {func(o *host.Options) { o.Instances[0].SHA256 = strings.Repeat("a", 64) }, "pins"},
		"no such setting": {func(o *host.Options) { o.Instances[0].Settings = map[string]string{"uri": "x"} }, "no setting"},
		"secret as text":  {func(o *host.Options) { o.Instances[0].Settings = map[string]string{"token": "x"} }, "is a secret"},
		"refused":         {func(o *host.Options) { o.Instances[0].Settings = map[string]string{"colour": "refused"} }, "colour is refused"},
		"unknown":         {func(o *host.Options) { o.Instances[0].Connector = "nothing" }, "before the handshake"},
		"no binary":       {func(o *host.Options) { o.Instances[0].Binary = "/nonexistent" }, "check the configured path"},
		"no secret": {func(o *host.Options) {
			o.Instances[0].Secrets = func(context.Context) (map[string]secret.Value, error) {
				return nil, errors.New("vault is sealed")
			}
		}, "vault is sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			h := idle(t, c.edit)
			err := h.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.message) || strings.Contains(err.Error(), canary) {
				t.Errorf("error %v, want one with %q", err, c.message)
			}
		})
	}
	if _, err := host.New(host.Options{Instances: []host.Instance{{Name: "a b"}, {Name: "c", Connector: "x"}, {Name: "c", Connector: "x", Binary: "y"}}}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("New: %v", err)
	}
}

func TestCloseDrains(t *testing.T) {
	h := run(t, nil)
	ended := make(chan error, 1)
	go func() {
		_, err := h.Call(context.Background(), "m", read("test.sleep", map[string]any{"for": 400 * time.Millisecond}), host.Permit{})
		ended <- err
	}()
	until(t, "the call runs", 2*time.Second, func() bool { return h.Running() == 1 })
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the running call: %v", err)
	}
}

// A secret that is changed where it is kept reaches the connector without a start
// of the server: its process is replaced, and calls go on. One that cannot be
// fetched for a while stops nothing.
func TestChangedSecret(t *testing.T) {
	var mu sync.Mutex
	token, broken, asked := canary, false, 0
	h := run(t, func(o *host.Options) {
		o.Instances[0].Secrets = func(context.Context) (map[string]secret.Value, error) {
			mu.Lock()
			defer mu.Unlock()
			if asked++; broken {
				return nil, errors.New("the file is being written")
			}
			return map[string]secret.Value{"token": secret.New(token)}, nil
		}
	})
	change := func(fail bool) {
		mu.Lock()
		defer mu.Unlock()
		token, broken, asked = canary+"2", fail, 0
	}
	looks := func() int {
		mu.Lock()
		defer mu.Unlock()
		return asked
	}
	first := state(h).PID
	for change(true); looks() < 3; {
		say(t, h, "test.echo", "text", map[string]any{"text": "x"})
	}
	if state(h).PID != first {
		t.Fatal("a secret that could not be fetched ended the process")
	}
	change(false)
	for begun := time.Now(); state(h).PID == first; say(t, h, "test.echo", "text", map[string]any{"text": "x"}) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("the process lives on with the old secret: %+v", state(h))
		}
	}
	say(t, h, "test.echo", "text", map[string]any{"text": "x"})
}
