package virustotal_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/conformance"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/virustotal"
	"github.com/quell-soar/quell/connectors/virustotal/fakevt"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const (
	apiKey  = "virustotal-lab-secret"
	badURL  = "https://evil.example/login?a=1&b=ü"
	badHash = "44d88612fea8a8f36de82e1278abb02f"
)

var sample = []byte("EICAR, or something like it")

type lab struct {
	world *fake.World
	vt    *fakevt.VirusTotal
	url   string
}

func start(t testing.TB) *lab {
	t.Helper()
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	l := &lab{world: w, vt: fakevt.New(w, apiKey)}
	srv := httptest.NewServer(l.vt.Handler())
	t.Cleanup(func() {
		w.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	l.url = srv.URL
	must(t, l.vt.Seed("urls", badURL, fakevt.Bad))
	must(t, l.vt.Seed("files", badHash, fakevt.Bad))
	must(t, l.vt.Seed("domains", "odd.example", fakevt.Doubtful))
	must(t, l.vt.Seed("ip_addresses", "198.51.100.7", fakevt.Good))
	must(t, l.vt.Seed("ip_addresses", "10.0.0.7", fakevt.Bad))
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) settings() map[string]string {
	return map[string]string{"base_url": l.url, "submit": "true", "poll": "50ms"}
}

func (l *lab) open(t testing.TB, more ...string) sdk.Session {
	t.Helper()
	texts := l.settings()
	for i := 0; i+1 < len(more); i += 2 {
		texts[more[i]] = more[i+1]
	}
	settings, err := sdk.ParseSettings(virustotal.New().Manifest(), texts)
	must(t, err)
	s, err := virustotal.New().Open(t.Context(), sdk.Config{
		Instance: "vt", Settings: settings, Secrets: map[string]secret.Value{"api_key": secret.New(apiKey)},
	})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func call(t testing.TB, s sdk.Session, r spec.Request, within time.Duration) (spec.Reply, error) {
	t.Helper()
	if r.Mode == "" {
		r.Mode = spec.Act
	}
	r.Deadline = time.Now().Add(within)
	ctx, cancel := context.WithDeadline(t.Context(), r.Deadline)
	defer cancel()
	return s.Call(ctx, r)
}

func detonate(content []byte) spec.Request {
	ref := kind.ArtifactOf(content)
	return spec.Request{Action: "sandbox.detonate", Key: "key-1", Inputs: map[string]any{"file": ref}, Artifacts: map[string][]byte{ref: content}}
}

// binary builds the program that serves the connector, for the run over the
// wire.
func binary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		return ""
	}
	path := filepath.Join(t.TempDir(), "quell-connector")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/quell-connector").CombinedOutput(); err != nil {
		t.Fatalf("building the connector: %v\n%s", err, out)
	}
	return path
}

func TestConformance(t *testing.T) {
	value := func(v string) map[string]any { return map[string]any{"value": v} }
	soft := func(op string) conformance.Faults {
		return conformance.Faults{SoftError: "virustotal " + op + ": always soft"}
	}
	conformance.Run(t, conformance.Target{
		Binary:    binary(t),
		Connector: virustotal.New(),
		Lookup:    vocabulary.Lookup,
		Evidence:  [][]byte{sample},
		Start: func(t testing.TB) conformance.Fake {
			l := start(t)
			return conformance.Fake{
				Settings: l.settings(),
				Secrets:  map[string]secret.Value{"api_key": secret.New(apiKey)},
				Fault:    func(text string) { must(t, l.world.SetScript(text)) },
				World: func() string {
					d, err := l.world.Dump("")
					must(t, err)
					raw, err := json.Marshal(d)
					must(t, err)
					return string(raw)
				},
			}
		},
		Samples: map[string]conformance.Sample{
			"intel.lookup_domain": {Inputs: value("odd.example"), Want: map[string]any{"verdict": "suspicious"}, Faults: soft("get-domain")},
			"intel.lookup_hash":   {Inputs: value(badHash), Faults: soft("get-file")},
			"intel.lookup_ip":     {Inputs: value("198.51.100.7"), Faults: soft("get-ip")},
			"intel.lookup_url":    {Inputs: value(badURL), Faults: soft("get-url")},
			"sandbox.detonate": {
				Inputs: map[string]any{"file": kind.ArtifactOf(sample)}, Want: map[string]any{"verdict": "malicious"},
				Faults: conformance.Faults{SoftError: "virustotal upload: always soft", Lost: "virustotal upload: lost"},
			},
		},
		Faults: conformance.Faults{
			RateLimited: "virustotal *: always 429", Unauthorized: "virustotal *: always 401", Slow: "virustotal *: always slow 3s",
		},
		Without: map[string]string{
			"expired token": "an API key does not expire",
			"not found":     "what VirusTotal does not know is unknown, which is an answer",
			"ambiguous":     "a hash, address, domain or URL is one",
		},
	})
}

