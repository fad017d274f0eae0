package compile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/compile/corpus"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// TestCall holds that a call locks the child's plan: its digest, its bytes, what
// it may act on; and that another child makes another plan.
func TestCall(t *testing.T) {
	text := "quell: 1\nplaybook: t\ncontain: [{ id: c, call: contain-host, with: { hostname: web1 } }]\nrecover: [{ undo: c }]\n"
	compiled := func(p compile.Playbooks) *plan.Plan {
		o := options()
		o.Playbooks = p
		got, list := compile.Compile(source.NewFile("t.yaml", []byte(text)), o)
		if got == nil {
			t.Fatal(list)
		}
		return got
	}
	p := compiled(corpus.Playbooks{})
	call := p.Phases[0].Steps[0].Child
	if diff := cmp.Diff([]plan.Limit{{Action: "edr.isolate_host", Targets: 1}}, call.Limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	child, err := p.ChildPlan(call.Digest)
	if err != nil || child.Playbook != "contain-host" {
		t.Fatalf("child %v, %v", child, err)
	}
	alone, _ := compile.Compile(mustFile(t, "contain-host"), options())
	if d, err := alone.Digest(); err != nil || d != call.Digest {
		t.Errorf("called it has the digest %s, alone %s (%v)", call.Digest, d, err)
	}
	if diff := cmp.Diff([]plan.Result{{ID: "c", Type: alone.Outputs[0].Value.Type}}, p.Results, cmp.FilterPath(
		func(p cmp.Path) bool { return p.Last().String() == ".Type" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	p.Children[0].Plan = []byte(strings.Replace(string(p.Children[0].Plan), "contain-host", "contain-hast", 1))
	if _, err := p.ChildPlan(call.Digest); err == nil {
		t.Error("a child with other bytes was taken")
	}
	other := compile.NewFiles(source.NewFile("x", []byte(strings.Replace(string(mustFile(t, "contain-host").Bytes), "4h", "5h", 1))))
	if q := compiled(other); q.Phases[0].Steps[0].Child.Digest == call.Digest {
		t.Error("another child has the same digest")
	}
}

func mustFile(t *testing.T, name string) *source.File {
	t.Helper()
	f, ok := (corpus.Playbooks{}).Playbook(name)
	if !ok {
		t.Fatalf("no playbook %s", name)
	}
	return f
}

// TestFiles holds how playbooks are found by their names.
func TestFiles(t *testing.T) {
	files := compile.NewFiles(
		source.NewFile("a", []byte("\xef\xbb\xbfquell: 1\r\nplaybook: one # first\r\n")),
		source.NewFile("b", []byte("quell: 1\nplaybook: \"two\"\n")),
		source.NewFile("c", []byte("quell: 1\nplaybook: one\n")),
		source.NewFile("d", []byte("quell: 1\n  playbook: three\n")),
		source.NewFile("e", []byte("x")),
	)
	if diff := cmp.Diff([]string{"one", "two"}, files.Names()); diff != "" {
		t.Error(diff)
	}
	if f, ok := files.Playbook("one"); !ok || f.Name != "a" {
		t.Errorf("one is %v", f)
	}
}
