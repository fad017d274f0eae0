package telemetry

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/metadata"
)

const aRun = "contain-infected-host/3fa9c0/2"

// TestIDs holds the ids: they stand in receivers of traces and in docs.
func TestIDs(t *testing.T) {
	if got := TraceOf(aRun).String(); got != "703d5cec5616e49d302503b46d2a762c" {
		t.Errorf("the trace of %s is %s", aRun, got)
	}
	if SpanOf(aRun, Alert) == SpanOf(aRun, Run) || TraceOf(aRun) == TraceOf(aRun+"0") {
		t.Error("two things have one id")
	}
}

// TestChain makes the spans of a run in an order that a restart could give, and finds
// one tree.
func TestChain(t *testing.T) {
	out := tracetest.NewInMemoryExporter()
	tr := NewTracer(out, "dev")
	ctx, act := tr.Begin(tr.Under(t.Context(), aRun), "quell.act", false, Attr{"run", aRun})
	ctx, call := tr.Begin(ctx, "call edr.isolate_host", true)
	sent := metadata.ValueFromIncomingContext(metadata.NewIncomingContext(ctx, outgoing(tr.Carry(ctx))), "traceparent")
	tr.Inside(ctx, "connector edr.isolate_host", time.Now().Add(-time.Second), time.Hour) // it lies about its time
	call.End("uncertain")
	act.End("")
	now := time.Now()
	tr.Tell(Whole{Run: aRun, Part: Run, Below: Dispatch, Start: now.Add(-time.Minute), End: now, Failed: "the run failed", Attrs: []Attr{{"note", strings.Repeat("x", 5000)}}})
	tr.Tell(Whole{Run: aRun, Part: Dispatch, Below: Alert, Start: now, End: now})
	tr.Tell(Whole{Run: aRun, Part: Alert, Start: now, End: now})
	spans := flushed(t, tr, out)
	by := map[string]tracetest.SpanStub{}
	for _, s := range spans {
		by[s.Name] = s
		if s.SpanContext.TraceID() != TraceOf(aRun) {
			t.Errorf("%s is of another trace", s.Name)
		}
	}
	for child, parent := range map[string]string{"dispatch": "alert", "run": "dispatch", "quell.act": "run", "call edr.isolate_host": "quell.act", "connector edr.isolate_host": "call edr.isolate_host"} {
		if by[child].Parent.SpanID() != by[parent].SpanContext.SpanID() {
			t.Errorf("%s lies under %s, not under %s", child, by[child].Parent.SpanID(), parent)
		}
	}
	if by["alert"].Parent.IsValid() || by["alert"].SpanContext.SpanID() != SpanOf(aRun, Alert) {
		t.Errorf("the alert is no root: %+v", by["alert"].Parent)
	}
	if c := by["connector edr.isolate_host"]; c.EndTime.Sub(c.StartTime) > 2*time.Second {
		t.Errorf("a connector's word is believed: %s", c.EndTime.Sub(c.StartTime))
	}
	if want := "00-" + TraceOf(aRun).String() + "-" + by["call edr.isolate_host"].SpanContext.SpanID().String() + "-01"; len(sent) != 1 || sent[0] != want {
		t.Errorf("sent %v, want %s", sent, want)
	}
	for _, a := range by["run"].Attributes {
		if len(a.Value.AsString()) > 256 {
			t.Errorf("%s has %d bytes", a.Key, len(a.Value.AsString()))
		}
	}
}

func outgoing(ctx context.Context) metadata.MD {
	md, _ := metadata.FromOutgoingContext(ctx)
	return md
}

func flushed(t *testing.T, tr *Tracer, out *tracetest.InMemoryExporter) tracetest.SpanStubs {
	t.Helper()
	if err := tr.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.GetSpans()
}

// TestOff: without a tracer nothing is made and nothing is allocated, and without a
// run there is no span.
func TestOff(t *testing.T) {
	var off *Tracer
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		under := off.Under(ctx, aRun)
		under, span := off.Begin(under, "quell.act", false)
		under = off.Carry(under)
		off.Inside(under, "x", time.Time{}, 0)
		off.Tell(Whole{Run: aRun, Part: Run})
		span.End("")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if off.On() || off.Close(ctx) != nil {
		t.Error("no tracer is one")
	}
	out := tracetest.NewInMemoryExporter()
	tr := NewTracer(out, "dev")
	got, span := tr.Begin(tr.Under(ctx, ""), "quell.fire", false)
	span.End("")
	if got != ctx || len(flushed(t, tr, out)) != 0 {
		t.Error("a span without a run was made")
	}
}

// away is a receiver that takes nothing.
type away struct{ sdktrace.SpanExporter }

func (away) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	return errors.New("connection refused")
}
func (away) Shutdown(context.Context) error { return nil }

// TestReceiverAway counts what is lost, warns once, and fails nothing.
func TestReceiverAway(t *testing.T) {
	m, warned := NewMetrics("dev", Known{}), 0
	tr := NewTracer(Told(away{}, m, func(error) { warned++ }), "dev")
	for range 3 {
		tr.Tell(Whole{Run: aRun, Part: Alert, Start: time.Now(), End: time.Now()})
		if err := tr.provider.ForceFlush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if warned != 1 {
		t.Errorf("warned %d times", warned)
	}
	families, err := m.Gather().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "quell_trace_spans_total" {
			if s := f.GetMetric()[0]; s.GetLabel()[0].GetValue() != "lost" || s.GetCounter().GetValue() != 3 {
				t.Errorf("%v", s)
			}
			return
		}
	}
	t.Error("lost spans are not counted")
}

// TestExporterNeedsAnEndpoint refuses what is no URL.
func TestExporterNeedsAnEndpoint(t *testing.T) {
	for _, endpoint := range []string{"", "collector:4318", "://x"} {
		if _, err := NewExporter(t.Context(), Export{Endpoint: endpoint}); err == nil {
			t.Errorf("%q was taken", endpoint)
		}
	}
}
