package compile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// FuzzCompile holds that the compiler never fails on a text, that a plan exists
// exactly where no error was found, that a plan's expressions load, and that
// compiling twice gives the same bytes.
func FuzzCompile(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.yaml", "../../examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(strings.NewReplacer("«", "", "»", "").Replace(string(raw)))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := source.NewFile("f", []byte(text))
		p, list := compile.Compile(file, options())
		if (p == nil) != list.HasErrors() {
			t.Fatalf("plan %v, %v", p != nil, list)
		}
		for _, d := range list {
			if d.Code == "internal" {
				t.Fatal(d)
			}
			if d.Span.Start.Line < 1 || d.Span.End.Offset > len(text) {
				t.Fatalf("a diagnostic is nowhere: %+v", d)
			}
		}
		if p == nil {
			return
		}
		raw, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := plan.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := expr.Load(back); err != nil {
			t.Fatal(err)
		}
		q, _ := compile.Compile(file, options())
		if again, err := q.Encode(); err != nil || !bytes.Equal(raw, again) {
			t.Fatal("compiled twice, two plans")
		}
	})
}
