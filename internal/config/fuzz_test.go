package config

import "testing"

// FuzzParse: whatever the bytes, there is a configuration or an error, never a
// panic, and what was read can be validated.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"data_dir: x\nsources: {a: {kind: generic, secrets: [env:A]}}\n",
		"connectors: {a: {secrets: {k: v}}}",
		"settings: {p: {x: [1, {y: no}]}}\nguards: {freezes: [{from: 2026-01-01T00:00:00Z}]}",
		"a: &a [*a]\n---\nb: 1", "? [a]\n: b", "log: !!binary aGk=",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parse("fuzz.yaml", raw)
		if c == nil {
			if err == nil {
				t.Fatal("neither a configuration nor an error")
			}
			return
		}
		c.complete("/etc/quell")
		_, _ = joined(c, err, c.Validate())
	})
}
