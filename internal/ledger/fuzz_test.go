package ledger

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzVerify: whatever an export says, verifying and reading it ends without a crash,
// and what verifies against the key and a checkpoint from elsewhere has the rows that
// were signed.
func FuzzVerify(f *testing.F) {
	read := func(name string) string { return golden(f, name) }
	public, outside := strings.TrimSpace(read("v1.pub")), read("v1.checkpoint")
	signed := rowsOf([]byte(read("v1.jsonl")))
	for _, name := range []string{"v1.jsonl", "pruned.jsonl"} {
		whole := read(name)
		f.Add([]byte(whole))
		lines := strings.SplitAfter(whole, "\n")
		f.Add([]byte(strings.Join(lines[:3], "")))
		f.Add([]byte(strings.Join(append(lines[1:3:3], lines...), "")))
	}
	f.Add([]byte(`{"type":"header","base":{"rows":4611686018427387904,"hash":"","tree":[""]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = ReadExport(bytes.NewReader(raw), Filter{})
		rep, err := VerifyExport(bytes.NewReader(raw), Trust{Public: public, Outside: outside})
		if err != nil || !rep.OK || rep.Pruned > 0 {
			return
		}
		got := rowsOf(raw)
		for i := range rep.Covered {
			if i >= int64(len(got)) || i < int64(len(signed)) && got[i] != signed[i] {
				t.Fatalf("row %d verifies and is not the one that was signed", i+1)
			}
		}
	})
}

// rowsOf are the rows of an export, as they stand.
func rowsOf(raw []byte) (rows []string) {
	for s := range bytes.Lines(raw) {
		var l line
		if json.Unmarshal(s, &l) == nil && l.Type == "row" {
			rows = append(rows, string(l.Row))
		}
	}
	return rows
}
