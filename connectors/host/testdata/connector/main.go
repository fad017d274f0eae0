// Command connector is the connector of the host's tests. Its first argument is
// its name, as for every connector; a second one makes it misbehave before or
// instead of serving (rogue.go).
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

func main() {
	if len(os.Args) > 2 && misbehave(os.Args[2]) {
		return
	}
	sdk.Serve(mock{}, mock{name: "other"})
}

type mock struct{ name string }

var _ sdk.Connector = mock{}

func text(name string, optional bool) kind.Field {
	return kind.Field{Name: name, Type: kind.Of(kind.String), Optional: optional}
}

func (m mock) Manifest() spec.Manifest {
	device := kind.Field{Name: "device", Type: kind.HandleOf("device")}
	forHow := kind.Field{Name: "for", Type: kind.Of(kind.Duration)}
	deaf := kind.Field{Name: "deaf", Type: kind.Of(kind.Boolean), Optional: true}
	read := func(name string, in, out []kind.Field) spec.Action {
		return spec.Action{Name: name, Class: spec.Read, Deadline: 20 * time.Second, Inputs: in, Outputs: out}
	}
	name := m.name
	if name == "" {
		name = "mock"
	}
	return spec.Manifest{
		Name: name, Version: "1.2.3", Title: "Mock",
		Settings: []spec.Setting{
			{Name: "url", Type: kind.Of(kind.String), Optional: true},
			{Name: "colour", Type: kind.Of(kind.String), Default: "green"},
			{Name: "token", Type: kind.Of(kind.Secret), Secret: true, Optional: true},
		},
		Actions: []spec.Action{
			read("test.echo", []kind.Field{text("text", true)}, []kind.Field{text("text", true)}),
			read("test.look", []kind.Field{text("path", true)}, []kind.Field{text("seen", false)}),
			read("test.sleep", []kind.Field{forHow, deaf}, nil),
			read("test.find", nil, []kind.Field{device}),
			read("test.leak", []kind.Field{text("how", false)}, []kind.Field{text("text", true)}),
			read("test.panic", nil, nil),
			read("test.exit", nil, nil),
			read("test.limit", nil, nil),
			read("test.dump", []kind.Field{text("text", false)}, []kind.Field{{Name: "content", Type: kind.Of(kind.Artifact)}, text("most", true)}),
			read("test.print", []kind.Field{text("text", false)}, nil),
			{
				Name: "test.push", Class: spec.Once, ReadBack: spec.NoReadBack, Reversal: spec.Irreversible, Deadline: 20 * time.Second,
				Inputs: []kind.Field{text("text", false), {Name: "device", Type: kind.HandleOf("device"), Optional: true}, {Name: "for", Type: kind.Of(kind.Duration), Optional: true}},
			},
		},
	}
}

func (m mock) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	if c.Settings["colour"] == "refused" {
		return nil, spec.Errorf(spec.Invalid, "the colour is refused, says %s", c.Secrets["token"].Reveal())
	}
	return session{c: c, token: c.Secrets["token"]}, nil
}

type session struct {
	c     sdk.Config
	token secret.Value
}

func (s session) Close() error { return nil }

func (s session) Check(context.Context) []sdk.Finding {
	if s.c.Settings["colour"] == "ill" {
		return []sdk.Finding{{Name: "reachable", Advice: "the vendor does not answer"}}
	}
	return []sdk.Finding{{Name: "credentials", OK: true, Advice: "token " + s.token.Reveal() + " works"}}
}

