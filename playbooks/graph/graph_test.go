package graph_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/compile/corpus"
	"github.com/quell-soar/quell/playbooks/graph"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func compiled(t testing.TB, name string) *plan.Plan {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	p, list := compile.Compile(source.NewFile(name, raw), corpus.Options())
	if p == nil {
		t.Fatalf("%s: %v", name, list)
	}
	return p
}

var forms = map[string]func(*plan.Plan) []byte{".svg": graph.SVG, ".mmd": graph.Mermaid, ".dot": graph.DOT, ".txt": graph.Outline}

// TestGolden draws the examples and a playbook with every kind of step.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, ".test.yaml") })
	for _, name := range append(files, "../compile/testdata/plans/every-kind.yaml") {
		p := compiled(t, name)
		for ext, draw := range forms {
			golden := "testdata/" + strings.TrimSuffix(filepath.Base(name), ".yaml") + ext
			got := draw(p)
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		}
	}
}

// TestCorpus draws every valid playbook: the SVG is well-formed XML of its own
// elements, the drawing is the same twice, and every id is in it.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("../compile/testdata/valid/*.yaml")
	if err != nil || len(files) < 50 {
		t.Fatal(err, len(files))
	}
	for _, name := range files {
		p := compiled(t, name)
		svg := graph.SVG(p)
		if !bytes.Equal(svg, graph.SVG(p)) {
			t.Errorf("%s: drawn twice, two drawings", name)
		}
		wellFormed(t, name, svg)
		for _, r := range p.Results {
			for ext, draw := range forms {
				if !strings.Contains(string(draw(p)), r.ID) && !strings.Contains(string(draw(p)), strings.ReplaceAll(r.ID, "_", "#95;")) {
					t.Errorf("%s: %s does not stand in %s", name, r.ID, ext)
				}
			}
		}
	}
}

// wellFormed holds an SVG to the elements that we write.
func wellFormed(t testing.TB, name string, svg []byte) {
	t.Helper()
	known := map[string]bool{"svg": true, "title": true, "style": true, "rect": true, "path": true, "text": true}
	attrs := map[string]bool{"xmlns": true, "role": true, "width": true, "height": true, "viewBox": true, "class": true, "x": true, "y": true, "rx": true, "d": true}
	dec := xml.NewDecoder(bytes.NewReader(svg))
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, svg)
		}
		if e, ok := tok.(xml.StartElement); ok {
			if !known[e.Name.Local] {
				t.Fatalf("%s: the element %s", name, e.Name.Local)
			}
			for _, a := range e.Attr {
				if !attrs[a.Name.Local] {
					t.Fatalf("%s: the attribute %s", name, a.Name.Local)
				}
			}
		}
	}
}

var hostile = []string{
	`"><script>alert(1)</script>`, `]]>&amp;<!--`, `end`, `"];evil --> x`, "`x`; click n1 \"javascript:1\"", `\" \\`, "a\nb\r\tc", "\u202eabc\u2066",
	"\x00\x1b[31m", strings.Repeat("長", 400), strings.Repeat("w", 5000), "%%{init: {}}%%", "#quot;#60;", "\xff\xfe",
}

// TestHostileText puts hostile texts everywhere into a plan: nothing of them
// becomes markup.
func TestHostileText(t *testing.T) {
	for _, text := range hostile {
		p := compiled(t, "../compile/testdata/plans/every-kind.yaml")
		poison(p, text)
		wellFormed(t, text, graph.SVG(p))
		safe := regexp.MustCompile(`^\s*(?:flowchart TD|subgraph n\d+\["[^"<>\x60]*(?:<br>[^"<>\x60]*)*"\]|end|n\d+[\[({]+"[^"<>\x60]*(?:<br>[^"<>\x60]*)*"[\])}]+|n\d+ -\.?->(?:\|"[^"<>\x60]*(?:<br>[^"<>\x60]*)*"\|)? n\d+)$`)
		for line := range strings.Lines(string(graph.Mermaid(p))) {
			if line = strings.TrimRight(line, "\n"); !safe.MatchString(line) {
				t.Fatalf("%q: the line %s", text, line)
			}
		}
		quoted := regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
		for line := range strings.Lines(string(graph.DOT(p))) {
			bare := quoted.ReplaceAllString(strings.TrimRight(line, "\n"), "Q")
			if !regexp.MustCompile(`^\s*(?:digraph Q \{|rankdir=.*|subgraph cluster_n\d+ \{ label=Q;|\}|n\d+ \[label=Q(?:, shape=\w+)?\];|n\d+ -> n\d+(?: \[(?:label=Q)?(?:, )?(?:style=dashed)?\])?;)$`).MatchString(bare) {
				t.Fatalf("%q: the line %s", text, line)
			}
		}
	}
}

func poison(p *plan.Plan, text string) {
	p.Title, p.Playbook = text, text
	for i := range p.Exprs {
		p.Exprs[i].Text = text
	}
	for i := range p.Triggers.Alerts {
		p.Triggers.Alerts[i].From = []string{text}
	}
	for i := range p.Phases {
		poisonSteps(p.Phases[i].Steps, text)
	}
}

func poisonSteps(steps []plan.Step, text string) {
	for i := range steps {
		s := &steps[i]
		s.Title, s.ID = text, text
		if s.Accept != nil {
			s.Accept.Irreversible = text
		}
		if s.Choose != nil {
			for j := range s.Choose.Cases {
				s.Choose.Cases[j].Keys = []string{text}
			}
		}
		if s.Fork != nil {
			for j := range s.Fork.Branches {
				s.Fork.Branches[j].Name = text
			}
		}
		for _, in := range s.Inside() {
			poisonSteps(in, text)
		}
	}
}
