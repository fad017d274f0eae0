package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

const token = "t0ken-of-the-test"

// stub answers with what the test says.
type stub struct {
	call  func(ctx context.Context, r spec.Request) (spec.Reply, error)
	got   *sdk.Config
	panic bool
}

func (s stub) Manifest() spec.Manifest {
	if s.panic {
		panic("no manifest today")
	}
	return spec.Manifest{
		Name: "stub", Version: "1",
		Settings: []spec.Setting{
			{Name: "size", Type: kind.Of(kind.Int), Default: "7"},
			{Name: "tags", Type: kind.ListOf(kind.Of(kind.String)), Optional: true},
			{Name: "token", Type: kind.Of(kind.Secret), Secret: true},
		},
		Actions: []spec.Action{
			{
				Name: "test.read", Class: spec.Read, Deadline: time.Second,
				Inputs:  []kind.Field{{Name: "n", Type: kind.Of(kind.Int), Optional: true}},
				Outputs: []kind.Field{{Name: "text", Type: kind.Of(kind.String)}},
			},
			{
				Name: "test.act", Class: spec.Idempotent, ReadBack: spec.Strong, Reversal: spec.Unneeded, Deadline: time.Second,
				Outputs: []kind.Field{{Name: "text", Type: kind.Of(kind.String)}},
			},
		},
	}
}

func (s stub) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	if s.got != nil {
		*s.got = c
	}
	return s, nil
}

func (s stub) Call(ctx context.Context, r spec.Request) (spec.Reply, error) { return s.call(ctx, r) }
func (s stub) Check(context.Context) []sdk.Finding                          { return nil }
func (s stub) Close() error                                                 { return nil }

func open(t *testing.T, s stub) (a *sdk.Adapter, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	a = sdk.NewAdapter(s, func(text string) { log.WriteString(text) })
	r, err := a.Configure(t.Context(), &proto.ConfigureRequest{
		Instance: "i", Settings: []byte(`{"size":7}`), Secrets: map[string][]byte{"token": []byte(token)},
	})
	if err != nil || r.GetError() != nil {
		t.Fatal(err, r.GetError())
	}
	return a, log
}

func soon() int64 { return time.Now().Add(time.Second).UnixNano() }

