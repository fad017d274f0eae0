package sdk

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/quell-soar/quell/connectors/proto"
)

// timed tells a host that traces how long this process worked on a call. The
// process has no exporter of its own: it opens connections to its vendor only.
func timed(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if len(metadata.ValueFromIncomingContext(ctx, proto.TraceParent)) == 0 {
		return handle(ctx, req)
	}
	began := time.Now()
	reply, err := handle(ctx, req)
	_ = grpc.SetTrailer(ctx, proto.Took(time.Since(began))) // it fails only outside a call
	return reply, err
}

// timedStream is timed for calls whose contents come in pieces.
func timedStream(srv any, to grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if len(metadata.ValueFromIncomingContext(to.Context(), proto.TraceParent)) == 0 {
		return handle(srv, to)
	}
	began := time.Now()
	err := handle(srv, to)
	to.SetTrailer(proto.Took(time.Since(began)))
	return err
}
