package diag_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

func at(f *source.File, code string, from, to int) diag.Diagnostic {
	return diag.Diagnostic{Code: code, Severity: diag.Error, Message: "m", File: f, Span: f.Span(from, to)}
}

func TestSorted(t *testing.T) {
	f := source.NewFile("p.yaml", bytes.Repeat([]byte("x\n"), 300))
	l := diag.List{at(f, "b", 4, 5), at(f, "a", 4, 5), at(f, "b", 4, 5), at(f, "c", 0, 1)}
	var got string
	for _, d := range l.Sorted() {
		got += d.Code
	}
	if got != "cab" {
		t.Errorf("order %s", got)
	}
	for i := range 150 {
		l = append(l, at(f, "many", 2*i+10, 2*i+11))
	}
	s := l.Sorted()
	if len(s) != diag.MaxShown+1 || s[diag.MaxShown].Message != "53 more diagnostics are not shown" || !s.HasErrors() {
		t.Errorf("%d, %v", len(s), s[len(s)-1])
	}
}

func TestRender(t *testing.T) {
	f := source.NewFile("p.yaml", []byte("a: 1\na: 2\n"))
	d := at(f, "duplicate-key", 5, 6)
	d.Help = "keep one\nof the two"
	d.Related = []diag.Related{{Span: f.Span(0, 1), Message: "first"}}
	var b bytes.Buffer
	if err := diag.Render(&b, diag.List{d}); err != nil {
		t.Fatal(err)
	}
	want := "p.yaml:2:1: error: m [duplicate-key]\n  2 | a: 2\n    | ^\n  p.yaml:1:1: first\n  help: keep one\n        of the two\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	b.Reset()
	if err := diag.JSON(&b, diag.List{d}); err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || fmt.Sprint(out[0]["line"], out[0]["column"], out[0]["end_column"], out[0]["file"]) != "2 1 2p.yaml" {
		t.Errorf("%v %v", out, err)
	}
}

// TestRenderClean holds that a playbook cannot speak to the terminal of who
// checks it.
func TestRenderClean(t *testing.T) {
	f := source.NewFile("a\x1b[31m.yaml", []byte("a: \"\u202e\"\n"))
	d := at(f, "c", 3, 5)
	d.Message, d.Help = "found \x1b]0;x\a", "one\ntwo\u2028"
	d.Related = []diag.Related{{Span: f.Span(0, 1), Message: "\u202ex"}}
	var b bytes.Buffer
	if err := diag.Render(&b, diag.List{d}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\a\u202e\u2028") || !strings.Contains(b.String(), "one\n        two·\n") {
		t.Errorf("%q", b.String())
	}
}

func TestNear(t *testing.T) {
	known := []string{"edr.find_host", "edr.isolate_host", "on_error", "b"}
	for in, want := range map[string]string{
		"edr.find_hots": "edr.find_host", "onerror": "on_error", "nothing": "", "x": "",
		"edr.isolate": "edr.isolate_host", "edr.": "", "ON_ERROR": "on_error", "a": "", "": "",
	} {
		if got := diag.Near(in, known); got != want {
			t.Errorf("Near(%s) = %q, want %q", in, got, want)
		}
	}
}
