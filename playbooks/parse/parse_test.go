package parse_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/parse"
	"github.com/quell-soar/quell/playbooks/source"
)

// TestBombs holds that texts made to exhaust a reader are refused quickly.
func TestBombs(t *testing.T) {
	lol := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		p := string(c - 1)
		lol += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+",", 8) + "*" + p + "]\n"
	}
	for name, text := range map[string]string{
		"laughs":       lol,
		"deep list":    strings.Repeat("[", 400_000),
		"deep closed":  strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"deep map":     strings.Repeat("{a: ", 100_000),
		"deep block":   strings.Repeat("- ", 9000) + "x",
		"many nodes":   "tags: [" + strings.Repeat("a,", 500_000) + "]",
		"too large":    strings.Repeat("#", parse.MaxBytes+1),
		"long comment": "a: b #" + strings.Repeat("x", 900_000),
		"long scalar":  "quell: \"" + strings.Repeat("\\u0041", 150_000) + "\"",
		"long plain":   "title: " + strings.Repeat("x ", 500_000),
		"keys":         keys(20_000),
		"nul":          "a: \x00",
		"utf-16":       "\xff\xfea\x00",
		"bad utf-8":    "a: \xc3(",
		"lone cr":      "a: 1\rb: 2",
		"empty":        "",
		"comment":      "# nothing\n",
		"scalar":       "hello",
		"open quote":   "a: \"" + strings.Repeat("x\n", 200_000),
	} {
		t.Run(name, func(t *testing.T) {
			// The best of five: the machine may be busy with something else.
			took := time.Hour
			var list diag.List
			for range 5 {
				began := time.Now()
				_, list = parse.Parse(source.NewFile("f", []byte(text)))
				took = min(took, time.Since(began))
			}
			if !list.HasErrors() && name != "long scalar" && name != "long plain" {
				t.Error("accepted")
			}
			if took > limit {
				t.Errorf("took %v", took)
			}
			t.Logf("%v", took)
		})
	}
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat("k", 1+i%7))
		b.WriteString(strings.Repeat("x", i/7%40))
		b.WriteString(": 1\n")
	}
	return b.String()
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"../compile/testdata/*/*.yaml", "../../examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		file := source.NewFile("f", raw)
		tree, list := parse.Parse(file)
		if tree == nil && !list.HasErrors() {
			t.Fatal("neither a tree nor an error")
		}
		for _, d := range list {
			if d.Span.Start.Line < 1 || d.Span.Start.Column < 1 || d.Span.End.Offset > len(raw) || d.Span.End.Offset < d.Span.Start.Offset {
				t.Fatalf("a diagnostic is nowhere: %+v", d)
			}
			file.Excerpt(d.Span)
		}
	})
}
