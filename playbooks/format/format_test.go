package format_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/compile/corpus"
	"github.com/quell-soar/quell/playbooks/format"
	"github.com/quell-soar/quell/playbooks/source"
)

var repeated = regexp.MustCompile(`(?s)⟦(\d+)\*(.*?)⟧`)

// texts gives the texts of the language's corpus by their names, marks of
// mistakes taken out.
func texts(t testing.TB, folders ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, folder := range folders {
		files, err := filepath.Glob(folder + "/*.yaml")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %d files", folder, err, len(files))
		}
		for _, name := range files {
			if strings.HasSuffix(name, ".test.yaml") {
				continue
			}
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			text := repeated.ReplaceAllStringFunc(string(raw), func(m string) string {
				part := repeated.FindStringSubmatch(m)
				n, _ := strconv.Atoi(part[1])
				return strings.Repeat(part[2], n)
			})
			out[name] = strings.NewReplacer("«", "", "»", "").Replace(text)
		}
	}
	return out
}

const (
	validFolder = "../compile/testdata/valid"
	planFolder  = "../compile/testdata/plans"
	wrongFolder = "../compile/testdata/mistakes"
	examples    = "../../examples"
)

// formatted formats a text; "" where it cannot be.
func formatted(t testing.TB, name, text string) string {
	t.Helper()
	out, list, err := format.Playbook(source.NewFile(name, []byte(text)))
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
	if (out == nil) != list.HasErrors() {
		t.Fatalf("%s: no text and no error", name)
	}
	return string(out)
}

// laws holds what is true of every text that can be formatted.
func laws(t testing.TB, name, text string) string {
	t.Helper()
	once := formatted(t, name, text)
	if once == "" {
		return ""
	}
	if twice := formatted(t, name, once); twice != once {
		t.Fatalf("%s: formatted twice differs from once (-once +twice):\n%s\nof\n%s", name, cmp.Diff(once, twice), text)
	}
	if before, after := comments(text), comments(once); !slices.Equal(before, after) {
		t.Fatalf("%s: the comments differ:\n%s\nof\n%s", name, cmp.Diff(before, after), text)
	}
	return once
}

// meaning is what the compiler makes of a text: the plan without places, and the
// codes of what is wrong.
func meaning(t testing.TB, name, text string) (string, []string) {
	t.Helper()
	p, list := compile.Compile(source.NewFile(name, []byte(text)), corpus.Options())
	var codes []string
	for _, d := range list {
		if d.Code != "phase-order" {
			codes = append(codes, d.Code)
		}
	}
	slices.Sort(codes)
	if p == nil {
		return "", codes
	}
	sum, err := p.Meaning()
	if err != nil {
		t.Fatal(err)
	}
	return sum, codes
}

// TestValid holds that formatting changes no plan and no diagnostic of any valid
// playbook, and that the layout keeps its laws.
func TestValid(t *testing.T) {
	files := texts(t, validFolder, planFolder, examples)
	for name, text := range files {
		once := laws(t, name, text)
		before, list := meaning(t, name, text)
		if before == "" {
			t.Fatalf("%s does not compile here: %v", name, list)
		}
		after, again := meaning(t, name, once)
		if before != after || !slices.Equal(list, again) {
			t.Errorf("%s means something else: %v, %v\n%s", name, list, again, cmp.Diff(text, once))
		}
	}
	t.Logf("%d files", len(files))
}

// TestMistakes holds the laws on texts with mistakes, and that a mistake is
// still there: only the order of phases is mended.
func TestMistakes(t *testing.T) {
	files, done := texts(t, wrongFolder), 0
	for name, text := range files {
		once := laws(t, name, text)
		if once == "" {
			continue
		}
		done++
		_, before := meaning(t, name, text)
		_, after := meaning(t, name, once)
		if strings.Contains(name, "comment-") {
			continue // what is said of a comment behind an expression depends on its style
		}
		if !slices.Equal(before, after) {
			t.Errorf("%s: %s\n%s", name, cmp.Diff(before, after), cmp.Diff(text, once))
		}
	}
	t.Logf("%d files, %d can be formatted", len(files), done)
}

// TestGolden formats what stands in testdata/NAME.in.yaml to NAME.out.yaml.
func TestGolden(t *testing.T) {
	for name, text := range texts(t, "testdata") {
		base, ok := strings.CutSuffix(name, ".in.yaml")
		if !ok {
			continue
		}
		got := laws(t, name, text)
		if got == "" {
			_, list, _ := format.Playbook(source.NewFile(name, []byte(text)))
			t.Fatal(list)
		}
		if *update {
			if err := os.WriteFile(base+".out.yaml", []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(base + ".out.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", base, diff)
		}
	}
}

// TestExamples: the examples stand in their layout.
func TestExamples(t *testing.T) {
	for name, text := range texts(t, examples) {
		got := formatted(t, name, text)
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(text, got); diff != "" {
			t.Errorf("%s (-there +laid out):\n%s", name, diff)
		}
	}
}

// TestRefuses: what is no playbook at all is told and not touched.
func TestRefuses(t *testing.T) {
	for _, text := range []string{"", "a: &x 1\n", "a: *x\n", "a: !t 1\n", "a: 1\na: 2\n", "a: [", "a: 1\n---\nb: 1\n"} {
		out, list, err := format.Playbook(source.NewFile("f", []byte(text)))
		if out != nil || err != nil || !list.HasErrors() {
			t.Errorf("%q: %q, %v, %v", text, out, list, err)
		}
	}
}

// FuzzFormat holds that any text is refused or keeps the laws.
func FuzzFormat(f *testing.F) {
	for _, text := range texts(f, validFolder, wrongFolder, examples) {
		if len(text) < 4000 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, list, err := format.Playbook(source.NewFile("f", []byte(text)))
		if errors.Is(err, format.ErrUnsafe) {
			t.Fatal(err)
		}
		if once == nil {
			return
		}
		twice, _, err := format.Playbook(source.NewFile("f", once))
		if err != nil || string(twice) != string(once) {
			t.Fatalf("%v, %v\n%q\n%q", err, list, once, twice)
		}
	})
}
