package compile_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// valid lists the playbooks without a mistake: one per feature, and the
// examples.
func valid(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"testdata/valid/*.yaml", "testdata/plans/*.yaml", "../../examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, files...)
	}
	return slices.DeleteFunc(out, func(name string) bool { return strings.HasSuffix(name, ".test.yaml") })
}

// TestValid compiles every valid playbook without a diagnostic, reads its plan
// back and loads its expressions.
func TestValid(t *testing.T) {
	files := valid(t)
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml"), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			p, list := compile.Compile(source.NewFile(name, raw), options())
			if len(list) > 0 || p == nil {
				var text strings.Builder
				_ = diag.Render(&text, list)
				t.Fatalf("%d diagnostics:\n%s", len(list), text.String())
			}
			first, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			back, err := plan.Decode(first)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := expr.Load(back); err != nil {
				t.Error(err)
			}
			if second, err := back.Encode(); err != nil || string(second) != string(first) {
				t.Errorf("the plan does not survive its bytes (%v)", err)
			}
		})
	}
	t.Logf("%d files", len(files))
	if len(files) < 60 {
		t.Errorf("%d valid playbooks, want 60", len(files))
	}
}

// TestDocs compiles the whole playbooks that the page about the language shows.
func TestDocs(t *testing.T) {
	raw, err := os.ReadFile("../../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(raw), "```yaml\n")
	whole := 0
	for _, b := range blocks[1:] {
		text, _, _ := strings.Cut(b, "```")
		if !strings.HasPrefix(text, "quell: 1") {
			continue
		}
		whole++
		if _, list := compile.Compile(source.NewFile("language.md", []byte(text)), options()); len(list) > 0 {
			t.Error(list)
		}
	}
	if whole == 0 {
		t.Error("the page shows no whole playbook")
	}
}