func TestVerdicts(t *testing.T) {
	s := start(t).open(t)
	for _, tt := range []struct {
		action, value, verdict string
		score                  int64
	}{
		{"intel.lookup_url", badURL, "malicious", 95},
		{"intel.lookup_url", badURL + "x", "unknown", 0},
		{"intel.lookup_hash", strings.ToUpper(badHash), "malicious", 95},
		{"intel.lookup_hash", strings.Repeat("ab", 64), "unknown", 0},
		{"intel.lookup_domain", "Odd.Example.", "suspicious", 26},
		{"intel.lookup_domain", "new.example", "unknown", 0},
		{"intel.lookup_ip", "198.51.100.7", "clean", 0},
		{"intel.lookup_ip", "::ffff:198.51.100.7", "clean", 0},
		{"intel.lookup_ip", "10.0.0.7", "unknown", 0}, // asked nobody: it is another machine elsewhere
	} {
		r, err := call(t, s, spec.Request{Action: tt.action, Inputs: map[string]any{"value": tt.value}}, time.Second)
		if err != nil || r.Output["verdict"] != tt.verdict || r.Output["score"] != tt.score {
			t.Errorf("%s %s: %v, %v; want %s, %d", tt.action, tt.value, r.Output, err, tt.verdict, tt.score)
		}
	}
}

// An answer is used again, and an error is not.
func TestQuotaIsSpared(t *testing.T) {
	l := start(t)
	s := l.open(t)
	ask := spec.Request{Action: "intel.lookup_url", Inputs: map[string]any{"value": badURL}}
	must(t, l.world.SetScript("virustotal get-url: 429; ok; always 429"))
	_, err := call(t, s, ask, time.Second)
	var e *spec.Error
	if !errors.As(err, &e) || e.Kind != spec.RateLimited || e.RetryAfter < 10*time.Second {
		t.Errorf("without quota: %+v", err)
	}
	for range 3 {
		if r, err := call(t, s, ask, time.Second); err != nil || r.Output["verdict"] != "malicious" {
			t.Errorf("got %v, %v", r.Output, err)
		}
	}
}

func TestDetonate(t *testing.T) {
	l := start(t)
	s := l.open(t)
	for _, tt := range []struct {
		name    string
		file    []byte
		outcome spec.Outcome
		verdict string
	}{
		{"a bad file", sample, spec.Done, "malicious"},
		{"again", sample, spec.Already, "malicious"},
		{"a good one", []byte("minutes of the meeting"), spec.Done, "clean"},
	} {
		r, err := call(t, s, detonate(tt.file), 3*time.Second)
		if err != nil || r.Outcome != tt.outcome || r.Output["verdict"] != tt.verdict {
			t.Errorf("%s: %s %v, %v", tt.name, r.Outcome, r.Output, err)
		}
	}
	e, err := l.world.Effects(fake.Filter{})
	must(t, err)
	if len(e) != 2 || e[0].After != "uploaded as "+e[0].Object {
		t.Errorf("uploads: %+v", e)
	}
	if _, err := call(t, s, detonate(nil), time.Second); spec.KindOf(err) != spec.Invalid {
		t.Errorf("an empty file: %v", err)
	}
}

func TestLongAnalysis(t *testing.T) {
	l := start(t)
	s := l.open(t)
	must(t, l.world.SetLag(map[string]time.Duration{"virustotal.analysis": time.Hour}))
	r, err := call(t, s, detonate(sample), 400*time.Millisecond)
	if err != nil || r.Outcome != spec.Pending {
		t.Errorf("got %s, %v", r.Outcome, err)
	}
	back := detonate(sample)
	back.Mode = spec.Back
	if r, err = call(t, s, back, 400*time.Millisecond); spec.KindOf(err) != spec.Transient {
		t.Errorf("the read-back says %s, %v", r.Outcome, err)
	}
	// The same file again joins the analysis and hands nothing in.
	if r, err = call(t, s, detonate(sample), 400*time.Millisecond); err != nil || r.Outcome != spec.Pending {
		t.Errorf("again: %s, %v", r.Outcome, err)
	}
	if e, _ := l.world.Effects(fake.Filter{}); len(e) != 1 {
		t.Errorf("%d uploads", len(e))
	}
}

func TestNothingIsHandedInUnasked(t *testing.T) {
	l := start(t)
	s := l.open(t, "submit", "false")
	if _, err := call(t, s, detonate(sample), time.Second); spec.KindOf(err) != spec.Permission {
		t.Errorf("got %v", err)
	}
	must(t, l.vt.Seed("files", strings.TrimPrefix(kind.ArtifactOf(sample), "sha256:"), fakevt.Bad))
	if r, err := call(t, s, detonate(sample), time.Second); err != nil || r.Outcome != spec.Already || r.Output["verdict"] != "malicious" {
		t.Errorf("a known file: %s %v, %v", r.Outcome, r.Output, err)
	}
	if e, _ := l.world.Effects(fake.Filter{}); len(e) != 0 {
		t.Errorf("something was handed in: %+v", e)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, value := range map[string]any{"malicious_from": int64(0), "poll": time.Hour, "cache": -time.Second} {
		settings, err := sdk.ParseSettings(virustotal.New().Manifest(), nil)
		must(t, err)
		settings[name] = value
		if _, err := virustotal.New().Open(t.Context(), sdk.Config{Settings: settings}); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%s %v: %v", name, value, err)
		}
	}
}
