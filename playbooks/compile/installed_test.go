package compile_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/app"
	"github.com/quell-soar/quell/playbooks/compile/corpus"
)

// TestMain makes the test binary a connector program too: under the name
// seed-N it is the version of the connector that seed N tells of.
func TestMain(m *testing.M) {
	if len(os.Args) != 2 || os.Args[1] != sdk.ManifestsFlag {
		os.Exit(m.Run())
	}
	next := manifestOf(0)
	var n int
	if _, err := fmt.Sscanf(filepath.Base(os.Args[0]), "seed-%d", &n); err == nil {
		next = manifestOf(n, seeds[n])
	}
	if err := json.NewEncoder(os.Stdout).Encode([]spec.Manifest{next}); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// manifestOf is a connector that serves all actions of the tests, as a seed's new
// version has them.
func manifestOf(n int, edits ...seed) spec.Manifest {
	m := spec.Manifest{Name: "everything", Version: fmt.Sprintf("2.%d.0", n), Title: "Everything"}
	for _, a := range slices.Concat(vocabulary.All(), corpus.Extra) {
		if _, twice := m.Action(a.Name); twice || a.Name == "alert.close" { // Quell serves that one itself
			continue
		}
		a.Deadline = cmp.Or(a.Deadline, time.Second)
		if a.Effect() {
			a.ReadBack = cmp.Or(a.ReadBack, spec.NoReadBack)
		}
		for _, s := range edits {
			if s.action == a.Name {
				a.Inputs, a.Outputs = slices.Clone(a.Inputs), slices.Clone(a.Outputs)
				s.edit(&a)
			}
		}
		m.Actions = append(m.Actions, a)
	}
	return m
}

// checkWith is quell check with a configuration whose one connector is the test
// binary under a name.
func checkWith(t *testing.T, dir, connector string, args ...string) (findings []finding, said string, code int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, connector)
	if err := os.Symlink(self, program); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(`data_dir: %s/data
listen: "off"
oncall: { soc: [lena] }
connectors:
  all: { connector: everything, binary: %s }
`, dir, program)
	write(t, filepath.Join(dir, "quell.yaml"), conf)
	run := func(args ...string) ([]byte, string, int) {
		var out, bad bytes.Buffer
		code := app.Program{Version: "1.0.0"}.Run(t.Context(), app.Env{
			Args: append([]string{"--config", dir}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &bad,
			Getenv: func(string) string { return "" },
		})
		return out.Bytes(), bad.String(), code
	}
	raw, bad, code := run(append([]string{"-o", "json", "check"}, args...)...)
	if err := json.Unmarshal(raw, &findings); err != nil {
		t.Fatalf("quell check said %q %q (%v)", raw, bad, err)
	}
	_, said, _ = run(append([]string{"check"}, args...)...)
	return findings, said, code
}

type finding struct {
	File, Code   string
	Line, Column int
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSeedsInstalled holds that quell check finds each seeded mistake about a
// result against the connectors of a configuration: the mistakes of an author
// with the connector of the vocabulary, and an example without a mistake with the
// connector's narrower new version.
func TestSeedsInstalled(t *testing.T) {
	dir := t.TempDir()
	for n, s := range seeds {
		text, at := s.text(t)
		file := filepath.Join(dir, s.file+".yaml")
		write(t, file, text)
		found, said, code := checkWith(t, dir, fmt.Sprintf("seed-%d", n), file)
		if code != app.ExitFailed || len(found) == 0 {
			t.Errorf("%s: nothing was found (exit code %d)", s.name, code)
			continue
		}
		shown := strings.SplitAfter(text, "\n")[found[0].Line-1]
		shown = string([]rune(shown)[found[0].Column-1:])
		if found[0].Code != s.code || !strings.HasPrefix(shown, s.shown) {
			t.Errorf("%s: found %s at %q, want %s at %q", s.name, found[0].Code, shown, s.code, s.shown)
		}
		if !strings.Contains(said, "checked against the connectors of "+dir) {
			t.Errorf("%s: it said %q", s.name, said)
		}
		if s.action == "" {
			continue
		}
		// The same file is good with the connector's present version.
		if found, _, code := checkWith(t, dir, "present", file); code != app.ExitOK || len(found) > 0 {
			t.Errorf("%s: %v before the new version (%s)", s.name, found, at)
		}
	}
	t.Logf("%d seeded mistakes about results, found by quell check against configured connectors", len(seeds))
}

// TestValidInstalled holds that quell check finds nothing in what is valid.
func TestValidInstalled(t *testing.T) {
	dir := t.TempDir()
	for _, name := range (corpus.Playbooks{}).Names() {
		f, _ := corpus.Playbooks{}.Playbook(name)
		write(t, filepath.Join(dir, f.Name), string(f.Bytes))
	}
	var files []string
	examples := 0
	for _, name := range valid(t) {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "../../examples/") {
			examples++
		}
		file := filepath.Join(dir, fmt.Sprintf("%d-%s", len(files), filepath.Base(name)))
		write(t, file, string(raw))
		files = append(files, file)
	}
	found, said, code := checkWith(t, dir, "present", files...)
	for _, f := range found {
		t.Errorf("%s:%d:%d: %s", filepath.Base(f.File), f.Line, f.Column, f.Code)
	}
	want := fmt.Sprintf("%d playbooks, no mistakes; checked against the connectors of %s (1 connector)\n", len(files), filepath.Join(dir, "quell.yaml"))
	if code != app.ExitOK || said != want {
		t.Errorf("exit code %d, said %q, want %q", code, said, want)
	}
	if examples < 6 {
		t.Errorf("%d of the examples are among them", examples)
	}
	t.Logf("%d valid playbooks, %d of them examples: %d findings", len(files), examples, len(found))
}
