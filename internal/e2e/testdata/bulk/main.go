// Bulk is a connector whose reads give out as much as they are asked for.
package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

type bulk struct{}

func (bulk) Manifest() spec.Manifest {
	in := []kind.Field{{Name: "size", Type: kind.Of(kind.String)}}
	out := []kind.Field{{Name: "lines", Type: kind.ListOf(kind.Of(kind.String))}}
	return spec.Manifest{
		Name: "bulk", Version: "1.0.0", Title: "Bulk", Doc: "It gives out texts.",
		Actions: []spec.Action{
			{Name: "bulk.quick_read", Title: "Read at once", Inputs: in, Outputs: out, Class: spec.Read, Quick: true, Deadline: time.Second},
			{Name: "bulk.slow_read", Title: "Read much", Inputs: in, Outputs: out, Class: spec.Read, Deadline: 30 * time.Second},
		},
	}
}

func (bulk) Open(context.Context, sdk.Config) (sdk.Session, error) { return bulk{}, nil }

func (bulk) Call(_ context.Context, r spec.Request) (spec.Reply, error) {
	text, _ := r.Inputs["size"].(string)
	n, err := strconv.Atoi(text)
	if err != nil {
		return spec.Reply{}, fmt.Errorf("size: %w", err)
	}
	line := strings.Repeat("x", 1021) // with its quotes and comma, 1 KiB
	lines := make([]any, n>>10)
	for i := range lines {
		lines[i] = line
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"lines": lines}}, nil
}

func (bulk) Check(context.Context) []sdk.Finding { return nil }

func (bulk) Close() error { return nil }

func main() { sdk.Serve(bulk{}) }
