package telemetry

import (
	"testing"
	"time"
)

// BenchmarkCall is what counting one call costs.
func BenchmarkCall(b *testing.B) {
	known := func(n string) bool { return n == "edr" || n == "edr.isolate_host" }
	m := NewMetrics("dev", Known{Source: known, Playbook: known, Connector: known, Action: known})
	b.ReportAllocs()
	for b.Loop() {
		m.Call("edr", "edr.isolate_host", "act", "ok", time.Millisecond)
	}
}
