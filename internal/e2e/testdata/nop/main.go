// Nop is a connector that does nothing: benchmarks measure what Quell adds to
// the hop to a plugin.
package main

import (
	"context"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

type nop struct{}

func (nop) Manifest() spec.Manifest {
	in := []kind.Field{{Name: "name", Type: kind.Of(kind.String)}}
	out := []kind.Field{{Name: "text", Type: kind.Of(kind.String)}}
	return spec.Manifest{
		Name: "nop", Version: "1.0.0", Title: "Nop", Doc: "It does nothing.",
		Actions: []spec.Action{
			{Name: "nop.do_it", Title: "Do nothing", Inputs: in, Outputs: out, Class: spec.Idempotent, ReadBack: spec.Strong, Reversal: spec.Unneeded, Deadline: 5 * time.Second},
			{Name: "nop.read_it", Title: "Read nothing", Inputs: in, Outputs: out, Class: spec.Read, Quick: true, Deadline: time.Second},
		},
	}
}

func (nop) Open(context.Context, sdk.Config) (sdk.Session, error) { return nop{}, nil }

func (nop) Call(_ context.Context, r spec.Request) (spec.Reply, error) {
	if r.Mode == spec.Back {
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"text": "ok"}}, nil
}

func (nop) Check(context.Context) []sdk.Finding { return nil }

func (nop) Close() error { return nil }

func main() { sdk.Serve(nop{}) }
