package diff_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/examples"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/plan/diff"
	"github.com/quell-soar/quell/playbooks/source"
)

var update = flag.Bool("update", false, "write the golden files")

type actions struct{}

func (actions) Action(name string) (spec.Action, bool) { return vocabulary.Lookup(name) }

func (actions) Names() []string { return nil }

func compiled(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, list := compile.Compile(source.NewFile("p.yaml", []byte(text)), compile.Options{Actions: actions{}})
	if p == nil {
		t.Fatalf("%v\n%s", list, text)
	}
	return p
}

func example(t *testing.T, name string) string {
	t.Helper()
	raw, err := examples.Playbook(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// edits are made on contain-infected-host; what comes of each stands in
// testdata/NAME.txt.
var edits = []struct {
	name string
	// replace are pairs of old and new.
	replace []string
}{
	{"threshold", []string{"criticality.high) >= criticality.high", "criticality.high) >= criticality.critical"}},
	{"approval-dropped", []string{`    approve:
      when: steps.?asset.criticality.orValue(criticality.high) >= criticality.high
      ask: Isolate ${{ inputs.hostname }}?
      from:
        - { who: [oncall.soc], within: 10m }
        - { who: [ir-lead], within: 20m }
      quorum: 1
      denied: stop
      silent: act                       # veto window: legal only for a held, exactly reversible action
`, ""}},
	{"others-asked", []string{"who: [ir-lead], within: 20m", "who: [ir-lead, admin], within: 30m", "silent: act ", "silent: stop "}},
	{"hold", []string{"for: 24h", "for: 4h", "then: ask", "then: release"}},
	{"steps", []string{"  - undo: isolate\n", "", "  - id: pir\n    report: pir", "  - note: said\n    text: over\n  - id: pir\n    report: pir"}},
	{"moved", []string{`  - id: asset
    uses: asset.find_host
    with:
      hostname: ${{ inputs.hostname }}
    on_error: continue                  # so steps.asset may be absent
`, "", "  - id: verdicts", `  - id: asset
    uses: asset.find_host
    with:
      hostname: ${{ inputs.hostname }}
    on_error: continue
  - id: verdicts`}},
	{"reach", []string{"edr.isolate_host: 1", "edr.isolate_host: 1\n  edr.quarantine_file: 5", "files:\n    type: list<path>\n    max: 50", "files:\n    type: list<path>\n    max: 20"}},
	{"trigger", []string{"severity.high && size", "severity.critical && size", "quiet: 4h", "quiet: 30m"}},
	{"comments", []string{"# so steps.asset may be absent", "", "    quorum: 1\n", "    quorum: 1 # one is enough\n"}},
}

func TestDiff(t *testing.T) {
	base := example(t, "contain-infected-host")
	before := compiled(t, base)
	for _, e := range edits {
		t.Run(e.name, func(t *testing.T) {
			text := base
			for i := 0; i < len(e.replace); i += 2 {
				if !strings.Contains(text, e.replace[i]) {
					t.Fatalf("the example has no %q", e.replace[i])
				}
				text = strings.Replace(text, e.replace[i], e.replace[i+1], 1)
			}
			d, err := diff.Of(before, compiled(t, text))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := d.Text(&got); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(got.String()) {
				if len(strings.TrimSuffix(line, "\n")) > 80 {
					t.Errorf("longer than 80 columns: %q", line)
				}
			}
			file := filepath.Join("testdata", e.name+".txt")
			// Digests change with the language; they are not what is tested.
			text = strings.NewReplacer(d.Before[:12], "BEFORE", d.After[:12], "AFTER").Replace(got.String())
			if *update {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if text != string(want) {
				t.Error(cmp.Diff(string(want), text))
			}
		})
	}
}

// TestSame: a version compared with itself changes nothing, and a diff and its
// reverse name the same steps.
func TestSame(t *testing.T) {
	var all []*plan.Plan
	for _, name := range examples.Names() {
		all = append(all, compiled(t, example(t, name)))
	}
	for _, a := range all {
		d, err := diff.Of(a, a)
		if err != nil || !d.Same || len(d.Steps)+len(d.Changes)+len(d.Reach) > 0 {
			t.Errorf("%s: %+v, %v", a.Playbook, d, err)
		}
		for _, b := range all {
			there, err1 := diff.Of(a, b)
			back, err2 := diff.Of(b, a)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if n, m := counted(there), counted(back); n[diff.Added] != m[diff.Removed] || n[diff.Removed] != m[diff.Added] || len(there.Reach) != len(back.Reach) {
				t.Errorf("%s to %s: %v, and back %v", a.Playbook, b.Playbook, n, m)
			}
		}
	}
}

func counted(d *diff.Diff) map[string]int {
	out := map[string]int{}
	for _, s := range d.Steps {
		out[s.What]++
	}
	return out
}
