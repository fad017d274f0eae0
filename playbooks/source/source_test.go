package source_test

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/playbooks/source"
)

func TestPositions(t *testing.T) {
	f := source.NewFile("f", []byte("\xef\xbb\xbfäb\r\n\nü😀c"))
	for offset, want := range map[int]string{3: "1:1", 5: "1:2", 6: "1:3", 8: "2:1", 9: "3:1", 11: "3:2", 15: "3:3", 16: "3:4", 99: "3:4"} {
		if got := f.At(offset); got.String() != want {
			t.Errorf("At(%d) = %s, want %s", offset, got, want)
		}
		at := f.At(offset)
		if back := f.Offset(at.Line, at.Column); back != min(offset, 16) {
			t.Errorf("Offset(%s) = %d, want %d", at, back, offset)
		}
	}
	if got := f.Line(1); got != "äb" {
		t.Errorf("line 1 is %q", got)
	}
}

// TestLongLines holds places in lines of many kilobytes against counting.
func TestLongLines(t *testing.T) {
	text := "ü\r\n" + strings.Repeat("aü漢😀", 300) + "\r\n" + strings.Repeat("x", 2000) + "\n\n" + strings.Repeat("😀", 700)
	f := source.NewFile("f", []byte(text))
	line, column := 1, 1
	for offset, r := range text {
		want := fmt.Sprintf("%d:%d", line, column)
		if got := f.At(offset); got.String() != want || got.Offset != offset {
			t.Fatalf("At(%d) = %v, want %s", offset, got, want)
		}
		if got := f.Offset(line, column); r != '\n' && got != offset {
			t.Fatalf("Offset(%s) = %d, want %d", want, got, offset)
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	for n := 1; n <= f.Lines(); n++ {
		if end := f.Offset(n, 1<<30); f.Line(n) != string(f.Bytes[f.Offset(n, 1):end]) {
			t.Errorf("line %d ends at %d", n, end)
		}
	}
}

// TestScalars maps a marked letter of a decoded value back to the file, for
// every style of scalar.
func TestScalars(t *testing.T) {
	for name, text := range map[string]string{
		"plain":                 "a: one X two\n",
		"plain over lines":      "a: one\n  two\n\n  three X four\n",
		"single":                "a: 'it''s ''X'''\n",
		"single over lines":     "a: 'it\n  is\n\n   X'\n",
		"double":                "a: \"\\u00fc\\t\\x41 \\\"X\\\"\"\n",
		"double over lines":     "a: \"one \\\n   two\n  three\n\n  X\"\n",
		"literal":               "a: |\n  one\n   two\n\n  X\n",
		"literal with header":   "a: |2-\n    one\n\n    X\n",
		"literal with comment":  "a: |+ # why\n  ü\n  X\n\n\nb: 1\n",
		"folded":                "a: >\n  one\n  two\n\n  X\n",
		"folded and indented":   "a: >-\n  one\n    two\n    three\n  four\n\n\n  five X\n",
		"folded, leading lines": "a: >\n\n\n  one X\n",
		"crlf":                  "a: |\r\n  one\r\n  X\r\n",
		"crlf folded":           "a: >\r\n  one\r\n  two\r\n\r\n  X\r\n",
		"deep":                  "- - a: >-\n      one\n      X\n    b: 1\n",
		"flow":                  "{a: [b, ü X]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := source.NewFile("f", []byte(text))
			for _, s := range scalars(t, f) {
				if !s.Exact() {
					t.Fatalf("%q is not mapped", s.Value)
				}
				i := strings.IndexByte(s.Value, 'X')
				if i < 0 {
					continue
				}
				at := s.Part(i, i+1)
				if f.Text(at) != "X" {
					t.Errorf("X of %q is at %s: %q", s.Value, at.Start, f.Text(at))
				}
				return
			}
			t.Fatal("no X")
		})
	}
}

func scalars(t testing.TB, f *source.File) []*source.Scalar {
	var doc yaml.Node
	if err := yaml.Unmarshal(f.Bytes, &doc); err != nil {
		t.Skip(err)
	}
	var out []*source.Scalar
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 {
			out = append(out, source.NewScalar(f, f.Offset(n.Line, n.Column), styleOf(n), n.Value))
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(&doc)
	return out
}

func TestExcerpt(t *testing.T) {
	f := source.NewFile("f", []byte("one\n\thost: 漢字 web\x01 x\n"+strings.Repeat("a", 200)+"B\n"))
	for _, tc := range []struct {
		from, to int
		want     string
	}{
		{5, 9, "2 |   host: 漢字 web· x\n  |   ^^^^\n"},
		{11, 17, "2 |   host: 漢字 web· x\n  |         ^^^^\n"},
		{4, 4, "2 |   host: 漢字 web· x\n  | ^\n"},
	} {
		if got := f.Excerpt(f.Span(tc.from, tc.to)); got != tc.want {
			t.Errorf("%d-%d:\n%swant\n%s", tc.from, tc.to, got, tc.want)
		}
	}
	b := strings.IndexByte(string(f.Bytes), 'B')
	if got := f.Excerpt(f.Span(b, b+1)); !strings.HasSuffix(got, "B\n  | "+strings.Repeat(" ", strings.IndexByte(got, 'B')-4)+"^\n") {
		t.Errorf("long line:\n%s", got)
	}
}

// FuzzScalar holds that a place within any scalar lies within the scalar, and
// that a letter maps to itself.
func FuzzScalar(f *testing.F) {
	f.Add("a: >-\n  one\n    two\n\n  three\n")
	f.Add("a: \"\\u00fc b\\\n c\"\nb: 'it''s\n\n x'\n")
	f.Add("a: |2\n    x\n\n y\n")
	f.Add("a: >+ # 1\r\n  \tx\r\n\r\n  y\r\n")
	f.Add("a: \"b\\n\n\n  \\\n\n c\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") || len(text) > 4096 {
			t.Skip() // a lone carriage return is refused before YAML is read
		}
		file := source.NewFile("f", []byte(text))
		for _, s := range scalars(t, file) {
			for i := range s.Value {
				at := s.Part(i, i+1)
				if at.Start.Offset > at.End.Offset || at.End.Offset > len(text) {
					t.Fatalf("%q[%d] at %v", s.Value, i, at)
				}
				if c := s.Value[i]; s.Exact() && s.Style != source.Double && c > ' ' && c < 0x7f && c != '\'' && file.Text(at) != string(c) {
					t.Fatalf("%q[%d] = %q at %v is %q", s.Value, i, c, at.Start, file.Text(at))
				}
			}
		}
	})
}
