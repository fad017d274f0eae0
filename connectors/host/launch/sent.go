package launch

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"
)

type sentKey struct{}

// Sent tells whether a call's request was handed to the connection.
type Sent struct{ yes atomic.Bool }

// Yes reports that the request may have left. While it is false, the connector
// has seen nothing of it.
func (s *Sent) Yes() bool { return s.yes.Load() }

// WatchSent returns a context for one call and what will tell whether that
// call's request left. It matters when the call fails: an effect that was never
// sent did not happen.
func WatchSent(ctx context.Context) (context.Context, *Sent) {
	s := &Sent{}
	return context.WithValue(ctx, sentKey{}, s), s
}

// sentHandler marks a call as sent when gRPC has handed its message to the
// connection. The call itself returns only after that.
type sentHandler struct{}

var _ stats.Handler = sentHandler{}

// TagRPC does nothing.
func (sentHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC looks for the outgoing message.
func (sentHandler) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutPayload); !ok {
		return
	}
	if sent, ok := ctx.Value(sentKey{}).(*Sent); ok {
		sent.yes.Store(true)
	}
}

// TagConn does nothing.
func (sentHandler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn does nothing.
func (sentHandler) HandleConn(context.Context, stats.ConnStats) {}
