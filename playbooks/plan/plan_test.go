package plan_test

import (
	"bytes"
	"testing"

	"github.com/quell-soar/quell/playbooks/plan"
)

// FuzzPlanDecode holds that any bytes are refused or read, and that what was
// read keeps its bytes and its digest from then on.
func FuzzPlanDecode(f *testing.F) {
	// Small seeds: the fuzzer spends its time on shrinking large ones.
	for _, raw := range []string{
		`{"format":1,"language":1,"playbook":"a","title":"a","triggers":{},"phases":[]}`,
		`{"format":1,"phases":[{"name":"triage","steps":[{"kind":"uses","path":"triage.0","line":1,"on_error":"ask","uses":{"name":"a.b","with":[{"name":"x","value":{"expr":0,"type":{"kind":"list","elem":{"kind":"hash"}}}}]}}]}],"exprs":[{"text":"now","type":{"kind":""},"line":1,"column":2}]}`,
		`{"format":1,"inputs":[{"name":"h","type":{"kind":"choice","of":["a"]},"default":{"literal":"a","type":{"kind":"string"}}}],"limits":[{"action":"a.b","targets":1}],"results":[{"id":"x","type":{"kind":"record"}}]}`,
		`{"format":1} `, `{"format":1,"phases":[{"steps":[{"switch":{"on":1,"cases":[{"keys":["a"],"steps":[]}]}}]}]}`,
	} {
		f.Add([]byte(raw))
	}
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
