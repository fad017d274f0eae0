package asset_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/asset"
	"github.com/quell-soar/quell/connectors/asset/fakeasset"
	"github.com/quell-soar/quell/connectors/conformance"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const token = "asset-lab-secret"

// inventory is the same in both forms.
var inventory = []fakeasset.Entry{
	{Kind: "host", Name: "old-web-01"},
	{Kind: "host", Name: "web-01.corp.example", Aliases: []string{"WEB-01"}, Criticality: "critical", Owner: "payments", Tags: []string{"pci", "dmz"}},
	{Kind: "host", Name: "twin-01", Criticality: "low"},
	{Kind: "host", Name: "twin-01-spare"},
	{Kind: "host", Name: "Twin-01", Criticality: "critical"},
	{Kind: "host", Name: "new-01"},
	{Kind: "user", Name: "ann@corp.example", Criticality: "high", Owner: "cfo@corp.example", VIP: true},
	{Kind: "user", Name: "web-01", Criticality: "low"},
}

func table(entries []fakeasset.Entry) string {
	var b strings.Builder
	b.WriteString("kind,name,aliases,criticality,owner,tags,vip\n")
	for _, e := range entries {
		vip := map[bool]string{true: "yes", false: ""}[e.VIP]
		b.WriteString(strings.Join([]string{e.Kind, e.Name, strings.Join(e.Aliases, ";"), e.Criticality, e.Owner, strings.Join(e.Tags, ";"), vip}, ",") + "\n")
	}
	return b.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start runs the inventory as a service.
func start(t testing.TB) (*fake.World, map[string]string) {
	t.Helper()
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	inv := fakeasset.New(w, token)
	srv := httptest.NewServer(inv.Handler())
	t.Cleanup(func() {
		w.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	inv.Page(1)
	must(t, inv.Seed(inventory...))
	return w, map[string]string{"base_url": srv.URL}
}

// write puts the inventory into a file.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "assets.csv")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func open(t testing.TB, texts map[string]string) sdk.Session {
	t.Helper()
	settings, err := sdk.ParseSettings(asset.New().Manifest(), texts)
	must(t, err)
	s, err := asset.New().Open(t.Context(), sdk.Config{Instance: "cmdb", Settings: settings, Secrets: map[string]secret.Value{"token": secret.New(token)}})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func host(name string) map[string]any { return map[string]any{"hostname": name} }

// user is an account as another instance found it.
func user(name string) map[string]any {
	return map[string]any{"user": kind.Handle{Name: "user", Instance: "entra", ID: "u-1", Label: name}}
}

func call(t testing.TB, s sdk.Session, in map[string]any) (spec.Reply, error) {
	t.Helper()
	action := "asset.find_host"
	if in["user"] != nil {
		action = "asset.find_user"
	}
	deadline := time.Now().Add(2 * time.Second)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	return s.Call(ctx, spec.Request{Action: action, Mode: spec.Act, Inputs: in, Deadline: deadline})
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
	bin := binary(t)
	soft := func(op string) conformance.Faults {
		return conformance.Faults{SoftError: "asset " + op + ": always soft"}
	}
	target := conformance.Target{
		Binary: bin, Connector: asset.New(), Lookup: vocabulary.Lookup,
		Samples: map[string]conformance.Sample{
			"asset.find_host": {
				Inputs: host("web-01"), Want: map[string]any{"criticality": "critical", "owner": "payments"},
				Missing: host("nobody"), Ambiguous: host("twin-01"), Faults: soft("find-hosts"),
			},
			"asset.find_user": {
				Inputs: user("Ann@corp.example"), Want: map[string]any{"vip": true}, Missing: user("eve@corp.example"), Faults: soft("find-users"),
			},
		},
	}
	service := target
	service.Faults = conformance.Faults{
		RateLimited: "asset *: always 429 retry=2s", Unauthorized: "asset *: always 401", Slow: "asset *: always slow 3s",
	}
	service.Without = map[string]string{"expired token": "the token is the operator's own and is not renewed here"}
	service.Start = func(t testing.TB) conformance.Fake {
		w, settings := start(t)
		return conformance.Fake{
			Settings: settings, Secrets: map[string]secret.Value{"token": secret.New(token)},
			Fault: func(text string) { must(t, w.SetScript(text)) },
			World: func() string {
				d, err := w.Dump("")
				must(t, err)
				raw, err := json.Marshal(d)
				must(t, err)
				return string(raw)
			},
		}
	}
	t.Run("service", func(t *testing.T) { conformance.Run(t, service) })
	target.Start = func(t testing.TB) conformance.Fake {
		path := write(t, table(inventory))
		return conformance.Fake{Settings: map[string]string{"file": path}, Reads: []string{path}, World: func() string {
			raw, err := os.ReadFile(path)
			must(t, err)
			return string(raw)
		}}
	}
	t.Run("file", func(t *testing.T) { conformance.Run(t, target) })
}

func TestAnswers(t *testing.T) {
	_, settings := start(t)
	for name, s := range map[string]sdk.Session{
		"service": open(t, settings), "file": open(t, map[string]string{"file": write(t, table(inventory))}),
	} {
		for _, tt := range []struct {
			in   map[string]any
			want map[string]any
			kind spec.ErrorKind
		}{
			{host("Web-01."), map[string]any{"criticality": "critical", "owner": "payments", "tags": []any{"pci", "dmz"}, "vip": false}, ""},
			{host("web-01.corp.example"), map[string]any{"criticality": "critical", "owner": "payments", "tags": []any{"pci", "dmz"}, "vip": false}, ""},
			{host("new-01"), map[string]any{"criticality": "high", "tags": []any{}, "vip": false}, ""}, // nobody rated it
			{host("web"), nil, spec.NotFound}, // a part of a name is another name
			{host("twin-01"), nil, spec.Ambiguous},
			{user("ANN@corp.example"), map[string]any{"criticality": "high", "owner": "cfo@corp.example", "tags": []any{}, "vip": true}, ""},
			{user("web-01"), map[string]any{"criticality": "low", "tags": []any{}, "vip": false}, ""}, // not the host
			{user("new-01"), nil, spec.NotFound},
			{user(" "), nil, spec.Invalid},
		} {
			r, err := call(t, s, tt.in)
			if d := cmp.Diff(tt.want, r.Output); tt.kind == "" && err != nil || d != "" || tt.kind != "" && spec.KindOf(err) != tt.kind {
				t.Errorf("%s: %v: %v, want %s\n%s", name, tt.in, err, tt.kind, d)
			}
		}
	}
}

// A changed file counts at once; a broken one does not, and Check tells.
func TestFileIsReadAgain(t *testing.T) {
	path := write(t, "kind,name,criticality\nhost,web-01,low\n")
	s := open(t, map[string]string{"file": path})
	change := func(text string) {
		t.Helper()
		must(t, os.WriteFile(path+".new", []byte(text), 0o600))
		must(t, os.Rename(path+".new", path))
	}
	expect := func(criticality string, well bool) {
		t.Helper()
		r, err := call(t, s, host("web-01"))
		if err != nil || r.Output["criticality"] != criticality {
			t.Errorf("got %v, %v; want %s", r.Output, err, criticality)
		}
		if f := s.Check(t.Context()); len(f) != 1 || f[0].OK != well {
			t.Errorf("its check says %+v", f)
		}
	}
	expect("low", true)
	change("kind,name,criticality\nhost,web-01,critical\n")
	expect("critical", true)
	change("kind,name,criticality\nhost,web-01,hgih\n")
	expect("critical", false)
	must(t, os.Remove(path))
	expect("critical", false)
	change("kind,name,criticality\nhost,web-01,medium\n")
	expect("medium", true)
}

func TestFilesThatAreRefused(t *testing.T) {
	for text, says := range map[string]string{
		"":                                           "line 1",
		"name,criticality\nx,low\n":                  "kind is missing",
		"kind,name,colour\n":                         "colour",
		"kind,name,name\n":                           "twice",
		"kind,name\nhost,a\nprinter,b\n":             "line 3: kind",
		"kind,name,criticality\nhost,a,urgent\n":     "line 2: criticality",
		"kind,name,vip\nhost,a,maybe\n":              "line 2: vip",
		"kind,name\nhost,\n":                         "line 2: the name",
		"kind,name\nhost,a,b\n":                      "line 2",
		"kind,name,owner\nhost,a,\"x\ny\"\nhost,b\n": "line 4",
	} {
		_, err := asset.New().Open(t.Context(), sdk.Config{Settings: map[string]any{"file": write(t, text)}})
		if spec.KindOf(err) != spec.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v; want it to say %q", text, err, says)
		}
	}
	for name, settings := range map[string]map[string]any{
		"neither": {}, "both": {"file": "/x", "base_url": "https://x.example"}, "not there": {"file": "/does/not/exist"},
	} {
		if _, err := asset.New().Open(t.Context(), sdk.Config{Settings: settings}); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
