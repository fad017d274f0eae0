package playtest_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/quell-soar/quell/workflows/playtest"
)

// TestLimit plays loops over lists that are as long as a limit allows, and longer.
func TestLimit(t *testing.T) {
	files, err := filepath.Glob("testdata/limit/*.test.yaml")
	if err != nil || len(files) != 5 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		s, err := playtest.Run(t.Context(), file, playtest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := s.Text(&b); err != nil {
			t.Fatal(err)
		}
		if !s.OK() {
			t.Errorf("%s", b.String())
		}
	}
}
