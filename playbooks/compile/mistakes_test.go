package compile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// marked is a playbook with the places of its mistakes marked by hand: «…»
// around each expected span, and the codes in a first line `# want: code code`,
// in the order of the marks. ⟦n*text⟧ stands for a text n times. Nothing ever
// rewrites the marks.
type marked struct {
	text  string
	wants []string
	codes []string
	// block tells, per mark, whether it lies in a block scalar or is one.
	block []bool
}

var (
	openMark, closeMark = []byte("«"), []byte("»")
	byteOrderMark       = "\ufeff"
	repeated            = regexp.MustCompile(`(?s)⟦(\d+)\*(.*?)⟧`)
)

func readMarked(t testing.TB, name string, raw []byte) marked {
	t.Helper()
	first, _, _ := strings.Cut(strings.NewReplacer(byteOrderMark, "", "«", "", "»", "").Replace(string(raw)), "\n")
	m := marked{codes: strings.Fields(strings.TrimPrefix(first, "# want:"))}
	raw = repeated.ReplaceAllFunc(raw, func(m []byte) []byte {
		n, err := strconv.Atoi(string(repeated.FindSubmatch(m)[1]))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Repeat(repeated.FindSubmatch(m)[2], n)
	})
	var text []byte
	var spans [][2]int
	for i := 0; i < len(raw); i++ { // bytes: a file may be no UTF-8
		switch {
		case bytes.HasPrefix(raw[i:], openMark):
			spans = append(spans, [2]int{len(text), -1})
			i++
		case bytes.HasPrefix(raw[i:], closeMark):
			spans[len(spans)-1][1] = len(text)
			i++
		default:
			text = append(text, raw[i])
		}
	}
	if len(m.codes) != len(spans) || len(spans) == 0 {
		t.Fatalf("%s: %d codes and %d marks", name, len(m.codes), len(spans))
	}
	m.text = string(text)
	f := source.NewFile("", text)
	for i, s := range spans {
		at := f.Span(s[0], s[1])
		m.wants = append(m.wants, fmt.Sprintf("%v-%v %s %q", at.Start, at.End, m.codes[i], f.Text(at)))
		m.block = append(m.block, inBlock(f, at))
	}
	return m
}

var blockStart = regexp.MustCompile(`(^|[:\-]\s+)[|>][-+0-9]*\s*(#.*)?$`)

// inBlock reports whether a span lies in a block scalar, or is one: one of the
// lines above that stand less and less deep begins a block.
func inBlock(f *source.File, at source.Span) bool {
	if s := f.Text(at); strings.HasPrefix(s, "|") || strings.HasPrefix(s, ">") {
		return true
	}
	depth := func(n int) int { // the dash of an item counts as a space
		line := f.Line(n)
		return len(line) - len(strings.TrimLeft(line, "- "))
	}
	around := depth(at.Start.Line)
	for n := at.Start.Line - 1; n > 0; n-- {
		if strings.TrimSpace(f.Line(n)) == "" || depth(n) >= around {
			continue
		}
		if around = depth(n); blockStart.MatchString(f.Line(n)) {
			return true
		}
	}
	return false
}

func mistakes(t testing.TB) map[string]marked {
	t.Helper()
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]marked{}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(name), ".yaml")] = readMarked(t, name, raw)
	}
	return out
}

// TestMistakes compiles one file per mistake and wants exactly the marked
// diagnostics.
func TestMistakes(t *testing.T) {
	wrong := 0
	all := mistakes(t)
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			f := source.NewFile(name+".yaml", []byte(m.text))
			_, list := compile.Compile(f, options(m.codes...))
			var got []string
			for _, d := range list {
				if d.Help == "" {
					t.Errorf("has no cure: %v", d)
				}
				got = append(got, fmt.Sprintf("%v-%v %s %q", d.Span.Start, d.Span.End, d.Code, f.Text(d.Span)))
			}
			if diff := cmp.Diff(m.wants, got); diff != "" {
				wrong++
				t.Errorf("diagnostics (-want +got):\n%s\n%v", diff, list)
			}
		})
	}
	t.Logf("%d files, %d with a wrong position or code", len(all), wrong)
}

// TestMistakesCover counts what the corpus covers: each code twice at least, and
// once in a block scalar where it can occur in one.
func TestMistakesCover(t *testing.T) {
	all := mistakes(t)
	count, block := map[string]int{}, map[string]int{}
	for _, m := range all {
		for i, c := range m.codes {
			count[c]++
			if m.block[i] {
				block[c]++
			}
		}
	}
	var once, unblocked []string
	codes, blocked := 0, 0
	for _, c := range registry(t) {
		if exempt[c.Name] {
			continue
		}
		codes++
		if count[c.Name] < 2 {
			once = append(once, fmt.Sprintf("%s (%d)", c.Name, count[c.Name]))
		}
		switch {
		case block[c.Name] > 0:
			if blocked++; notInBlock[c.Name] != "" {
				t.Errorf("%s stands in a block scalar, and notInBlock says that it cannot", c.Name)
			}
		case notInBlock[c.Name] == "":
			unblocked = append(unblocked, c.Name)
		}
		delete(count, c.Name)
	}
	for c := range count {
		if _, ok := diag.Lookup(c); !ok {
			t.Errorf("a file wants the code %s, which does not exist", c)
		}
	}
	t.Logf("%d files; %d codes, %d of them with fewer than two mistakes; %d with one in a block scalar, %d cannot have one",
		len(all), codes, len(once), blocked, len(notInBlock))
	if len(all) < 180 {
		t.Errorf("%d files, want 180", len(all))
	}
	slices.Sort(once)
	slices.Sort(unblocked)
	if len(once) > 0 {
		t.Errorf("with fewer than two mistakes: %s", strings.Join(once, ", "))
	}
	if len(unblocked) > 0 {
		t.Errorf("without a mistake in a block scalar: %s", strings.Join(unblocked, ", "))
	}
}

// exempt are the codes that no file of the corpus can show.
var exempt = map[string]bool{
	"internal":   true, // no playbook causes it
	"more":       true, // TestSorted of package diag shows it
	"expression": true, // what CEL refuses and has no code: none is known
}

// notInBlock are the codes whose mistake never stands in a block scalar, and
// why.
var notInBlock = func() map[string]string {
	out := map[string]string{}
	for why, codes := range map[string]string{
		"it is about the structure of YAML or about other styles of scalars": "alias anchor bad-escape colon-in-value " +
			"comment-in-expression empty-file empty-value flow-braces merge-conflict merge-key missing-colon missing-comma missing-space " +
			"reserved-character second-document tag text-after-block text-after-bracket text-after-quote too-deep " +
			"unclosed-bracket unclosed-quote yaml",
		"it is about keys, steps or maps, which are no scalars of text": "bad-hold bad-limit bad-wait duplicate-key empty-block " +
			"no-kind no-steps phase-order repeat-needs-do too-many-steps two-kinds two-loops unbounded-loop unknown-action-input " +
			"unknown-key unreachable unreachable-default unused too-many-events",
		"it is about comments, which a block has none of": "bad-silence unused-silence",
	} {
		for c := range strings.FieldsSeq(codes) {
			out[c] = why
		}
	}
	return out
}()
