package mutants

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// faults are the six; each connector has a file for each.
var faults = []string{"verify-skipped", "2xx-trusted", "already-failed", "prior-dropped", "page-lost", "token-leaked"}

// connectors is the directory of the connectors' packages, from here.
const connectors = "../.."

// mutant is one planted fault.
type mutant struct {
	connector, fault string
	// what is planted, or why nothing can be.
	what string
	none bool
	// changed holds whole files with the fault in them, by their absolute path.
	changed map[string]string
}

// shipped are the connectors' packages: those with a test of conformance, apart
// from the suite's own.
func shipped(t *testing.T) []string {
	t.Helper()
	tests, err := filepath.Glob(filepath.Join(connectors, "*", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range tests {
		name := filepath.Base(filepath.Dir(file))
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if name != "conformance" && bytes.Contains(src, []byte("func TestConformance(")) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal("no connector has a TestConformance")
	}
	return names
}

// read takes a mutant from its file and plants it into the sources of today.
func read(connector, fault string) (mutant, error) {
	m := mutant{connector: connector, fault: fault, changed: map[string]string{}}
	dir := filepath.Join(connectors, connector)
	file := filepath.Join(dir, "testdata", "mutants", fault+".txtar")
	a, err := txtar.ParseFile(file)
	if err != nil {
		return m, err
	}
	m.what = strings.Join(strings.Fields(string(a.Comment)), " ")
	if reason, ok := strings.CutPrefix(m.what, "none:"); ok && len(a.Files) == 0 && len(strings.TrimSpace(reason)) > 10 {
		m.none = true
		return m, nil
	}
	if m.what == "" || len(a.Files) == 0 || len(a.Files)%2 != 0 {
		return m, fmt.Errorf("%s: want a comment that says what is planted, and pairs of FILE.go/from and FILE.go/to", file)
	}
	for i := 0; i < len(a.Files); i += 2 {
		from, to := a.Files[i], a.Files[i+1]
		name, okFrom := strings.CutSuffix(from.Name, "/from")
		if nameTo, okTo := strings.CutSuffix(to.Name, "/to"); !okFrom || !okTo || name != nameTo {
			return m, fmt.Errorf("%s: %q and %q are no pair", file, from.Name, to.Name)
		}
		path, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil {
			return m, err
		}
		src, read := m.changed[path]
		if !read {
			raw, err := os.ReadFile(path)
			if err != nil {
				return m, err
			}
			src = string(raw)
		}
		old := string(bytes.TrimRight(from.Data, "\n"))
		if n := strings.Count(src, old); n != 1 {
			return m, fmt.Errorf("%s: the text of %s stands %d times in the source, not once; the connector has changed: plant the fault anew", file, from.Name, n)
		}
		m.changed[path] = strings.Replace(src, old, string(bytes.TrimRight(to.Data, "\n")), 1)
	}
	return m, nil
}

// TestFiles holds the files against the sources, so that no fault rots.
func TestFiles(t *testing.T) {
	for _, connector := range shipped(t) {
		for _, fault := range faults {
			if _, err := read(connector, fault); err != nil {
				t.Errorf("%s: %v", connector, err)
			}
		}
	}
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: TestConformance/(\S+)`)

// conform runs a connector's suite, with the mutant planted where there is one,
// and returns the checks that were red.
func conform(t *testing.T, m mutant) (red []string, broken string) {
	t.Helper()
	args := []string{"test", "-count=1", "-short", "-run", "^TestConformance$", "-vet=off"}
	if len(m.changed) > 0 {
		dir := t.TempDir()
		replace := map[string]string{}
		for path, src := range m.changed {
			planted := filepath.Join(dir, filepath.Base(path))
			if err := os.WriteFile(planted, []byte(src), 0o600); err != nil {
				t.Fatal(err)
			}
			replace[path] = planted
		}
		raw, err := json.Marshal(map[string]any{"Replace": replace})
		if err != nil {
			t.Fatal(err)
		}
		overlay := filepath.Join(dir, "overlay.json")
		if err := os.WriteFile(overlay, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = filepath.Join(connectors, m.connector)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil, ""
	}
	for _, found := range failed.FindAllSubmatch(out, -1) {
		red = append(red, string(found[1]))
	}
	if len(red) == 0 {
		return nil, string(out)
	}
	return leaves(red), ""
}

// leaves drops the names of which another is a part.
func leaves(names []string) []string {
	var out []string
	for _, n := range names {
		inner := slices.ContainsFunc(names, func(o string) bool { return strings.HasPrefix(o, n+"/") })
		if !inner {
			out = append(out, n)
		}
	}
	return out
}

// TestMutants is `make mutants`: each connector conforms as it is, and with each
// planted fault it does not.
func TestMutants(t *testing.T) {
	if os.Getenv("QUELL_MUTANTS") == "" {
		t.Skip("builds each connector six times: make mutants")
	}
	only := os.Getenv("QUELL_MUTANTS_OF")
	var table strings.Builder
	tried, found, none := 0, 0, 0
	for _, connector := range shipped(t) {
		if only != "" && only != connector {
			continue
		}
		if red, broken := conform(t, mutant{connector: connector}); broken != "" || len(red) > 0 {
			t.Errorf("%s does not conform without any fault: %v %s", connector, red, broken)
			continue
		}
		for _, fault := range faults {
			m, err := read(connector, fault)
			if err != nil {
				t.Error(err)
				continue
			}
			if m.none {
				none++
				fmt.Fprintf(&table, "%-12s %-15s %s\n", connector, fault, m.what)
				continue
			}
			tried++
			begin := time.Now()
			red, broken := conform(t, m)
			if broken != "" {
				t.Errorf("%s with %s does not build, or fails beside the suite:\n%s", connector, fault, broken)
				continue
			}
			verdict := "NOT FOUND"
			if len(red) > 0 {
				found++
				verdict = fmt.Sprintf("found by %d, such as %s", len(red), red[0])
			} else {
				t.Errorf("%s with %s (%s) passes the suite", connector, fault, m.what)
			}
			fmt.Fprintf(&table, "%-12s %-15s %s (%s, %.0f s)\n", connector, fault, verdict, m.what, time.Since(begin).Seconds())
		}
	}
	t.Logf("%d faults planted, %d found; %d that a vendor cannot have\n%s", tried, found, none, table.String())
	if tried == 0 {
		t.Error("no fault was planted")
	}
}
