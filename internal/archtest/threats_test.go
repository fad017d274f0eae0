package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// classes is how many classes of attack docs/threat-model.md answers, numbered.
const classes = 19

var (
	numbered = regexp.MustCompile(`^\| ([0-9]+) \|`)
	named    = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]*)`")
)

// TestThreats reads the table of attacks in docs/threat-model.md: all classes are
// there, each names the tests that prove its answer or says why there is none, and
// every test that the page names exists.
func TestThreats(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	namesTests(t, "docs/threat-model.md")
	seen := map[int]bool{}
	for n, line := range strings.Split(string(raw), "\n") {
		tests := named.FindAllStringSubmatch(line, -1)
		m := numbered.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		class, _ := strconv.Atoi(m[1])
		if seen[class] {
			t.Errorf("docs/threat-model.md:%d: class %d stands twice", n+1, class)
		}
		seen[class] = true
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		switch {
		case len(cells) != 4:
			t.Errorf("docs/threat-model.md:%d: class %d has %d cells, not number, attack, answer, tests", n+1, class, len(cells))
		case len(tests) == 0 && !strings.HasPrefix(cells[3], "no test: "):
			t.Errorf("docs/threat-model.md:%d: class %d names no test and no reason", n+1, class)
		}
	}
	for class := 1; class <= classes; class++ {
		if !seen[class] {
			t.Errorf("docs/threat-model.md: class %d is missing", class)
		}
	}
}

// TestProofs: every test that docs/proofs.md names exists.
func TestProofs(t *testing.T) {
	t.Parallel()
	if n := namesTests(t, "docs/proofs.md"); n < 20 {
		t.Errorf("docs/proofs.md names %d tests", n)
	}
}

// namesTests looks up every test that a page names, and counts them.
func namesTests(t *testing.T, page string) (n int) {
	t.Helper()
	raw, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]map[string]bool{}
	for at, line := range strings.Split(string(raw), "\n") {
		for _, m := range named.FindAllStringSubmatch(line, -1) {
			n++
			if known[m[1]] == nil {
				known[m[1]] = testsIn(t, "../../"+m[1])
			}
			if !known[m[1]][m[2]] {
				t.Errorf("%s:%d: there is no %s in %s", page, at+1, m[2], m[1])
			}
		}
	}
	return n
}

// testsIn lists the tests and fuzz targets of a directory.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				out[fn.Name.Name] = true
			}
		}
	}
	return out
}