func TestAdapterCalls(t *testing.T) {
	text := func(s string) spec.Reply {
		return spec.Reply{Outcome: spec.Done, Output: map[string]any{"text": s}}
	}
	for name, c := range map[string]struct {
		req   *proto.CallRequest
		reply spec.Reply
		err   error
		want  spec.ErrorKind // "" for success
	}{
		"read":                     {&proto.CallRequest{Action: "test.read", Mode: "act"}, text("x"), nil, ""},
		"read without an outcome":  {&proto.CallRequest{Action: "test.read", Mode: "act"}, spec.Reply{Output: map[string]any{"text": "x"}}, nil, ""},
		"unknown action":           {&proto.CallRequest{Action: "test.none", Mode: "act"}, text("x"), nil, spec.Invalid},
		"unknown input":            {&proto.CallRequest{Action: "test.read", Mode: "act", Inputs: []byte(`{"x":1}`)}, text("x"), nil, spec.Invalid},
		"wrong type":               {&proto.CallRequest{Action: "test.read", Mode: "act", Inputs: []byte(`{"n":1.5}`)}, text("x"), nil, spec.Invalid},
		"inputs are no JSON":       {&proto.CallRequest{Action: "test.read", Mode: "act", Inputs: []byte(`{`)}, text("x"), nil, spec.Invalid},
		"prior is no JSON":         {&proto.CallRequest{Action: "test.act", Mode: "act", Key: "k", Prior: []byte(`[`)}, text("x"), nil, spec.Invalid},
		"read-back of a read":      {&proto.CallRequest{Action: "test.read", Mode: "read_back"}, text("x"), nil, spec.Invalid},
		"effect without key":       {&proto.CallRequest{Action: "test.act", Mode: "act"}, text("x"), nil, spec.Invalid},
		"deadline over":            {&proto.CallRequest{Action: "test.read", Mode: "act", DeadlineUnixNanos: 1}, text("x"), nil, spec.Transient},
		"read: output missing":     {&proto.CallRequest{Action: "test.read", Mode: "act"}, spec.Reply{Outcome: spec.Done}, nil, spec.Internal},
		"effect: output missing":   {&proto.CallRequest{Action: "test.act", Mode: "act", Key: "k"}, spec.Reply{Outcome: spec.Done}, nil, spec.Uncertain},
		"effect: outcome of back":  {&proto.CallRequest{Action: "test.act", Mode: "act", Key: "k"}, spec.Reply{Outcome: spec.Present}, nil, spec.Uncertain},
		"partial without failures": {&proto.CallRequest{Action: "test.act", Mode: "act", Key: "k"}, spec.Reply{Outcome: spec.Partial}, nil, spec.Uncertain},
		"present, output unknown":  {&proto.CallRequest{Action: "test.act", Mode: "read_back", Key: "k"}, spec.Reply{Outcome: spec.Present}, nil, ""},
		"a plain error":            {&proto.CallRequest{Action: "test.read", Mode: "act"}, spec.Reply{}, errors.New("boom"), spec.Internal},
		"a typed error":            {&proto.CallRequest{Action: "test.read", Mode: "act"}, spec.Reply{}, spec.Errorf(spec.Conflict, "no"), spec.Conflict},
		"a prior that is no value": {&proto.CallRequest{Action: "test.act", Mode: "act", Key: "k"}, spec.Reply{Outcome: spec.Done, Output: map[string]any{"text": ""}, Prior: map[string]any{"x": struct{}{}}}, nil, spec.Uncertain},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := open(t, stub{call: func(context.Context, spec.Request) (spec.Reply, error) { return c.reply, c.err }})
			if c.req.DeadlineUnixNanos == 0 {
				c.req.DeadlineUnixNanos = soon()
			}
			r, err := a.Call(t.Context(), c.req)
			if err != nil {
				t.Fatalf("a gRPC error: %v", err)
			}
			if got := spec.ErrorKind(r.GetError().GetKind()); got != c.want {
				t.Errorf("kind %q, want %q: %s", got, c.want, r.GetError().GetMessage())
			}
		})
	}
}

func TestAdapterRedactsAndRecovers(t *testing.T) {
	a, log := open(t, stub{call: func(_ context.Context, r spec.Request) (spec.Reply, error) {
		if r.Inputs["n"] == int64(1) {
			panic("it is " + token)
		}
		return spec.Reply{Output: map[string]any{"text": "it is " + token}}, nil
	}})
	r, err := a.Call(t.Context(), &proto.CallRequest{Action: "test.read", Mode: "act", DeadlineUnixNanos: soon()})
	if err != nil || string(r.GetOutput()) != `{"text":"it is [secret]"}` {
		t.Errorf("output %s, %v", r.GetOutput(), err)
	}
	r, err = a.Call(t.Context(), &proto.CallRequest{Action: "test.read", Mode: "act", Inputs: []byte(`{"n":1}`), DeadlineUnixNanos: soon()})
	if err != nil || r.GetError().GetKind() != string(spec.Internal) || strings.Contains(r.GetError().GetMessage(), token) {
		t.Errorf("panic: %v, %v", r, err)
	}
	if strings.Contains(log.String(), token) || !strings.Contains(log.String(), "it is [secret]") {
		t.Errorf("the log of the panic: %.200s", log)
	}
	if _, err := sdk.NewAdapter(stub{panic: true}, nil).Describe(t.Context(), &proto.DescribeRequest{}); err == nil {
		t.Error("a panic in Manifest is no error")
	}
}

