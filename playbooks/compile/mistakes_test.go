package compile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/source"
)

// marked is a playbook with the places of its mistakes marked by hand: «…»
// around each expected span, and the codes in a first line `# want: code code`,
// in the order of the marks. Nothing ever rewrites the marks.
type marked struct {
	text  string
	wants []string
}

func readMarked(t *testing.T, raw string) marked {
	t.Helper()
	first, _, _ := strings.Cut(raw, "\n")
	codes := strings.Fields(strings.TrimPrefix(first, "# want:"))
	var text strings.Builder
	var spans [][2]int
	for _, r := range raw {
		switch r {
		case '«':
			spans = append(spans, [2]int{text.Len(), -1})
		case '»':
			spans[len(spans)-1][1] = text.Len()
		default:
			text.WriteRune(r)
		}
	}
	if len(codes) != len(spans) {
		t.Fatalf("%d codes and %d marks", len(codes), len(spans))
	}
	m := marked{text: text.String()}
	f := source.NewFile("", []byte(m.text))
	for i, s := range spans {
		at := f.Span(s[0], s[1])
		m.wants = append(m.wants, fmt.Sprintf("%v-%v %s %q", at.Start, at.End, codes[i], f.Text(at)))
	}
	return m
}

// TestMistakes compiles one file per mistake and wants exactly the marked
// diagnostics.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml"), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			m := readMarked(t, string(raw))
			f := source.NewFile(name, []byte(m.text))
			_, list := compile.Compile(f, compile.Options{Actions: generic{}})
			var got []string
			for _, d := range list {
				got = append(got, fmt.Sprintf("%v-%v %s %q", d.Span.Start, d.Span.End, d.Code, f.Text(d.Span)))
			}
			if diff := cmp.Diff(m.wants, got); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s\n%v", diff, list)
			}
		})
	}
}
