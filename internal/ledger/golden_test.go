package ledger

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func golden(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestFirstForm verifies an export of the first form. Its files are never made
// anew: what verified once verifies in every later build.
func TestFirstForm(t *testing.T) {
	trust := Trust{Public: strings.TrimSpace(golden(t, "v1.pub")), Outside: golden(t, "v1.checkpoint")}
	rep, err := VerifyExport(strings.NewReader(golden(t, "v1.jsonl")), trust)
	if err != nil || !rep.OK || rep.Rows != 6 || rep.Covered != 5 || rep.Erased != 1 {
		t.Fatalf("%+v, %v", rep, err)
	}
}

// TestPrunedForm verifies an export of a store that rows left, of the first form that
// there was of it. Its files are never made anew either.
func TestPrunedForm(t *testing.T) {
	trust := Trust{Public: strings.TrimSpace(golden(t, "pruned.pub"))}
	rep, err := VerifyExport(strings.NewReader(golden(t, "pruned.jsonl")), trust)
	if err != nil || !rep.OK || rep.Pruned != 14 || rep.Rows != 22 || rep.Covered != 22 {
		t.Fatalf("%+v, %v", rep, err)
	}
}

// TestDocumented runs the program of docs/ledger.md, which shares no code with
// this package, over the same export, and over one with a changed row.
func TestDocumented(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("NOT TESTED: the program in docs/ledger.md, because this machine has no python3")
	}
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "ledger.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(doc), "```python\n")
	program, _, ended := strings.Cut(after, "```")
	if !found || !ended {
		t.Fatal("docs/ledger.md has no python block")
	}
	run := func(export string) (string, error) {
		file := filepath.Join(t.TempDir(), "export.jsonl")
		if err := os.WriteFile(file, []byte(export), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), python, "-c", program, file)
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
	whole := golden(t, "v1.jsonl")
	if out, err := run(whole); err != nil || !strings.Contains(out, "6 rows, those after 0 here, chain whole, 5 under a matching checkpoint") {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(whole, "\n")
	lines[3], lines[4] = lines[4], lines[3]
	if out, err := run(strings.Join(lines, "\n")); err == nil {
		t.Fatalf("swapped rows: %s", out)
	}
	l := open(t)
	fill(t, l, 20)
	sign(t, l)
	prune(t, l, pruning7(t, l, 100), 7)
	prune(t, l, pruning7(t, l, 100), 7)
	sign(t, l)
	left := export(t, l)
	if out, err := run(strings.Join(left, "\n")); err != nil || !strings.Contains(out, "22 rows, those after 14 here, chain whole, 22 under a matching checkpoint") {
		t.Fatalf("where rows left: %v\n%s", err, out)
	}
	if out, err := run(strings.Join(slices.Delete(left, 8, 9), "\n")); err == nil { // the entry that tells of it, in the tail
		t.Fatalf("without the entry: %s", out)
	}
}
