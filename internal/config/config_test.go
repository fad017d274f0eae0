package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/secrets"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// TestWrong holds, for each archive in testdata, the configuration in quell.yaml
// against the problems in want.
func TestWrong(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "quell.yaml")
			if err := os.WriteFile(path, a.Files[0].Data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = config.Load(path)
			if err == nil {
				t.Fatal("it was taken")
			}
			got := strings.ReplaceAll(err.Error(), path, "quell.yaml") + "\n"
			if *update {
				a.Files[1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(a.Files[1].Data), got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "quell.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path)
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "---\n", "data_dir: /var/lib/quell\n"} {
		c, err := load(t, text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		got := []string{c.Socket, c.Keys.Ledger, c.Listen, c.Tenant, string(c.PlaybookMode("p")), string(c.Modes.Triggers.Alert)}
		want := []string{"/var/lib/quell/run/quell.sock", "/var/lib/quell-keys/ledger.key", "127.0.0.1:7878", "default", "observe", "observe"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	c, err := load(t, full)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(c.File())
	if c.DataDir != filepath.Join(dir, "data") || c.Playbooks[0] != filepath.Join(dir, "playbooks") {
		t.Errorf("paths are not taken from the file's directory: %s, %s", c.DataDir, c.Playbooks)
	}
	edr := c.Connectors["edr"]
	if edr.Mode != config.Act || filepath.Base(edr.Binary) != "quell-connector" || edr.Settings["base_url"] != "http://127.0.0.1:9001" || edr.Settings["retries"] != "0755" {
		t.Errorf("connector edr: %+v", edr)
	}
	if got := edr.Secrets["client_secret"].String(); got != "env:FALCON_SECRET" {
		t.Errorf("secret reference: %q", got)
	}
	if got, want := edr.Secrets["api_token"].String(), "file:"+filepath.Join(dir, "token"); got != want {
		t.Errorf("secret reference: %q, want %q", got, want)
	}
	if c.Sources["crowdstrike"].Mode != config.Ask || c.Sources["other"].Mode != config.Act {
		t.Errorf("modes of sources: %+v", c.Sources)
	}
	if i, _ := c.Bound("edr.isolate_host"); i != "edr2" {
		t.Errorf("edr.isolate_host is bound to %q", i)
	}
	if i, _ := c.Bound("edr.find_host"); i != "edr" {
		t.Errorf("edr.find_host is bound to %q", i)
	}
	if _, ok := c.Bound("iam.disable_user"); ok {
		t.Error("iam.disable_user is bound")
	}
	want := map[string]any{"networks": []any{"10.0.0.0/8", "no"}, "window": "0755"}
	if diff := cmp.Diff(want, c.Settings["contain-infected-host"]); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"dc01", "krbtgt", "10.0.0.0/24"}, c.Guards.Protected.All()); diff != "" {
		t.Errorf("protected (-want +got):\n%s", diff)
	}
}

const full = `
data_dir: data
playbooks: [playbooks]
modes:
  triggers: {alert: act, manual: act}
  playbooks: {contain-infected-host: act}
sources:
  crowdstrike: {kind: crowdstrike, secrets: [env:A, file:/etc/quell/b], mode: ask}
  other: {kind: generic, secrets: ["env:B"], rate: 2.5, burst: 10}
connectors:
  edr:
    connector: crowdstrike
    mode: act
    settings: {base_url: "http://127.0.0.1:9001", retries: 0755}
    secrets: {client_secret: "env:FALCON_SECRET", api_token: "file:token"}
  edr2: {connector: crowdstrike}
bindings: {edr: edr, edr.isolate_host: edr2}
oncall: {soc: [alice, "user:bob", "local:1000"]}
settings:
  contain-infected-host: {networks: [10.0.0.0/8, no], window: 0755}
guards:
  protected: {hosts: [dc01], users: [krbtgt], addresses: [10.0.0.0/24]}
  freezes:
    - {from: 2026-12-24T00:00:00Z, to: 2026-12-27T00:00:00Z, reason: holidays}
`

// TestDocs: every configuration in the documentation is one; the documentation of
// the configuration has at least one. A YAML that begins with `quell:` is a
// playbook.
func TestDocs(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../../docs/configuration.md", "../../README.md"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, part := range strings.Split(string(raw), "```yaml\n")[1:] {
			text, _, closed := strings.Cut(part, "```")
			if !closed {
				t.Fatalf("%s: a YAML does not end", file)
			}
			if strings.HasPrefix(text, "quell:") {
				continue
			}
			found++
			if _, err := load(t, text); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		if found == 0 && strings.HasSuffix(file, "configuration.md") {
			t.Errorf("%s has no configuration", file)
		}
	}
}

// TestHostileFiles: what is no configuration is an error in bounded time, never
// a panic.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'j'; i++ {
		bomb += string(i) + ": &" + string(i) + " [" + strings.Repeat("*"+string(i-1)+",", 9) + "]\n"
	}
	for name, text := range map[string]string{
		"too long":       "# " + strings.Repeat("x", 1<<20),
		"bomb":           bomb,
		"deep":           "settings: {p: {x: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}}",
		"not UTF-8":      "tenant: \xff\xfe",
		"list":           "- a\n- b\n",
		"text":           "just text",
		"two documents":  "tenant: a\n---\ntenant: b\n",
		"tab":            "log:\n\tlevel: info\n",
		"unclosed":       "log: {level: info",
		"merge":          "log: {<<: {level: info}}",
		"complex key":    "? [a, b]\n: c\n",
		"control":        "tenant: \"a\\x00b\"\n",
		"tag":            "tenant: !!binary aGFsbG8=\n",
		"a secret typed": "store: {dsn: \"postgres://quell:hunter22@db/quell\"}\n",
	} {
		_, err := load(t, text)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		if strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: the secret is in the error: %v", name, err)
		}
	}
}

func TestNoFile(t *testing.T) {
	t.Parallel()
	_, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestReferencesBeginAtTheFile: every reference to a file, wherever in the
// configuration it stands, is one from the configuration's directory. The whole
// is walked, so that a new place for a secret is not forgotten.
func TestReferencesBeginAtTheFile(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
keys: {payloads: ["file:p1"]}
sources: {s: {kind: generic, secrets: ["file:s1"]}}
connectors: {c: {connector: crowdstrike, settings: {client_id: x}, secrets: {client_secret: "file:c1"}}}
store: {dsn: "file:d1"}
access: {oidc: {issuer: "https://login.example", client_id: quell, client_secret: "file:o1", redirect: "https://quell.example/v1/session/callback", roles: {SOC: [analyst]}}}
`)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		if ref, ok := reflect.TypeAssert[secrets.Ref](v); ok {
			if text := ref.String(); text != "" {
				found++
				if !filepath.IsAbs(strings.TrimPrefix(text, "file:")) {
					t.Errorf("%s is %s: relative, and nobody will know to what", path, text)
				}
			}
			return
		}
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(path, v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() {
					walk(path+"."+f.Name, v.Field(i))
				}
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(path+"."+k.String(), v.MapIndex(k))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(path, v.Index(i))
			}
		}
	}
	walk("config", reflect.ValueOf(c))
	if found != 5 {
		t.Errorf("%d references were found, want 5", found)
	}
}
