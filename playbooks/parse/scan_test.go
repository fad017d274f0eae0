package parse

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/playbooks/source"
)

// TestScannerIsSilent holds that the scanner of mistakes says nothing about a
// text that YAML accepts: it is asked only about others, and must not take what
// stands before a mistake for one.
func TestScannerIsSilent(t *testing.T) {
	n := 0
	for _, dir := range []string{"../compile/testdata", "../../examples", "../diag/codes"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err != nil || (ext != ".yaml" && ext != ".txtar") {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i, text := range strings.Split(string(raw), ".yaml --\n") {
				if i == 0 && filepath.Ext(path) == ".txtar" {
					continue
				}
				text = strings.TrimSuffix(strings.NewReplacer("«", "", "»", "").Replace(text), "-- good")
				var doc yaml.Node
				if yaml.Unmarshal([]byte(text), &doc) != nil {
					continue
				}
				n++
				f := source.NewFile(path, []byte(text))
				// Those are mistakes in any case.
				for _, m := range usual(f) {
					if !slices.Contains([]string{"tag", "anchor", "alias", "flow-braces"}, m.code) {
						t.Errorf("%s:%s: %s, and YAML accepts it", path, f.At(m.from), m.code)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 200 {
		t.Errorf("only %d texts were read", n)
	}
	for _, text := range []string{
		"a:\n- b\n- c\nd: e\n", "- - a\n  - b\n- c\n", "a: 'it''s\n  two'\nb: \"x\\\n  y\"\n", "a: |2-\n    x\n\n   y\nb: >+\n\n  z\n",
		"a: [b, {c: d, e: [f]}, 'g', \"h\"] # i\nj: {}\n", "a: [\n  b, # c\n  d\n]\n", "? a\n", "a: b\n  c d\n  e\nf: g\n", "'a b': c\n\"d\" : e\n",
		"a: http://x/y?z\nb: x#y\nc: -1\nd: a:b\n", "a:   \n  - b   \n\n  # c\n  - d:\n      e\n", "---\na: b\n",
		"a: b\r\nc:\r\n  - d\r\n", "a: |\n  - b\n c\n"[:9], "plain\n", "a: >- # why\n  b: c\n  d\n",
	} {
		if m := usual(source.NewFile("f", []byte(text))); m != nil {
			t.Errorf("%q: %+v", text, m)
		}
	}
}
