package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// generator makes a client from the API's description.
const generator = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"

// TestGeneratedClient generates a client from docs/openapi-3.0.json, in a module
// that has nothing of Quell, and lets it start a run, approve it and follow its
// events.
func TestGeneratedClient(t *testing.T) {
	if os.Getenv("QUELL_INTEGRATION") == "" {
		t.Skip("needs the module proxy: make integration")
	}
	dir := t.TempDir()
	run := func(env []string, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), append(env, "CGO_ENABLED=0")...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	doc, err := filepath.Abs("../../docs/openapi-3.0.json")
	if err != nil {
		t.Fatal(err)
	}
	main, err := os.ReadFile("testdata/generated/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), main, 0o600); err != nil {
		t.Fatal(err)
	}
	run(nil, "go", "mod", "init", "example.test/client")
	if err := os.Mkdir(filepath.Join(dir, "generated"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(nil, "go", "run", generator, "-generate", "types,client", "-package", "generated", "-o", "generated/client.gen.go", doc)
	run(nil, "go", "mod", "tidy")
	run(nil, "go", "build", "-o", "client", ".")

	l := startLab(t)
	l.hostsOf(2)
	h := newHouse(t, l, "")
	h.start()
	analyst, lead := h.secret("anna", "analyst"), h.secret("lena", "ir-lead,analyst")
	out := run([]string{"ANALYST=" + analyst, "LEAD=" + lead}, filepath.Join(dir, "client"), "http://"+h.listen, hostname(1))
	t.Log(out)
	if !strings.Contains(out, "ended completed after") {
		t.Error("the run did not end well")
	}
	l.check(t, []string{hostname(1)})
}