func TestAdapterDeadline(t *testing.T) {
	wait := stub{call: func(ctx context.Context, r spec.Request) (spec.Reply, error) {
		if d, ok := ctx.Deadline(); !ok || !d.Equal(r.Deadline) {
			return spec.Reply{}, spec.Errorf(spec.Internal, "context until %v, request until %v", d, r.Deadline)
		}
		<-ctx.Done()
		return spec.Reply{}, ctx.Err()
	}}
	a, _ := open(t, wait)
	for action, want := range map[string]spec.ErrorKind{"test.read": spec.Transient, "test.act": spec.Uncertain} {
		r, err := a.Call(t.Context(), &proto.CallRequest{Action: action, Mode: "act", Key: "k", DeadlineUnixNanos: time.Now().Add(50 * time.Millisecond).UnixNano()})
		if err != nil || r.GetError().GetKind() != string(want) {
			t.Errorf("%s: %v %v, want %s", action, r.GetError(), err, want)
		}
	}
}

func TestConfigure(t *testing.T) {
	var got sdk.Config
	s := stub{got: &got}
	a, _ := open(t, s)
	if got.Instance != "i" || got.Settings["size"] != int64(7) || got.Secrets["token"].Reveal() != token {
		t.Errorf("config %+v", got)
	}
	r, err := a.Configure(t.Context(), &proto.ConfigureRequest{})
	if err != nil || r.GetError().GetKind() != string(spec.Conflict) {
		t.Errorf("a second time: %v %v", r, err)
	}
	for name, c := range map[string]*proto.ConfigureRequest{
		"no secret":       {Settings: []byte(`{"size":7}`)},
		"unknown secret":  {Settings: []byte(`{"size":7}`), Secrets: map[string][]byte{"token": []byte("x"), "other": []byte("y")}},
		"unknown setting": {Settings: []byte(`{"size":7,"x":1}`), Secrets: map[string][]byte{"token": []byte("x")}},
	} {
		r, err := sdk.NewAdapter(s, nil).Configure(t.Context(), c)
		if err != nil || r.GetError().GetKind() != string(spec.Invalid) {
			t.Errorf("%s: %v %v", name, r, err)
		}
	}
	early, err := sdk.NewAdapter(s, nil).Call(t.Context(), &proto.CallRequest{Action: "test.read", Mode: "act"})
	if err != nil || early.GetError().GetKind() != string(spec.Unavailable) {
		t.Errorf("a call before Configure: %v %v", early, err)
	}
}

func TestParseSettings(t *testing.T) {
	m := stub{}.Manifest()
	got, err := sdk.ParseSettings(m, map[string]string{"tags": `["a","b"]`})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"size": int64(7), "tags": []any{"a", "b"}}, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []map[string]string{{"size": "big"}, {"sise": "1"}, {"token": token}, {"tags": "a"}} {
		_, err := sdk.ParseSettings(m, bad)
		if err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if err := sdk.CheckSecrets(m, map[string]secret.Value{"token": {}}); err == nil {
		t.Error("an empty secret passes")
	}
}

// Whatever comes over the wire, the adapter answers with data.
func FuzzAdapterCall(f *testing.F) {
	a := sdk.NewAdapter(stub{call: func(context.Context, spec.Request) (spec.Reply, error) {
		return spec.Reply{Outcome: spec.Done, Output: map[string]any{"text": "x"}}, nil
	}}, nil)
	if _, err := a.Configure(context.Background(), &proto.ConfigureRequest{Settings: []byte(`{"size":7}`), Secrets: map[string][]byte{"token": []byte(token)}}); err != nil {
		f.Fatal(err)
	}
	f.Add("test.read", "act", "", []byte(`{"n":1}`), []byte(nil), int64(0))
	f.Add("test.act", "act", "k", []byte(`{}`), []byte(`{"a":[1,2.5,{"b":null}]}`), int64(1<<62))
	f.Fuzz(func(t *testing.T, action, mode, key string, in, prior []byte, deadline int64) {
		if _, err := a.Call(t.Context(), &proto.CallRequest{Action: action, Mode: mode, Key: key, Inputs: in, Prior: prior, DeadlineUnixNanos: deadline}); err != nil {
			t.Fatal(err)
		}
	})
}
