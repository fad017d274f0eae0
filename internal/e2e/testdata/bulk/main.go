// Bulk is a connector whose reads give out as much as they are asked for.
package main

import (
	"context"
	"fmt"
	"io"
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
	dump := []kind.Field{{Name: "content", Type: kind.Of(kind.Artifact)}}
	return spec.Manifest{
		Name: "bulk", Version: "1.0.0", Title: "Bulk", Doc: "It gives out texts.",
		Actions: []spec.Action{
			{Name: "bulk.quick_read", Title: "Read at once", Inputs: in, Outputs: out, Class: spec.Read, Quick: true, Deadline: time.Second},
			{Name: "bulk.slow_read", Title: "Read much", Inputs: in, Outputs: out, Class: spec.Read, Deadline: 30 * time.Second},
			{Name: "bulk.dump", Title: "Take a dump", Inputs: in, Outputs: dump, Class: spec.Read, Deadline: 30 * time.Second},
		},
	}
}

func (bulk) Open(context.Context, sdk.Config) (sdk.Session, error) { return bulk{}, nil }

func (bulk) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	text, _ := r.Inputs["size"].(string)
	n, err := strconv.Atoi(text)
	if err != nil {
		return spec.Reply{}, fmt.Errorf("size: %w", err)
	}
	if r.Action == "bulk.dump" {
		ref, err := sdk.Keep(ctx, io.LimitReader(zeros{}, int64(n)))
		return spec.Reply{Outcome: spec.Done, Output: map[string]any{"content": ref}}, err
	}
	line := strings.Repeat("x", 1021) // with its quotes and comma, 1 KiB
	lines := make([]any, n>>10)
	for i := range lines {
		lines[i] = line
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"lines": lines}}, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func (bulk) Check(context.Context) []sdk.Finding { return nil }

func (bulk) Close() error { return nil }

func main() { sdk.Serve(bulk{}) }
