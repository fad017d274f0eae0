package playtest_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/quell-soar/quell/examples"
	"github.com/quell-soar/quell/workflows/playtest"
)

// TestExamples holds that every example playbook has tests, that they pass and take
// every way, and that they notice mutants and end under failures: of these every
// 50th is tried, with QUELL_SOAK=1 each.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.test.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	if all := examples.Names(); len(files) != len(all) {
		t.Fatalf("%d test files for %d example playbooks", len(files), len(all))
	}
	sample := 50
	if os.Getenv("QUELL_SOAK") != "" {
		sample = 1
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			s, err := playtest.Run(context.Background(), f, playtest.Options{Cover: true, Mutate: true, Sweep: true, Sample: sample})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := s.Text(&b); err != nil {
				t.Fatal(err)
			}
			if t.Log(b.String()); !s.OK() || len(s.Tests) == 0 {
				t.Error("see above")
			}
		})
	}
}
