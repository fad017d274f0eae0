package plan_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/quell-soar/quell/playbooks/plan"
)

// FuzzPlanDecode holds that any bytes are refused or read, and that what was
// read keeps its bytes and its digest from then on.
func FuzzPlanDecode(f *testing.F) {
	files, err := filepath.Glob("../compile/testdata/plans/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"format":1,"phases":[]} `))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := plan.Decode(raw)
		if err != nil {
			return
		}
		first, err := p.Encode()
		if err != nil {
			t.Skip("a literal that is no JSON")
		}
		q, err := plan.Decode(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := q.Encode()
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s\n%s\n%v", first, second, err)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	for _, raw := range []string{``, `{}`, `{"format":2}`, `{"format":1,"x":1}`, `{"format":1} {}`, `[]`, `{"format":1}x`} {
		if _, err := plan.Decode([]byte(raw)); err == nil {
			t.Errorf("%q was read", raw)
		}
	}
}
