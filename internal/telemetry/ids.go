package telemetry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"

	"go.opentelemetry.io/otel/trace"
)

// Part is one of the main spans of a run, whose id is known to whoever knows the
// run's.
type Part string

// The parts.
const (
	Alert    Part = "alert"
	Dispatch Part = "dispatch"
	Run      Part = "run"
)

// TraceOf is the id of a run's trace: the first 16 bytes of a hash of its id.
func TraceOf(run string) trace.TraceID {
	return trace.TraceID(digest("quell.trace", run)[:16])
}

// SpanOf is the id of one of a run's main spans.
func SpanOf(run string, p Part) trace.SpanID {
	return trace.SpanID(digest("quell.span."+string(p), run)[:8])
}

func digest(what, run string) []byte {
	sum := sha256.Sum256([]byte(what + "\x00" + run))
	return sum[:]
}

// at is the place of a part in its run's trace, for spans below it.
func at(run string, p Part) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: TraceOf(run), SpanID: SpanOf(run, p), TraceFlags: trace.FlagsSampled, Remote: true,
	})
}

// wanted carries the ids that the next span shall have.
type wanted struct{}

// ids gives spans the ids that their context wants, and others fresh ones.
type ids struct{}

// NewIDs implements sdktrace.IDGenerator, for a span that begins a trace.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if sc, ok := ctx.Value(wanted{}).(trace.SpanContext); ok {
		return sc.TraceID(), sc.SpanID()
	}
	var t trace.TraceID
	_, _ = rand.Read(t[:]) // crypto/rand.Read never fails
	return t, freshSpan()
}

// NewSpanID implements sdktrace.IDGenerator, for a span below another.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if sc, ok := ctx.Value(wanted{}).(trace.SpanContext); ok {
		return sc.SpanID()
	}
	return freshSpan()
}

func freshSpan() (s trace.SpanID) {
	_, _ = rand.Read(s[:])
	return s
}