func (s session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	done := func(out map[string]any) (spec.Reply, error) {
		return spec.Reply{Outcome: spec.Done, Output: out}, nil
	}
	switch r.Action {
	case "test.echo":
		return done(map[string]any{"text": r.Inputs["text"]})
	case "test.look":
		path, _ := r.Inputs["path"].(string)
		return done(map[string]any{"seen": look(path)})
	case "test.find":
		return done(map[string]any{"device": kind.Handle{Name: "device", Instance: "forged", ID: "d1", Label: "lab\x1b[31mel"}})
	case "test.leak":
		return s.leak(r.Inputs["how"].(string))
	case "test.panic":
		panic("the token is " + s.token.Reveal())
	case "test.exit":
		os.Exit(3)
	case "test.limit":
		return spec.Reply{}, &spec.Error{Kind: spec.RateLimited, Message: "slow down", RetryAfter: 300 * time.Millisecond}
	case "test.dump":
		return dump(ctx, r.Inputs["text"].(string))
	case "test.print":
		fmt.Println(r.Inputs["text"].(string))
		fmt.Fprintln(os.Stderr, r.Inputs["text"].(string))
		return done(nil)
	case "test.sleep":
		if url, _ := s.c.Settings["url"].(string); url != "" { // tell the test that the call is here
			if resp, err := http.Post(url, "text/plain", http.NoBody); err == nil {
				_ = resp.Body.Close()
			}
		}
		if err := wait(ctx, r); err != nil {
			return spec.Reply{}, err
		}
		return done(nil)
	case "test.push":
		return s.push(ctx, r)
	}
	return spec.Reply{}, spec.Errorf(spec.Internal, "no action %s", r.Action)
}

func wait(ctx context.Context, r spec.Request) error {
	d, _ := r.Inputs["for"].(time.Duration)
	t := time.NewTimer(d)
	defer t.Stop()
	if deaf, _ := r.Inputs["deaf"].(bool); deaf {
		<-t.C
		return nil
	}
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// push tells the test's server, which counts, and then holds the answer back.
func (s session) push(ctx context.Context, r spec.Request) (spec.Reply, error) {
	url, _ := s.c.Settings["url"].(string)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(r.Inputs["text"].(string)))
	if err != nil {
		return spec.Reply{}, err
	}
	req.Header.Set("Idempotency-Key", r.Key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return spec.Reply{}, spec.Errorf(spec.Uncertain, "push: %v", err)
	}
	_ = resp.Body.Close()
	if err := wait(ctx, r); err != nil {
		return spec.Reply{}, spec.Errorf(spec.Uncertain, "push: %v", err)
	}
	return spec.Reply{Outcome: spec.Done, Prior: map[string]any{"n": int64(7), "who": s.c.Instance}}, nil
}

func (s session) leak(how string) (spec.Reply, error) {
	t := s.token.Reveal()
	switch how {
	case "output":
		return spec.Reply{Output: map[string]any{"text": "it is " + t + "!"}}, nil
	case "basic":
		req, err := http.NewRequest(http.MethodGet, "http://example.com", nil)
		if err != nil {
			return spec.Reply{}, err
		}
		req.SetBasicAuth("quell", t)
		return spec.Reply{}, fmt.Errorf("request failed with %v", req.Header)
	}
	return spec.Reply{}, &spec.Error{Kind: spec.Auth, Message: "bad token " + t, VendorCode: t, VendorRequestID: t}
}

// dump gives out as many bytes as it is told to, and says how much memory the
// process has had at most. One that is told to break off does so in the middle.
func dump(ctx context.Context, how string) (spec.Reply, error) {
	size, breaks := strings.CutSuffix(how, " broken")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return spec.Reply{}, err
	}
	content := io.LimitReader(zeros{}, n)
	if breaks {
		content = io.MultiReader(content, broken{})
	}
	ref, err := sdk.Keep(ctx, content)
	if err != nil {
		return spec.Reply{}, err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return spec.Reply{Output: map[string]any{"content": ref, "most": strconv.FormatUint(m.Sys, 10)}}, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type broken struct{}

func (broken) Read([]byte) (int, error) {
	return 0, spec.Errorf(spec.Transient, "the vendor broke off")
}

// look says what the process finds around itself.
func look(path string) string {
	switch path {
	case "env":
		return strings.Join(os.Environ(), "\n")
	case "args":
		return strings.Join(os.Args, "\n")
	case "stdin":
		raw, err := io.ReadAll(os.Stdin)
		return fmt.Sprintf("%d bytes, %v", len(raw), err)
	case "exec":
		return fmt.Sprint(exec.Command("/bin/true").Run())
	case "kill":
		return fmt.Sprint(syscall.Kill(os.Getppid(), 0))
	case "limits":
		raw, err := os.ReadFile("/proc/self/limits")
		return fmt.Sprintf("%s %v", raw, err)
	case "parent":
		path = "/proc/" + strconv.Itoa(os.Getppid()) + "/environ"
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "error: " + err.Error()
	}
	return "read: " + string(bytes.ToValidUTF8(raw, nil))
}
