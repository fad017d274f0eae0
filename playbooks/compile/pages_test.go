package compile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

const pages = "../../docs/diagnostics"

func registry(t testing.TB) []diag.Code {
	t.Helper()
	all, err := diag.Codes()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func compileExample(c diag.Code, text string) diag.List {
	if c.Escaped {
		text = diag.Unescape(text)
	}
	_, list := compile.Compile(source.NewFile("example.yaml", []byte(text)), options(c.Name))
	return list
}

// TestExamples compiles the example of each code: the mistake gives exactly that
// code with its severity, the cured playbook gives nothing.
func TestExamples(t *testing.T) {
	for _, c := range registry(t) {
		if c.NoExample != "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			bad := compileExample(c, c.Bad)
			if len(bad) != 1 || bad[0].Code != c.Name || bad[0].Severity != c.Severity {
				t.Errorf("the mistake gives %d diagnostics, want one %s: %v", len(bad), c.Name, bad)
			}
			if good := compileExample(c, c.Good); len(good) > 0 {
				t.Errorf("the cured playbook gives: %v", good)
			}
		})
	}
}

// TestPages holds docs/diagnostics to the registry; -update writes it.
func TestPages(t *testing.T) {
	all := registry(t)
	want := map[string]string{"README.md": index(t, all)}
	for _, c := range all {
		want[c.Name+".md"] = page(t, c)
	}
	if *update {
		if err := os.MkdirAll(pages, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range want {
			if err := os.WriteFile(filepath.Join(pages, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(pages, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, ok := want[filepath.Base(f)]; !ok {
			t.Errorf("%s belongs to no code", f)
		}
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(pages, name))
		if err != nil {
			t.Errorf("%v; run make docs", err)
			continue
		}
		if diff := cmp.Diff(text, string(got)); diff != "" {
			t.Errorf("%s is not what the registry says; run make docs (-want +got):\n%s", name, diff)
		}
	}
}

// page is the documentation of one code.
func page(t testing.TB, c diag.Code) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Made by `make docs` of playbooks/diag/codes/%s.txtar. -->\n# %s\n\n", c.Name, c.Name)
	fmt.Fprintf(&b, "**%s.** Severity: %s.\n\n%s\n\n**Cure:** %s\n", c.Title, c.Severity, c.Meaning, c.Cure)
	if c.NoExample != "" {
		fmt.Fprintf(&b, "\nNo example: %s.\n", c.NoExample)
		return b.String()
	}
	var out bytes.Buffer
	if err := diag.Render(&out, compileExample(c, c.Bad)); err != nil {
		t.Fatal(err)
	}
	note := ""
	if c.Escaped {
		note = " Characters that do not print are shown as `\\xNN` and `\\uNNNN`."
	}
	fmt.Fprintf(&b, "\n## Example\n\n```yaml\n%s```\n\n`quell check` says:%s\n\n```text\n%s```\n\nCured:\n\n```yaml\n%s```\n", c.Bad, note, out.String(), c.Good)
	return b.String()
}

// index is the page that lists the codes and tells what holds for all.
func index(t testing.TB, all []diag.Code) string {
	t.Helper()
	head, err := os.ReadFile(filepath.Join("testdata", "diagnostics.md"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("<!-- Made by `make docs`; its text stands in playbooks/compile/testdata/diagnostics.md. -->\n")
	b.Write(head)
	b.WriteString("\n## Codes\n\n| code | severity | |\n|---|---|---|\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s |\n", c.Name, c.Name, c.Severity, strings.ReplaceAll(c.Title, "|", "\\|"))
	}
	return b.String()
}

// reported finds the codes in the compiler's own sources.
var reported = regexp.MustCompile(`(?:\b(?:report|warn|problem|wrong)\(|\btell\(.*?, |\badd\(diag\.\w+, |\bCode:\s+|\bcode(?:, \w+)? := |\bunusedSilence = |\bunknown: |\bknot\{)"([a-z]+(?:-[a-z]+)*)"|(?m:^\t\t"([a-z]+(?:-[a-z]+)*)", "[^"]* )`)

// TestRegistered holds that every code that the compiler's sources name is in
// the registry, and that the registry has no code that nothing reports.
func TestRegistered(t *testing.T) {
	named := map[string]bool{diag.CodeMore: true}
	for _, dir := range []string{".", "../parse", "../expr", "../diag"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range reported.FindAllStringSubmatch(string(raw), -1) {
				named[m[1]+m[2]] = true
			}
		}
	}
	delete(named, "")
	known := map[string]bool{}
	for _, c := range registry(t) {
		known[c.Name] = true
		if !named[c.Name] {
			t.Errorf("nothing reports %s", c.Name)
		}
	}
	var missing []string
	for n := range named {
		if !known[n] {
			missing = append(missing, n)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("not in the registry: %v; add playbooks/diag/codes/CODE.txtar with an example and its cure, then make docs", missing)
	}
}
