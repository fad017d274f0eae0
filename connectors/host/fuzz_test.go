package host

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

func fuzzed() spec.Action {
	every := []kind.Field{{Name: "h", Type: kind.HandleOf("device"), Optional: true}}
	for _, k := range kind.Scalars() {
		t := kind.Of(k)
		if k == kind.Choice {
			t = kind.ChoiceOf("a", "b")
		}
		every = append(every, kind.Field{Name: string(k), Type: t, Optional: true})
	}
	every = append(every, kind.Field{Name: "l", Type: kind.ListOf(kind.RecordOf(every...)), Optional: true},
		kind.Field{Name: "m", Type: kind.MapOf(kind.HandleOf("user")), Optional: true})
	return spec.Action{
		Name: "a.b", Class: spec.Idempotent, ReadBack: spec.Strong, Reversal: spec.Unneeded, Deadline: time.Second, Outputs: every,
	}
}

// Whatever a connector answers: no panic, an error of a known kind or a reply
// that fits, handles of this instance only.
func FuzzReply(f *testing.F) {
	f.Add("done", []byte(`{"h":{"handle":"device","id":"1","instance":"evil","label":"x"},"m":{"a":{"handle":"user","id":"1","instance":"evil","label":"x"}}}`), []byte(`{"a":1}`), "", "m", int64(0))
	f.Add("absent", []byte(``), []byte(`{`), "rate_limited", "\x1b[31m", int64(-5))
	f.Add("partial", []byte(`{"l":[{"severity":"high","l":[]}]}`), []byte(nil), "", "", int64(0))
	a, redact := fuzzed(), secret.NewRedactor(secret.New("hunter22"))
	f.Fuzz(func(t *testing.T, outcome string, output, prior []byte, errKind, message string, after int64) {
		for _, mode := range []spec.Mode{spec.Act, spec.Back} {
			r := &proto.CallReply{Outcome: outcome, Output: output, Prior: prior, Failed: map[string]string{message: message}, VendorRequestId: message}
			if errKind != "" {
				r.Error = &proto.Error{Kind: errKind, Message: message, RetryAfterNanos: after, VendorCode: message}
			}
			reply, e := accept("mine", a, mode, redact, r)
			if e != nil {
				if len(e.Message) > maxMessage+8 || strings.ContainsAny(e.Message, "\x1b\n\x00") || e.RetryAfter < 0 || e.RetryAfter > maxPause {
					t.Fatalf("error %+v", e)
				}
				continue
			}
			if h, ok := foreign("mine", reply.Output); ok {
				t.Fatalf("a foreign handle came through: %+v", h)
			}
			if raw, err := kind.Canonical(reply.Output); err != nil || redact.Found(string(raw)) {
				t.Fatalf("output %s, %v", raw, err)
			}
		}
	})
}

// Whatever a manifest says: no panic, and what is accepted can be worked with.
func FuzzManifest(f *testing.F) {
	good := spec.Manifest{Name: "m", Version: "1", Actions: []spec.Action{fuzzed()}, Settings: []spec.Setting{{Name: "s", Type: kind.ListOf(kind.Of(kind.IP))}}}
	raw, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"name":"m","version":"1","actions":[{"name":"a.b","class":"read","deadline":1,"outputs":[{"name":"x","type":{"kind":"list"}}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := readManifest(raw, "m")
		if err != nil {
			return
		}
		for _, a := range m.Actions {
			_, _ = kind.Decode(a.OutputType(), []byte(`{"x":[{"y":[1]}]}`))
			_, _ = kind.Encode(a.InputType(), map[string]any{"x": []any{int64(1)}})
			_ = a.SchemaDigest()
		}
	})
}

func TestCrashes(t *testing.T) {
	o := Options{RetryFirst: 50 * time.Millisecond, RetryMost: time.Second, Crashes: 8, CrashWindow: time.Minute, QuarantineRetry: 15 * time.Second}
	c, now := crashes{opts: o}, time.Unix(0, 0)
	for n, want := range []time.Duration{50, 100, 200, 400, 800, 1000, 1000} {
		if got, st := c.next(now, false); got != want*time.Millisecond || st != Broken {
			t.Errorf("crash %d: %s %s", n+1, got, st)
		}
	}
	if got, st := c.next(now, true); got != 15*time.Second || st != Quarantined {
		t.Errorf("crash 8: %s %s", got, st)
	}
	if got, st := c.next(now.Add(2*time.Minute), false); got != 50*time.Millisecond || st != Broken {
		t.Errorf("after a quiet time: %s %s", got, st)
	}
	_, _ = c.next(now.Add(2*time.Minute), false)
	if got, _ := c.next(now.Add(2*time.Minute), true); got != 50*time.Millisecond {
		t.Errorf("after a served call: %s", got)
	}
}
