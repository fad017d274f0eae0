package playtest_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/quell-soar/quell/workflows/playtest"
)

// TestExamples holds the tests of the example playbooks: they pass, and take every
// way. QUELL_SOAK=1 adds mutants and the sweep.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.test.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	soak := os.Getenv("QUELL_SOAK") != ""
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			s, err := playtest.Run(context.Background(), f, playtest.Options{Cover: true, Mutate: soak, Sweep: soak})
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
