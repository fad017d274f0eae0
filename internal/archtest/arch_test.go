package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// list asks go for all packages of the module. It builds nothing.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports,Deps,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var out []pkg
	for dec := json.NewDecoder(strings.NewReader(string(raw))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		out = append(out, p)
	}
	if len(out) < 20 {
		t.Fatalf("go list told of %d packages only", len(out))
	}
	return out
}

func TestEdges(t *testing.T) {
	t.Parallel()
	for _, broken := range check(list(t)) {
		t.Error(broken)
	}
}

// TestTestsStayLight: a test that links the Temporal server costs minutes on a
// cold machine.
func TestTestsStayLight(t *testing.T) {
	t.Parallel()
	may := []string{"internal/engine", "internal/e2e", "internal/serve", "cmd/quell"}
	for _, p := range list(t) {
		r, _ := room(p.ImportPath)
		for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
			to, _ := room(i)
			heavy := covers("go.temporal.io/server/...", i) || to == "internal/engine" || to == "internal/serve"
			if heavy && !slices.Contains(may, r) {
				t.Errorf("the tests of %s -> %s: only those of %v link the Temporal server", r, short(i), may)
			}
		}
	}
}

// TestDials reads the source: an import alone does not tell who dials.
func TestDials(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		r, _ := room(p.ImportPath)
		if _, may := diallers[r]; may {
			continue
		}
		for _, name := range p.GoFiles {
			for _, found := range dialsIn(t, filepath.Join(p.Dir, name)) {
				t.Errorf("%s/%s: connections of ours are opened in internal/egress, those to vendors in connectors/sdk/rest", r, found)
			}
		}
	}
}

// dialsIn lists the places of a file that open a connection.
func dialsIn(t *testing.T, file string) (out []string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%v", err)
		return nil
	}
	names := map[string][]string{}
	for _, i := range f.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil || dials[path] == nil {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = dials[path]
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(names[x.Name], sel.Sel.Name) {
			at := fset.Position(sel.Pos())
			out = append(out, fmt.Sprintf("%s:%d: %s.%s", filepath.Base(file), at.Line, x.Name, sel.Sel.Name))
		}
		return true
	})
	return out
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// TestForm: each room says what it is, has a telling name, and files that one
// can read.
func TestForm(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		r, _ := room(p.ImportPath)
		if slices.Contains(vague, filepath.Base(r)) {
			t.Errorf("%s: the name says nothing about what lies within", r)
		}
		if len(p.GoFiles) > 0 && !slices.Contains(p.GoFiles, "doc.go") {
			t.Errorf("%s has no doc.go", r)
		}
		for _, name := range p.GoFiles {
			raw, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Error(err)
				continue
			}
			if n := strings.Count(string(raw), "\n"); n > maxLines && !generated.Match(raw) {
				t.Errorf("%s/%s has %d lines; %d are the most: split it by what it is about", r, name, n, maxLines)
			}
			if slices.Contains(vague, strings.TrimSuffix(name, ".go")) {
				t.Errorf("%s/%s: the name says nothing about what lies within", r, name)
			}
		}
	}
}

// TestPicture: docs/architecture.md names every room, and no room that is not
// there.
func TestPicture(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/-]+)` \\|").FindAllStringSubmatch(string(raw), -1) {
		drawn[m[1]] = true
	}
	there := map[string]bool{}
	for _, p := range list(t) {
		r, _ := room(p.ImportPath)
		there[r] = true
		if !drawn[r] && !strings.Contains(r, "/testdata/") {
			t.Errorf("%s is not in docs/architecture.md: add a row | `%s` | what it is |", r, r)
		}
	}
	for r := range drawn {
		if !there[r] {
			t.Errorf("docs/architecture.md names %s, and there is no such package", r)
		}
	}
}
