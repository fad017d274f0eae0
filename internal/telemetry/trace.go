package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
)

// Tracer makes the spans of runs. A nil Tracer makes none and costs nothing; that
// is what an installation without telemetry.traces has. The other methods of a
// Tracer are safe for concurrent use and never wait for the network.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// NewTracer sends spans through an exporter, in batches. Where the exporter falls
// behind, spans are dropped; nothing waits for them.
func NewTracer(to sdktrace.SpanExporter, version string) *Tracer {
	p := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(to, sdktrace.WithBatchTimeout(time.Second), sdktrace.WithMaxQueueSize(8192)),
		sdktrace.WithIDGenerator(ids{}), sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithResource(service(version)), sdktrace.WithRawSpanLimits(limits()),
	)
	return &Tracer{provider: p, tracer: p.Tracer("github.com/quell-soar/quell")}
}

// limits bound a span whatever a name in it grows to.
func limits() sdktrace.SpanLimits {
	l := sdktrace.NewSpanLimits()
	l.AttributeValueLengthLimit, l.AttributeCountLimit, l.EventCountLimit, l.LinkCountLimit = 256, 32, 8, 8
	return l
}

// Close sends what waits, until ctx ends, and makes no spans any more.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// On tells whether spans are made, for who would compute attributes for nothing.
func (t *Tracer) On() bool { return t != nil }

// Attr is one attribute of a span: a name, and an id or a name of ours. Never an
// input, a result, a target, a text of an error or a secret.
type Attr struct{ Key, Value string }

func attrs(list []Attr) []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, len(list))
	for _, a := range list {
		if a.Value != "" {
			out = append(out, attribute.String("quell."+a.Key, a.Value))
		}
	}
	return out
}

// Whole is a span that is told of when it is over.
type Whole struct {
	Run  string
	Part Part
	// Below is the part that it lies under, empty where it begins the trace.
	Below Part
	// Links names a run whose Run part it points to, or "".
	Links      string
	Start, End time.Time
	// Failed says, in a word of ours, what went wrong, or is empty.
	Failed string
	Attrs  []Attr
}

// Tell makes one of a run's main spans. Telling it twice makes two spans of one
// id, which a receiver takes for one.
func (t *Tracer) Tell(w Whole) {
	if t == nil {
		return
	}
	ctx := context.WithValue(context.Background(), wanted{}, at(w.Run, w.Part))
	if w.Below != "" {
		ctx = trace.ContextWithRemoteSpanContext(ctx, at(w.Run, w.Below))
	}
	o := []trace.SpanStartOption{
		trace.WithTimestamp(w.Start), trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(attrs(append([]Attr{{"run", w.Run}}, w.Attrs...))...),
	}
	if w.Links != "" {
		o = append(o, trace.WithLinks(trace.Link{SpanContext: at(w.Links, Run)}))
	}
	_, s := t.tracer.Start(ctx, string(w.Part), o...)
	if w.Failed != "" {
		s.SetStatus(codes.Error, w.Failed)
	}
	s.End(trace.WithTimestamp(w.End))
}

// Under makes ctx lie below a run, for spans of its activities.
func (t *Tracer) Under(ctx context.Context, run string) context.Context {
	if t == nil || run == "" {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, at(run, Run))
}

// Span is one that is under way. The zero Span is none, and ends as one.
type Span struct{ s trace.Span }

// Begin starts a span below the one of ctx; outgoing says that it is a call to
// another process. Where ctx lies below nothing, there is none: a span without a
// run helps nobody.
func (t *Tracer) Begin(ctx context.Context, name string, outgoing bool, list ...Attr) (context.Context, Span) {
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, Span{}
	}
	kind := trace.SpanKindInternal
	if outgoing {
		kind = trace.SpanKindClient
	}
	ctx, s := t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attrs(list)...))
	return ctx, Span{s}
}

// End ends the span; failed says, in a word of ours, what went wrong.
func (s Span) End(failed string, list ...Attr) {
	if s.s == nil {
		return
	}
	s.s.SetAttributes(attrs(list)...)
	if failed != "" {
		s.s.SetStatus(codes.Error, failed)
	}
	s.s.End()
}

// Inside adds, below the span of ctx, what another process said that it took. It
// is believed only as far as it lies within the time since began.
func (t *Tracer) Inside(ctx context.Context, name string, began time.Time, took time.Duration, list ...Attr) {
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return
	}
	now := time.Now()
	took = max(0, min(took, now.Sub(began)))
	_, s := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(now.Add(-took)), trace.WithAttributes(attrs(list)...))
	s.End(trace.WithTimestamp(now))
}

// Carry puts the place of ctx's span into the metadata of gRPC calls made with
// the context that it returns, as the W3C's traceparent.
func (t *Tracer) Carry(ctx context.Context) context.Context {
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	var c carrier
	propagation.TraceContext{}.Inject(ctx, &c)
	return metadata.AppendToOutgoingContext(ctx, traceParent, c.parent)
}

const traceParent = "traceparent"

// carrier takes the one field that is sent; tracestate has nothing of ours.
type carrier struct{ parent string }

func (c *carrier) Get(string) string { return c.parent }
func (c *carrier) Keys() []string    { return []string{traceParent} }
func (c *carrier) Set(key, value string) {
	if key == traceParent {
		c.parent = value
	}
}

// errNoEndpoint says that there is nowhere to send spans.
var errNoEndpoint = errors.New("telemetry.traces.endpoint is empty")
