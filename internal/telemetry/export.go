package telemetry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Export says where spans go: to an OTLP receiver over HTTP with protobuf bodies
// (OpenTelemetry Protocol 1.x, section OTLP/HTTP).
type Export struct {
	// Endpoint is the URL that spans are posted to, such as
	// https://collector.example:4318/v1/traces.
	Endpoint string
	// Headers may hold secrets; they are never printed.
	Headers map[string]string
	// Dial opens the connection; internal/egress's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds one delivery; 0 means 10 s.
	Timeout time.Duration
}

// NewExporter makes an exporter. It opens no connection before the first span, so
// that a receiver which is away keeps nothing from starting. Environment variables
// of OpenTelemetry do not reach the transport: proxy and dialer are ours.
func NewExporter(ctx context.Context, e Export) (sdktrace.SpanExporter, error) {
	u, err := url.Parse(e.Endpoint)
	if err != nil || u.Host == "" {
		return nil, errNoEndpoint
	}
	if e.Timeout <= 0 {
		e.Timeout = 10 * time.Second
	}
	client := &http.Client{
		Timeout:   e.Timeout,
		Transport: &http.Transport{DialContext: e.Dial, ForceAttemptHTTP2: true, MaxIdleConns: 2, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: e.Timeout},
		// A redirect would take the headers along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	out, err := otlptrace.New(ctx, otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(e.Endpoint), otlptracehttp.WithHeaders(e.Headers),
		otlptracehttp.WithHTTPClient(client), otlptracehttp.WithTimeout(e.Timeout),
	))
	if err != nil {
		return nil, fmt.Errorf("telemetry.traces: %w", err)
	}
	return out, nil
}

// failAgain is how often a receiver that is away is told of.
const failAgain = time.Minute

// told is an exporter that counts what it sent and what was lost.
type told struct {
	sdktrace.SpanExporter
	metrics *Metrics
	warn    func(error)

	mu   sync.Mutex
	last time.Time
}

// Told makes an exporter count its spans in m; warn hears of a receiver that does
// not take them, once a minute. Nothing waits for it: what it does not take is lost.
func Told(to sdktrace.SpanExporter, m *Metrics, warn func(error)) sdktrace.SpanExporter {
	return &told{SpanExporter: to, metrics: m, warn: warn}
}

// ExportSpans implements sdktrace.SpanExporter. It never fails: OpenTelemetry would
// print its error past our log.
func (t *told) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := t.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		t.metrics.Spans("sent", len(spans))
		return nil
	}
	t.metrics.Spans("lost", len(spans))
	t.mu.Lock()
	again := time.Since(t.last) >= failAgain
	if again {
		t.last = time.Now()
	}
	t.mu.Unlock()
	if again {
		t.warn(err)
	}
	return nil
}

// service names who sends, without what a host's environment would add.
func service(version string) *resource.Resource {
	return resource.NewSchemaless(attribute.String("service.name", "quell"), attribute.String("service.version", version))
}
