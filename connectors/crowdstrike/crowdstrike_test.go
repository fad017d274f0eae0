package crowdstrike_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/conformance"
	"github.com/quell-soar/quell/connectors/conformance/openapi"
	"github.com/quell-soar/quell/connectors/crowdstrike"
	"github.com/quell-soar/quell/connectors/crowdstrike/fakefalcon"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const (
	clientSecret = "falcon-lab-secret"
	malware      = `\Device\HarddiskVolume3\Users\o'brien\x.exe`
)

// described says what Falcon has and its description lacks.
var described = openapi.Options{Beyond: []string{"GET /ods/queries/scans/v1", "GET /ods/entities/scans/v2"}}

// lab is a fake tenant and what is needed to reach it.
type lab struct {
	world  *fake.World
	falcon *fakefalcon.Falcon
	url    string
}

func TestMain(m *testing.M) { openapi.Main(m) }

func start(t testing.TB) *lab {
	t.Helper()
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	l := &lab{world: w, falcon: fakefalcon.New(w, "quell", clientSecret)}
	srv := httptest.NewServer(openapi.Load(t, "crowdstrike-falcon.derived-openapi.json", described).Wrap(l.falcon.Handler()))
	t.Cleanup(func() {
		w.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	l.url = srv.URL
	must(t, l.falcon.SeedHosts(
		fakefalcon.Host{Hostname: "WEB-01", Findings: []int{3, 0}}, fakefalcon.Host{Hostname: "held-01", State: "contained"},
		fakefalcon.Host{Hostname: "twin-01"},
	))
	l.falcon.Twin(fakefalcon.Host{Hostname: "twin-01"})
	must(t, l.falcon.SeedFile(fakefalcon.File{Hostname: "web-01", Path: malware}))
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) script(t testing.TB, text string) {
	t.Helper()
	must(t, l.world.SetScript(text))
}

func (l *lab) open(t testing.TB, password string) sdk.Session {
	t.Helper()
	settings, err := sdk.ParseSettings(crowdstrike.New().Manifest(), map[string]string{"base_url": l.url, "client_id": "quell"})
	must(t, err)
	s, err := crowdstrike.New().Open(t.Context(), sdk.Config{
		Instance: "falcon", Settings: settings, Secrets: map[string]secret.Value{"client_secret": secret.New(password)},
	})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// call runs an action on a host by its name, within a time.
func call(t testing.TB, s sdk.Session, r spec.Request, within time.Duration) (spec.Reply, error) {
	t.Helper()
	if name, ok := r.Inputs["host"].(string); ok {
		found, err := s.Call(t.Context(), spec.Request{
			Action: "edr.find_host", Mode: spec.Act, Inputs: map[string]any{"hostname": name}, Deadline: time.Now().Add(5 * time.Second),
		})
		must(t, err)
		r.Inputs["host"] = found.Output["device"]
	}
	if r.Mode == "" {
		r.Mode = spec.Act
	}
	if r.Key == "" {
		r.Key = "key-1"
	}
	r.Deadline = time.Now().Add(within)
	ctx, cancel := context.WithDeadline(t.Context(), r.Deadline)
	defer cancel()
	return s.Call(ctx, r)
}

func on(host string, more ...string) map[string]any {
	in := map[string]any{"host": host}
	for i := 0; i+1 < len(more); i += 2 {
		in[more[i]] = more[i+1]
	}
	return in
}

// count is how many writes of an operation Falcon accepted.
func (l *lab) count(t testing.TB, operation string) int {
	t.Helper()
	e, err := l.world.Effects(fake.Filter{Operation: operation})
	must(t, err)
	return len(e)
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
	device := func(name string) conformance.Found {
		return conformance.Found{Action: "edr.find_host", Inputs: map[string]any{"hostname": name}, Output: "device"}
	}
	gone := kind.Handle{Name: "device", Instance: conformance.Instance, ID: "00000000000000000000000000000000", Label: "gone"}
	web := map[string]any{"host": device("web-01")}
	file := map[string]any{"host": device("web-01"), "path": malware}
	soft := func(op string) conformance.Faults {
		return conformance.Faults{SoftError: "crowdstrike " + op + ": always soft", Lost: "crowdstrike " + op + ": lost"}
	}
	conformance.Run(t, conformance.Target{
		Binary:    binary(t),
		Connector: crowdstrike.New(),
		Lookup:    vocabulary.Lookup,
		Start: func(t testing.TB) conformance.Fake {
			l := start(t)
			return conformance.Fake{
				Settings: map[string]string{"base_url": l.url, "client_id": "quell"},
				Secrets:  map[string]secret.Value{"client_secret": secret.New(clientSecret)},
				Fault:    func(text string) { l.script(t, text) },
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
			"edr.find_host": {
				Inputs: map[string]any{"hostname": "web-01"}, Missing: map[string]any{"hostname": "nobody"},
				Ambiguous: map[string]any{"hostname": "twin-01"}, Faults: soft("query-hosts"),
			},
			"edr.get_host_state": {Inputs: web, Missing: map[string]any{"host": gone}, Faults: soft("get-hosts")},
			"edr.isolate_host":   {Inputs: web, Missing: map[string]any{"host": gone}, Faults: soft("contain")},
			"edr.release_host": {
				Before: []conformance.Step{{Action: "edr.isolate_host", Inputs: web}}, Inputs: web,
				Missing: map[string]any{"host": gone}, Faults: soft("lift"),
			},
			"edr.quarantine_file": {Inputs: file, Missing: map[string]any{"host": device("web-01"), "path": `C:\other.exe`}, Faults: soft("update-files")},
			"edr.restore_file": {
				Before: []conformance.Step{{Action: "edr.quarantine_file", Inputs: file}}, Inputs: file,
				Missing: map[string]any{"host": device("web-01"), "path": `C:\other.exe`}, Faults: soft("update-files"),
			},
			"edr.scan_host": {Inputs: web, Missing: map[string]any{"host": gone}, Faults: soft("create-scan")},
		},
		Faults: conformance.Faults{
			RateLimited: "crowdstrike *: always 429 retry=2s", Expired: "crowdstrike *: expire-token",
			Unauthorized: "crowdstrike *: always 401", Slow: "crowdstrike *: always slow 3s",
		},
	})
}

// Each fault of the vendor, and what the caller must hear.
func TestIsolateUnderFaults(t *testing.T) {
	const op = "crowdstrike contain: "
	for _, tt := range []struct {
		name, script string
		within       time.Duration
		outcome      spec.Outcome
		kind         spec.ErrorKind
		writes       int
	}{
		{"nothing wrong", "", 3 * time.Second, spec.Done, "", 1},
		{"rate limit", op + "429 retry=2s", 3 * time.Second, "", spec.RateLimited, 0},
		{"refused", op + "400", 3 * time.Second, "", spec.Invalid, 0},
		{"not permitted", op + "403", 3 * time.Second, "", spec.Permission, 0},
		{"in progress once", op + "409", 3 * time.Second, spec.Done, "", 1},
		{"in progress for long", op + "always 409", time.Second, "", spec.Conflict, 0},
		{"error within a success", op + "soft", 3 * time.Second, "", spec.Invalid, 0},
		{"server error, nothing done", op + "500", 3 * time.Second, "", spec.Uncertain, 0},
		{"server error, done", op + "lost status=502", 3 * time.Second, spec.Done, "", 1},
		{"answer lost, done", op + "lost", 3 * time.Second, spec.Done, "", 1},
		{"answer lost, nothing done", op + "drop", 3 * time.Second, "", spec.Uncertain, 0},
		{"answer lost, done much later", op + "late 1h", 3 * time.Second, "", spec.Uncertain, 0},
		{"answer lost, done soon", op + "late 300ms", 3 * time.Second, spec.Done, "", 1},
		{"answer too late", op + "hold 1h", time.Second, "", spec.Uncertain, 1},
		{"token expired on the way", op + "expire-token", 3 * time.Second, spec.Done, "", 1},
		{"reading fails twice", "crowdstrike get-hosts: 2x 503", 3 * time.Second, spec.Done, "", 1},
		{"reading fails before", "crowdstrike get-hosts: always 500", 3 * time.Second, "", spec.Transient, 0},
		{"reading fails after", "crowdstrike get-hosts: ok; always 500", time.Second, spec.Pending, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			s := l.open(t, clientSecret)
			host, err := call(t, s, spec.Request{Action: "edr.find_host", Inputs: map[string]any{"hostname": "web-01"}}, time.Second)
			must(t, err)
			l.script(t, tt.script)
			r, err := call(t, s, spec.Request{Action: "edr.isolate_host", Inputs: map[string]any{"host": host.Output["device"]}}, tt.within)
			if tt.kind != "" && spec.KindOf(err) != tt.kind || tt.kind == "" && err != nil || r.Outcome != tt.outcome {
				t.Errorf("got %s, %v; want %s%s", r.Outcome, err, tt.outcome, tt.kind)
			}
			if got := l.count(t, "contain"); got != tt.writes {
				t.Errorf("Falcon accepted %d writes, want %d", got, tt.writes)
			}
		})
	}
}

func TestStatesOfContainment(t *testing.T) {
	for _, tt := range []struct {
		name, action, host string
		prior              map[string]any
		lag                string
		outcome            spec.Outcome
		found              string
	}{
		{"isolate a free host", "edr.isolate_host", "web-01", nil, "", spec.Done, "normal"},
		{"isolate an isolated host", "edr.isolate_host", "held-01", nil, "", spec.Already, "isolated"},
		{"isolate a host that is slow to obey", "edr.isolate_host", "web-01", nil, "1h", spec.Pending, "normal"},
		{"release what we isolated", "edr.release_host", "held-01", map[string]any{"state": "normal"}, "", spec.Done, "isolated"},
		{"release what was isolated before us", "edr.release_host", "held-01", map[string]any{"state": "isolated"}, "", spec.Already, "isolated"},
		{"release what was being isolated before us", "edr.release_host", "held-01", map[string]any{"state": "isolating"}, "", spec.Already, "isolated"},
		{"release without a prior state", "edr.release_host", "held-01", nil, "", spec.Done, "isolated"},
		{"isolate again what we released", "edr.isolate_host", "web-01", map[string]any{"state": "isolated"}, "", spec.Done, "normal"},
		{"do not isolate what was free before us", "edr.isolate_host", "web-01", map[string]any{"state": "normal"}, "", spec.Already, "normal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			if tt.lag != "" {
				must(t, l.world.SetLag(map[string]time.Duration{"crowdstrike.containment": time.Hour}))
			}
			s := l.open(t, clientSecret)
			r, err := call(t, s, spec.Request{Action: tt.action, Inputs: on(tt.host), Prior: tt.prior}, time.Second)
			if err != nil || r.Outcome != tt.outcome || r.Prior["state"] != tt.found {
				t.Errorf("got %s with prior %v, %v; want %s with %s", r.Outcome, r.Prior, err, tt.outcome, tt.found)
			}
			m, _ := crowdstrike.New().Manifest().Action(tt.action)
			if err == nil {
				must(t, sdk.CheckReply(m, spec.Act, r))
			}
		})
	}
}

// Quell reads back before it acts: what it hears then is what an undo restores.
func TestReadBackTellsThePriorState(t *testing.T) {
	s := start(t).open(t, clientSecret)
	for _, tt := range []struct {
		action  string
		in      map[string]any
		outcome spec.Outcome
		state   string
	}{
		{"edr.isolate_host", on("web-01"), spec.Absent, "normal"},
		{"edr.isolate_host", on("held-01"), spec.Present, "isolated"},
		{"edr.release_host", on("held-01"), spec.Absent, "isolated"},
		{"edr.quarantine_file", on("web-01", "path", malware), spec.Absent, "released"},
	} {
		r, err := call(t, s, spec.Request{Action: tt.action, Mode: spec.Back, Inputs: tt.in}, time.Second)
		if err != nil || r.Outcome != tt.outcome || r.Prior["state"] != tt.state {
			t.Errorf("%s says %s, prior %v, %v; want %s, %s", tt.action, r.Outcome, r.Prior, err, tt.outcome, tt.state)
		}
	}
}

// The second attempt finds the first one's work and must not take it for what
// was there before.
func TestPriorStateSurvivesALostAnswer(t *testing.T) {
	l := start(t)
	s := l.open(t, clientSecret)
	req := spec.Request{Action: "edr.isolate_host", Inputs: on("web-01")}
	l.script(t, "crowdstrike contain: hold 1h")
	if _, err := call(t, s, req, 600*time.Millisecond); spec.KindOf(err) != spec.Uncertain {
		t.Fatalf("got %v, want uncertain", err)
	}
	back := req
	back.Mode = spec.Back
	r, err := call(t, s, back, time.Second)
	if err != nil || r.Outcome != spec.Present || r.Prior["state"] != "normal" {
		t.Errorf("the read-back says %s, prior %v, %v", r.Outcome, r.Prior, err)
	}
	r, err = call(t, s, req, time.Second)
	if err != nil || r.Outcome != spec.Already || r.Prior["state"] != "normal" {
		t.Errorf("the second attempt says %s, prior %v, %v", r.Outcome, r.Prior, err)
	}
	if n := l.count(t, "contain"); n != 1 {
		t.Errorf("Falcon accepted %d writes, want 1", n)
	}
}

func TestUnderWayIsNeitherPresentNorAbsent(t *testing.T) {
	l := start(t)
	s := l.open(t, clientSecret)
	must(t, l.world.SetLag(map[string]time.Duration{"crowdstrike.containment": time.Hour}))
	if _, err := call(t, s, spec.Request{Action: "edr.isolate_host", Inputs: on("web-01")}, 500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	r, err := call(t, s, spec.Request{Action: "edr.isolate_host", Mode: spec.Back, Inputs: on("web-01")}, time.Second)
	if err != nil || r.Outcome != spec.Unsure {
		t.Errorf("the read-back of a pending containment says %s, %v", r.Outcome, err)
	}
}

func TestScan(t *testing.T) {
	l := start(t)
	s := l.open(t, clientSecret)
	scan := func(key string, want spec.Outcome, findings any) spec.Reply {
		t.Helper()
		r, err := call(t, s, spec.Request{Action: "edr.scan_host", Key: key, Inputs: on("web-01")}, 2*time.Second)
		if err != nil || r.Outcome != want || r.Output["findings"] != findings {
			t.Errorf("key %s: got %s %v, %v; want %s with %v", key, r.Outcome, r.Output, err, want, findings)
		}
		return r
	}
	first := scan("a", spec.Done, int64(3))
	again := scan("a", spec.Already, int64(3))
	if first.Output["scan"] != again.Output["scan"] {
		t.Error("the same key gave another scan")
	}
	scan("b", spec.Done, int64(0))
	l.script(t, "crowdstrike create-scan: lost")
	scan("c", spec.Done, int64(0))
	e, err := l.world.Effects(fake.Filter{Operation: "create-scan", Key: recall.Mark("a")})
	if err != nil || len(e) != 1 {
		t.Errorf("%d scans carry the mark of a (%v)", len(e), err)
	}
	must(t, l.world.SetLag(map[string]time.Duration{"crowdstrike.scan": time.Hour}))
	r, err := call(t, s, spec.Request{Action: "edr.scan_host", Key: "d", Inputs: on("web-01")}, 500*time.Millisecond)
	if err != nil || r.Outcome != spec.Pending {
		t.Errorf("a long scan says %s, %v", r.Outcome, err)
	}
	r, err = call(t, s, spec.Request{Action: "edr.scan_host", Mode: spec.Back, Key: "d", Inputs: on("web-01")}, time.Second)
	if spec.KindOf(err) != spec.Transient {
		t.Errorf("the read-back of a running scan says %s, %v", r.Outcome, err)
	}
}

func TestFilesByPath(t *testing.T) {
	l := start(t)
	s := l.open(t, clientSecret)
	r, err := call(t, s, spec.Request{Action: "edr.quarantine_file", Inputs: on("web-01", "path", malware)}, 2*time.Second)
	if err != nil || r.Outcome != spec.Done || r.Prior["state"] != "released" || r.Output["sha256"] == nil {
		t.Errorf("quarantine says %s %v, prior %v, %v", r.Outcome, r.Output, r.Prior, err)
	}
	// A path that tries to leave its quotes finds nothing, and no other file.
	_, err = call(t, s, spec.Request{Action: "edr.restore_file", Key: "k2", Inputs: on("web-01", "path", `x'+hostname:'WEB-01`)}, time.Second)
	if spec.KindOf(err) != spec.NotFound {
		t.Errorf("a hostile path: %v", err)
	}
	must(t, l.falcon.SeedFile(fakefalcon.File{Hostname: "web-01", Path: malware, SHA256: fmt.Sprintf("%064d", 1)}))
	must(t, l.falcon.SeedFile(fakefalcon.File{Hostname: "web-01", Path: malware, SHA256: fmt.Sprintf("%064d", 2)}))
	_, err = call(t, s, spec.Request{Action: "edr.quarantine_file", Key: "k3", Inputs: on("web-01", "path", malware)}, time.Second)
	if spec.KindOf(err) != spec.Ambiguous {
		t.Errorf("two released files of one path: %v", err)
	}
}

func TestWrongSecretIsAuth(t *testing.T) {
	s := start(t).open(t, "not-the-secret")
	_, err := call(t, s, spec.Request{Action: "edr.find_host", Inputs: map[string]any{"hostname": "web-01"}}, time.Second)
	if spec.KindOf(err) != spec.Auth {
		t.Errorf("got %v", err)
	}
	if f := s.Check(t.Context()); len(f) != 1 || f[0].OK {
		t.Errorf("its check says %+v", f)
	}
}

func TestOpenRefusesAnUnsafeBaseURL(t *testing.T) {
	_, err := crowdstrike.New().Open(t.Context(), sdk.Config{Settings: map[string]any{"base_url": "http://falcon.example.com"}})
	if spec.KindOf(err) != spec.Invalid {
		t.Errorf("got %v", err)
	}
}
