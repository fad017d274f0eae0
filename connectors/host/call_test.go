package host_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// vendor counts the effects that arrive.
func vendor(t *testing.T) (url string, count *atomic.Int64, arrived <-chan struct{}) {
	t.Helper()
	n, ch := &atomic.Int64{}, make(chan struct{}, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1); ch <- struct{}{} }))
	t.Cleanup(s.Close)
	return s.URL, n, ch
}

func TestCallAndCatalogue(t *testing.T) {
	h := idle(t, func(o *host.Options) {
		o.Instances = append(o.Instances, host.Instance{Name: "o", Connector: "other", Binary: binary})
	})
	if err := h.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.Resolve("test.echo"); len(got) != 2 || got[0] != "m" || got[1] != "o" {
		t.Errorf("before Start test.echo is served by %v", got)
	}
	if got := h.Catalogue().Serving("test.push"); len(got) != 2 || got[0].Version != "1.2.3" || got[0].Action.Class != spec.Once {
		t.Errorf("catalogue: %+v", got)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := say(t, h, "test.echo", "text", map[string]any{"text": "é<&>\x00"[:5]}); got != "é<&>" {
		t.Errorf("echo gave %q", got)
	}
	if sum, version := h.Binary("m"); len(sum) != 64 || version != "1.2.3" {
		t.Errorf("binary %q %q", sum, version)
	}
	if st := state(h); st.State != host.Ready || st.PID == 0 || st.Restarts != 0 {
		t.Errorf("status %+v", st)
	}
	r, err := h.Call(t.Context(), "m", read("test.find", nil), host.Permit{})
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := r.Output["device"].(kind.Handle); d.Instance != "m" || d.ID != "d1" || strings.ContainsRune(d.Label, '\x1b') {
		t.Errorf("the handle is %+v; it must bear the instance's name and no escape", d)
	}
	for _, c := range []struct {
		inst string
		r    spec.Request
	}{
		{"nobody", read("test.echo", nil)},
		{"m", read("test.nothing", nil)},
		{"m", read("test.echo", map[string]any{"bogus": "x"})},
		{"m", read("test.echo", map[string]any{"text": int64(3)})},
		{"m", spec.Request{Action: "test.echo", Mode: spec.Back}},
		{"m", spec.Request{Action: "test.echo", Mode: "shout"}},
	} {
		_, err := h.Call(t.Context(), c.inst, c.r, host.Permit{})
		wantKind(t, err, spec.Invalid)
	}
	_, err = h.Call(t.Context(), "m", read("test.panic", nil), host.Permit{})
	if e := fault(t, err, spec.Internal); strings.Contains(e.Message, canary) {
		t.Error("the panic's text came through")
	}
}

// TestInstanceInObserveMode: whoever permits it, no effect leaves; taking one back
// does, and so do reads.
func TestInstanceInObserveMode(t *testing.T) {
	url, count, _ := vendor(t)
	h := run(t, func(o *host.Options) {
		o.Instances[0].Settings, o.Instances[0].Observe = map[string]string{"url": url}, true
	})
	good, permit := effect(map[string]any{"text": "x"})
	_, err := h.Call(t.Context(), "m", good, permit)
	wantKind(t, err, spec.Permission)
	if n := count.Load(); n != 0 {
		t.Fatalf("%d effects arrived", n)
	}
	if _, err := h.Call(t.Context(), "m", read("test.find", nil), host.Permit{}); err != nil {
		t.Error(err)
	}
	permit.Inverse = true
	if _, err := h.Call(t.Context(), "m", good, permit); err != nil || count.Load() != 1 {
		t.Errorf("taking back: %v, %d arrived", err, count.Load())
	}
}

func TestEffectNeedsPermit(t *testing.T) {
	url, count, _ := vendor(t)
	h := run(t, func(o *host.Options) { o.Instances[0].Settings = map[string]string{"url": url} })
	good, permit := effect(map[string]any{"text": "x"})
	nokey := good
	nokey.Key = ""
	for name, c := range map[string]struct {
		r spec.Request
		p host.Permit
	}{
		"none":      {good, host.Permit{}},
		"other key": {good, host.Permit{Key: "other", Expires: permit.Expires}},
		"no expiry": {good, host.Permit{Key: good.Key}},
		"no key":    {nokey, host.Permit{Expires: permit.Expires}},
	} {
		_, err := h.Call(t.Context(), "m", c.r, c.p)
		t.Log(name)
		wantKind(t, err, spec.Invalid)
	}
	_, err := h.Call(t.Context(), "m", good, host.Permit{Key: good.Key, Expires: time.Now().Add(-time.Millisecond)})
	if !errors.Is(err, host.ErrPermit) {
		t.Errorf("expired permit: %v", err)
	}
	for _, in := range []string{"other", "", "m"} {
		r, p := effect(map[string]any{"text": "x", "device": kind.Handle{Name: "device", Instance: in, ID: "1"}})
		if _, err := h.Call(t.Context(), "m", r, p); in != "m" {
			wantKind(t, err, spec.Invalid)
		} else if err != nil {
			t.Error(err)
		}
	}
	if n := count.Load(); n != 1 {
		t.Errorf("%d effects arrived, want the one that was permitted", n)
	}
	r, err := h.Call(t.Context(), "m", good, permit)
	if err != nil || r.Outcome != spec.Done || r.Prior["n"] != int64(7) || r.Prior["who"] != "m" {
		t.Errorf("reply %+v, error %v", r, err)
	}
	back := good
	back.Mode = spec.Back
	if _, err := h.Call(t.Context(), "m", back, host.Permit{}); err == nil {
		t.Error("a read-back that answers done was accepted") // the mock does not know the mode
	}
}

func TestSlots(t *testing.T) {
	h := run(t, func(o *host.Options) { o.Slots = 2 })
	var wg sync.WaitGroup
	busy := make(chan struct{}, 2)
	for range 2 {
		wg.Go(func() {
			busy <- struct{}{}
			if _, err := h.Call(context.Background(), "m", read("test.sleep", map[string]any{"for": 700 * time.Millisecond}), host.Permit{}); err != nil {
				t.Error(err)
			}
		})
	}
	<-busy
	<-busy
	until(t, "both slots are taken", 2*time.Second, func() bool {
		_, err := h.TryCall(t.Context(), "m", read("test.echo", nil), host.Permit{})
		return errors.Is(err, host.ErrBusy)
	})
	short := read("test.echo", nil)
	short.Deadline = time.Now().Add(50 * time.Millisecond)
	_, err := h.Call(t.Context(), "m", short, host.Permit{})
	wantKind(t, err, spec.Unavailable)
	if _, err := h.Call(t.Context(), "m", read("test.echo", nil), host.Permit{}); err != nil {
		t.Errorf("a patient call: %v", err)
	}
	wg.Wait()
}

func TestRateLimitHoldsCallsBack(t *testing.T) {
	h := run(t, nil)
	_, err := h.Call(t.Context(), "m", read("test.limit", nil), host.Permit{})
	if e := fault(t, err, spec.RateLimited); e.RetryAfter != 300*time.Millisecond {
		t.Errorf("retry after %s", e.RetryAfter)
	}
	begun := time.Now()
	if _, err := h.TryCall(t.Context(), "m", read("test.echo", nil), host.Permit{}); !errors.Is(err, host.ErrBusy) {
		t.Errorf("TryCall: %v", err)
	}
	short := read("test.echo", nil)
	short.Deadline = time.Now().Add(100 * time.Millisecond)
	_, err = h.Call(t.Context(), "m", short, host.Permit{})
	if e := fault(t, err, spec.RateLimited); e.RetryAfter <= 0 {
		t.Error("no RetryAfter")
	}
	if state(h).PausedUntil.IsZero() {
		t.Error("the status does not show the pause")
	}
	if _, err := h.Call(t.Context(), "m", read("test.echo", nil), host.Permit{}); err != nil {
		t.Error(err)
	}
	if d := time.Since(begun); d < 200*time.Millisecond || d > 2*time.Second {
		t.Errorf("a patient call waited %s", d)
	}
}

func TestDeadline(t *testing.T) {
	url, _, _ := vendor(t)
	h := run(t, func(o *host.Options) { o.Instances[0].Settings = map[string]string{"url": url} })
	for _, deaf := range []bool{false, true} {
		r := read("test.sleep", map[string]any{"for": 3 * time.Second, "deaf": deaf})
		r.Deadline = time.Now().Add(200 * time.Millisecond)
		begun := time.Now()
		_, err := h.Call(t.Context(), "m", r, host.Permit{})
		wantKind(t, err, spec.Transient)
		if d := time.Since(begun); d > 1200*time.Millisecond {
			t.Errorf("deaf %v: it took %s", deaf, d)
		}
	}
	r, p := effect(map[string]any{"text": "x", "for": time.Minute})
	r.Deadline = time.Now().Add(300 * time.Millisecond)
	_, err := h.Call(t.Context(), "m", r, p)
	wantKind(t, err, spec.Uncertain)
	r.Deadline = time.Now().Add(-time.Second)
	_, err = h.Call(t.Context(), "m", r, p)
	wantKind(t, err, spec.Transient) // it did not leave
}

func TestNoSecretLeaves(t *testing.T) {
	log := &logged{}
	h := run(t, func(o *host.Options) { o.Log = zerolog.New(log) })
	var said []string
	for _, how := range []string{"output", "basic", "error"} {
		r, err := h.Call(t.Context(), "m", read("test.leak", map[string]any{"how": how}), host.Permit{})
		text, _ := r.Output["text"].(string)
		said = append(said, text)
		var e *spec.Error
		if errors.As(err, &e) {
			said = append(said, e.Message, e.VendorCode, e.VendorRequestID)
		}
	}
	for _, f := range h.Check(t.Context(), "m") {
		said = append(said, f.Name, f.Advice)
	}
	_, _ = h.Call(t.Context(), "m", read("test.panic", nil), host.Permit{})
	_, _ = h.Call(t.Context(), "m", read("test.print", map[string]any{"text": "token=" + canary}), host.Permit{})
	until(t, "the panic is logged", 3*time.Second, func() bool { return strings.Contains(log.String(), "panic in test.panic") })
	known := secret.NewRedactor(secret.New(canary))
	for _, s := range append(said, log.String()) {
		if known.Found(s) {
			t.Errorf("a secret left: %.300s", s)
		}
	}
	if !strings.Contains(strings.Join(said, " "), secret.Mark) {
		t.Errorf("nothing was redacted: %q", said)
	}
}

func TestSurroundings(t *testing.T) {
	t.Setenv("QUELL_TEST_CANARY", "canary-of-the-environment")
	h := run(t, nil)
	look := func(path string) string { return say(t, h, "test.look", "seen", map[string]any{"path": path}) }
	env := look("env")
	variable := regexp.MustCompile(`(?m)^([A-Za-z_]+)=`)
	for _, m := range variable.FindAllStringSubmatch(env, -1) {
		if !strings.HasPrefix(m[1], "PLUGIN_") && m[1] != "QUELL_CONNECTOR" {
			t.Errorf("the environment holds %s", m[1])
		}
	}
	if strings.Contains(env, "canary") || !strings.Contains(env, "QUELL_CONNECTOR=") {
		t.Errorf("the environment is not the handshake's own: %q", env)
	}
	if args := look("args"); args != "connector\nmock" {
		t.Errorf("arguments %q", args)
	}
	if in := look("stdin"); in != "0 bytes, <nil>" {
		t.Errorf("stdin: %s", in)
	}
	raw, err := os.ReadFile("/proc/" + itoa(state(h).PID) + "/cmdline")
	if err != nil || strings.Contains(string(raw), canary) {
		t.Errorf("command line %q, %v", raw, err)
	}
}

func TestConfinement(t *testing.T) {
	file := t.TempDir() + "/private"
	if err := os.WriteFile(file, []byte("canary-of-a-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(ca, []byte("an authority"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := run(t, func(o *host.Options) { o.Instances[0].Reads = []string{ca} })
	look := func(path string) string { return say(t, h, "test.look", "seen", map[string]any{"path": path}) }
	if state(h).Confined == 0 {
		t.Skip("this kernel has no Landlock")
	}
	for _, path := range []string{file, "parent", "/etc/passwd", binary} {
		if seen := look(path); !strings.HasPrefix(seen, "error:") {
			t.Errorf("%s could be read: %.80q", path, seen)
		}
	}
	for _, path := range []string{ca, "/etc/hosts"} {
		if seen := look(path); !strings.HasPrefix(seen, "read:") {
			t.Errorf("%s: %s", path, seen)
		}
	}
	// The authority is renewed by a new file in its place.
	if err := os.WriteFile(ca+".new", []byte("a new authority"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(ca+".new", ca); err != nil {
		t.Fatal(err)
	}
	until(t, "the new file can be read", 5*time.Second, func() bool { return look(ca) == "read: a new authority" })
	if st := state(h); st.LastError != "" || st.State != host.Ready {
		t.Errorf("a renewed file is no failure: %+v", st)
	}
	if e := look("exec"); !strings.Contains(e, "denied") {
		t.Errorf("it could run a program: %s", e)
	}
	if e := look("kill"); state(h).Confined >= 6 && !strings.Contains(e, "not permitted") {
		t.Errorf("it could signal its host: %s", e)
	}
}
