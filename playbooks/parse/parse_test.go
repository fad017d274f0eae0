package parse_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/parse"
	"github.com/quell-soar/quell/playbooks/source"
)

// TestBombs holds that texts made to exhaust a reader are refused quickly and
// without much memory.
func TestBombs(t *testing.T) {
	lol := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		p := string(c - 1)
		lol += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+",", 8) + "*" + p + "]\n"
	}
	for name, text := range map[string]string{
		"laughs":           lol,
		"deep list":        strings.Repeat("[", 400_000),
		"deep closed":      strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"deep map":         strings.Repeat("{a: ", 100_000),
		"deep block":       strings.Repeat("- ", 9000) + "x",
		"deep lines":       staircase(1400),
		"many nodes":       "tags: [" + strings.Repeat("a,", 500_000) + "]",
		"many lines":       strings.Repeat("- aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", 19_000),
		"many blocks":      strings.Repeat("- |\n x\n", 9_900),
		"many empty items": strings.Repeat("-\n", 19_000),
		"many anchors":     strings.Repeat("- &a x\n", 19_000),
		"many tags":        strings.Repeat("- !a x\n", 19_000),
		"many documents":   strings.Repeat("---\n", 19_000),
		"many comments":    "a: b\n" + strings.Repeat("# quell: allow a because b\n", 19_000),
		"many quotes":      "a: \"" + strings.Repeat("\"x\n", 19_000),
		"many colons":      "a: b\n" + strings.Repeat("  c: ", 150_000),
		"many steps":       "review:\n" + strings.Repeat("  - report: a\n", 19_000),
		"question marks":   strings.Repeat("? ", 200_000),
		"many expressions": "title: \"" + strings.Repeat("${{1}}", 10_000) + "\"",
		"long flow list":   "title: [" + strings.Repeat("ü, ", 12_000) + "a]\nb: [",
		"too many lines":   strings.Repeat("\n", 900_000),
		"too large":        strings.Repeat("#", parse.MaxBytes+1),
		"long comment":     "a: b #" + strings.Repeat("x", 900_000),
		"long scalar":      "quell: \"" + strings.Repeat("\\u0041", 150_000) + "\"",
		"long plain":       "title: " + strings.Repeat("x ", 500_000),
		"long key":         strings.Repeat("x", 900_000) + ": 1",
		"keys":             keys(20_000),
		"nul":              "a: \x00",
		"utf-16":           "\xff\xfea\x00",
		"bad utf-8":        "a: \xc3(",
		"lone cr":          "a: 1\rb: 2",
		"empty":            "",
		"comment":          "# nothing\n",
		"scalar":           "hello",
		"open quote":       "a: \"" + strings.Repeat("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", 19_000),
		"open single":      "a: '" + strings.Repeat("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", 19_000),
		"open bracket":     "a: [" + strings.Repeat("x,\n", 19_000),
		"missing commas":   "a: [" + strings.Repeat("'b' ", 20_000),
		"missing in lines": "a: [" + strings.Repeat("'b' 'c'\n", 9_000),
		"colons in braces": "a: {" + strings.Repeat("b: c d: e ", 9_000),
		"unclosed quotes":  strings.Repeat("a: \"b\n", 19_000),
		"unclosed values":  strings.Repeat("a: [b\n", 19_000),
		"open braces":      "a: [" + strings.Repeat("${{ b, ", 900),
		"stairs":           "a:\n" + strings.Repeat("     - b\n    - c\n", 9_000),
		"no colons":        "a: b\n" + strings.Repeat("c d\n", 19_000),
		"conflicts":        strings.Repeat("<<<<<<< a\n", 19_000),
		"escapes":          "a: \"" + strings.Repeat("\\d", 100_000) + "\"",
		"tabs in a map":    strings.Repeat("a:\n\tb: c\n", 9_000),
		"tabs":             "a: |\n" + strings.Repeat(" \tx\n", 19_000),
	} {
		t.Run(name, func(t *testing.T) {
			// The best of some: the machine may be busy with something else.
			took, most := time.Hour, uint64(1<<62)
			var list diag.List
			for i := 0; i < 2 || (i < 30 && (took > limit || most > heap)); i++ {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				began := cpu(t)
				_, list = parse.Parse(source.NewFile("f", []byte(text)))
				took = min(took, cpu(t)-began)
				runtime.ReadMemStats(&after)
				most = min(most, after.TotalAlloc-before.TotalAlloc)
			}
			if !list.HasErrors() {
				t.Error("accepted")
			}
			if took > limit || most > heap {
				t.Errorf("took %v and %d MB", took, most>>20)
			}
			t.Logf("%s: %v, %d MB", name, took, most>>20)
		})
	}
}

// cpu is the processor time that this process has used: what others do on the
// machine does not count.
func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// staircase nests a map per line.
func staircase(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
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
		slow := time.AfterFunc(10*time.Second, func() { panic(fmt.Sprintf("no end after 10 s: %.500q", raw)) })
		tree, list := parse.Parse(file)
		slow.Stop()
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
