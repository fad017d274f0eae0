package host_test

import (
	"context"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/host"
)

// BenchmarkCall is the cost of the way to a connector and back: checks, JSON,
// gRPC with TLS over a unix socket.
func BenchmarkCall(b *testing.B) {
	h, err := host.New(one(nil))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = h.Close(context.Background()) }()
	if err := h.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	in := map[string]any{"text": "a text of some length, as they are"}
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if _, err := h.Call(b.Context(), "m", read("test.echo", in), host.Permit{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("many", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				r := read("test.echo", in)
				r.Deadline = time.Now().Add(time.Minute)
				if _, err := h.Call(b.Context(), "m", r, host.Permit{}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
