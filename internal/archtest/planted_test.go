package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlanted plants one wrong edge at a time; the check must name it.
func TestPlanted(t *testing.T) {
	t.Parallel()
	own := func(r string) string { return module + "/" + r }
	for name, c := range map[string]struct {
		pkgs []pkg
		want string
	}{
		"upwards": {
			[]pkg{{ImportPath: own("internal/store"), Imports: []string{own("internal/ledger")}}},
			"internal/store -> internal/ledger: imports go downwards only",
		},
		"sideways": {
			[]pkg{{ImportPath: own("internal/intake"), Imports: []string{own("internal/dispatch")}}},
			"internal/intake -> internal/dispatch: imports go downwards only",
		},
		"a leaf that grows": {
			[]pkg{{ImportPath: own("server/api"), Imports: []string{own("playbooks/source")}}},
			"server/api -> playbooks/source: server/api is a leaf",
		},
		"the server in the command line": {
			[]pkg{
				{ImportPath: own("internal/app"), Imports: []string{own("internal/engine")}, Deps: []string{own("internal/engine"), "go.temporal.io/server/temporal"}},
				{ImportPath: own("internal/engine"), Imports: []string{"go.temporal.io/server/temporal"}},
			},
			"internal/app -> internal/engine -> go.temporal.io/server/temporal: only the engine",
		},
		"the server named elsewhere": {
			[]pkg{{ImportPath: own("internal/serve"), Imports: []string{"go.temporal.io/server/common/log"}}},
			"internal/serve -> go.temporal.io/server/common/log: only the engine names",
		},
		"the SDK drags": {
			[]pkg{{ImportPath: own("connectors/sdk"), Imports: []string{"x"}, Deps: []string{"x", "go.temporal.io/api/enums/v1"}}},
			"connectors/sdk -> … -> go.temporal.io/api/enums/v1: what a connector's author imports",
		},
		"the SDK sees the inside": {
			[]pkg{{ImportPath: own("connectors/sdk/rest"), Imports: []string{own("internal/egress")}, Deps: []string{own("internal/egress")}}},
			"connectors/sdk/rest -> internal/egress: what a connector's author imports",
		},
		"YAML elsewhere": {
			[]pkg{{ImportPath: own("internal/intake"), Imports: []string{"gopkg.in/yaml.v3"}}},
			"internal/intake -> gopkg.in/yaml.v3: YAML is known in two places",
		},
		"the language calls": {
			[]pkg{{ImportPath: own("playbooks/expr"), Imports: []string{"net/http"}, Deps: []string{"net/http"}}},
			"playbooks/expr -> net/http: the language knows no engine",
		},
		"the language reads files": {
			[]pkg{{ImportPath: own("playbooks/parse"), Imports: []string{"os"}, Deps: []string{"os"}}},
			"playbooks/parse -> os: the language reads no file",
		},
		"the workflow reads the store": {
			[]pkg{{ImportPath: own("workflows"), Imports: []string{own("internal/store")}}},
			"workflows -> internal/store: workflow code is pure",
		},
		"past the guard": {
			[]pkg{{ImportPath: own("server"), Imports: []string{own("internal/effects"), own("internal/guard"), own("connectors/host")}}},
			"server -> internal/effects + internal/guard + connectors/host: only activities",
		},
		"a room without a place": {
			[]pkg{{ImportPath: own("internal/novel")}},
			"internal/novel has no level",
		},
	} {
		found := strings.Join(check(c.pkgs), "\n")
		if !strings.Contains(found, c.want) {
			t.Errorf("%s: want %q, the check found:\n%s", name, c.want, found)
		}
	}
}

// TestUpright: what the rules allow is not an error.
func TestUpright(t *testing.T) {
	t.Parallel()
	own := func(r string) string { return module + "/" + r }
	if found := check([]pkg{
		{ImportPath: own("internal/engine"), Imports: []string{"go.temporal.io/server/temporal"}, Deps: []string{"go.temporal.io/server/temporal"}},
		{ImportPath: own("activities"), Imports: []string{own("internal/effects"), own("internal/guard"), own("connectors/host")}},
		{ImportPath: own("playbooks/parse"), Imports: []string{"gopkg.in/yaml.v3"}, Deps: []string{"gopkg.in/yaml.v3"}},
		{ImportPath: own("connectors/sdk"), Imports: []string{own("connectors/proto")}, Deps: []string{own("connectors/proto"), own("connectors/spec")}},
	}); len(found) > 0 {
		t.Errorf("found:\n%s", strings.Join(found, "\n"))
	}
}

// TestPlantedDial plants connections in a source file.
func TestPlantedDial(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.go")
	src := "package x\n\nimport (\n\tn \"net\"\n\t\"net/http\"\n)\n\nvar d n.Dialer\n\nfunc f() { _, _ = http.Get(\"x\"); _ = http.StatusOK }\n"
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(dialsIn(t, file), " ")
	if want := "x.go:8: n.Dialer x.go:10: http.Get"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
