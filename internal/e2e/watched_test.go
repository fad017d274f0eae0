package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/quell-soar/quell/internal/telemetry"
	"github.com/quell-soar/quell/server/api"
)

// receiver is an OTLP receiver over HTTP.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	raw     bytes.Buffer
	spans   []*tracev1.Span
	headers []string
}

func startReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var in io.Reader = req.Body
		if req.Header.Get("Content-Encoding") == "gzip" {
			in, _ = gzip.NewReader(req.Body)
		}
		body, err := io.ReadAll(in)
		var got collector.ExportTraceServiceRequest
		if err != nil || req.URL.Path != "/v1/traces" || proto.Unmarshal(body, &got) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.raw.Write(body)
		r.headers = append(r.headers, req.Header.Get("X-Collector-Key"))
		for _, rs := range got.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				r.spans = append(r.spans, ss.GetSpans()...)
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// all returns what came so far.
func (r *receiver) all() ([]*tracev1.Span, []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans), bytes.Clone(r.raw.Bytes())
}

const collectorKey = "collector-key-0123456789"

// TestWatched contains a host for an alert, and looks at it from outside: the trace
// from the alert to the connector's process is whole, the metrics have counted, and
// every line of the log says which run it is of. None of the three has the host's
// name or a secret.
func TestWatched(t *testing.T) {
	alongside(t)
	l, otlp := startLab(t), startReceiver(t)
	l.hostsOf(2)
	h := newHouse(t, l, fmt.Sprintf("telemetry: {traces: {endpoint: %s/v1/traces, headers: {x-collector-key: \"file:collector.key\"}}}\n", otlp.URL))
	h.write("collector.key", collectorKey+"\n")
	h.write("quell.yaml", strings.Replace(h.config, "format: text", "format: json", 1))
	var err error
	if h.log, err = os.Create(filepath.Join(t.TempDir(), "serve.json")); err != nil {
		t.Fatal(err)
	}
	h.start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.approveAll(ctx)

	const victim = "host-00001"
	began := time.Now()
	for range 2 {
		if _, err := h.alert("det-1", victim); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.client().SendAlert(t.Context(), "nobody-knows-me", "x", []byte("{}"), []byte(sourceKey)); err == nil {
		t.Error("an unknown source was heard")
	}
	ended := h.ended(1, 60*time.Second)
	if len(ended) != 1 || ended[0].Closing != "completed" {
		t.Fatalf("%+v", ended)
	}
	t.Logf("%s from the alert to the end", time.Since(began).Round(time.Millisecond))
	h.scraped(t)
	h.stop() // the last spans leave

	spans, raw := otlp.all()
	wholeTrace(t, ended[0].ID, spans)
	if !slices.Contains(otlp.headers, collectorKey) {
		t.Error("the header of the configuration did not come along")
	}
	text, err := os.ReadFile(h.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	logged(t, ended[0].ID, text)
	for _, secret := range []string{victim, collectorKey, sourceKey, falconSecret, jiraToken} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("a span has %q", secret)
		}
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// wholeTrace checks that the spans of a run are one trace with one root, and that
// the chain from the connector's process to the alert is unbroken.
func wholeTrace(t *testing.T, run string, spans []*tracev1.Span) {
	t.Helper()
	trace := telemetry.TraceOf(run)
	by := map[string]*tracev1.Span{}
	var deepest *tracev1.Span
	for _, s := range spans {
		if string(s.GetTraceId()) != string(trace[:]) {
			t.Errorf("the span %s is of another trace", s.GetName())
		}
		by[string(s.GetSpanId())] = s
		if s.GetName() == "connector edr.isolate_host" && deepest == nil {
			deepest = s
		}
	}
	names := map[string]int{}
	for _, s := range by {
		names[s.GetName()]++
		switch parent := by[string(s.GetParentSpanId())]; {
		case len(s.GetParentSpanId()) == 0 && s.GetName() != "alert":
			t.Errorf("%s has no parent", s.GetName())
		case len(s.GetParentSpanId()) != 0 && parent == nil:
			t.Errorf("the parent of %s is not there", s.GetName())
		}
	}
	if names["alert"] != 1 || names["dispatch"] != 1 || names["run"] != 1 {
		t.Errorf("main spans: %v", names)
	}
	var chain []string
	for s := deepest; s != nil; s = by[string(s.GetParentSpanId())] {
		chain = append(chain, s.GetName())
	}
	if want := []string{"connector edr.isolate_host", "call edr.isolate_host", "quell.act", "run", "dispatch", "alert"}; !slices.Equal(chain, want) {
		t.Errorf("the chain is %v, want %v", chain, want)
	}
	t.Logf("%d spans: %v", len(by), names)
}

// logged checks that every line is JSON, and that each that is about the run, an
// effect of it or a step says so in its fields.
func logged(t *testing.T, run string, text []byte) {
	t.Helper()
	counts := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var f map[string]any
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Errorf("no JSON: %s", lines.Text())
			continue
		}
		if f["level"] == nil || f["time"] == nil || f["message"] == nil {
			t.Errorf("no level, time or message: %s", lines.Text())
		}
		if strings.Contains(lines.Text(), run) && f["run"] != run {
			t.Errorf("it is about the run and does not say so in its field: %s", lines.Text())
		}
		msg, _ := f["message"].(string)
		counts[msg]++
		if (msg == "effect settled" || f["action"] != nil) && (f["step"] == nil || f["run"] == nil) {
			t.Errorf("it is about a step and does not name it: %s", lines.Text())
		}
	}
	for _, want := range []string{"run started", "run ended", "effect settled", "an alert concerns a run", "ready"} {
		if counts[want] == 0 {
			t.Errorf("no line says %q: %v", want, counts)
		}
	}
}

// scraped reads the metrics as Prometheus would, with a token that can do nothing
// else.
func (h *house) scraped(t *testing.T) {
	t.Helper()
	made, err := h.client().CreateToken(t.Context(), api.NewToken{Name: "prometheus", User: "prometheus", Scopes: []string{"metrics"}, Expires: "1d"})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.listen+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+made.Secret)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if code, _ := get("/v1/runs"); code != http.StatusForbidden {
		t.Errorf("the token of Prometheus lists runs: %d", code)
	}
	code, body := get("/v1/metrics")
	if code != http.StatusOK || !strings.HasSuffix(body, "# EOF\n") {
		t.Fatalf("%d %.200s", code, body)
	}
	for _, line := range []string{
		`quell_alerts_total{result="accepted",source="crowdstrike"} 1.0`,
		`quell_alerts_total{result="duplicate",source="crowdstrike"} 1.0`,
		`quell_alerts_total{result="unauthenticated",source="other"} 1.0`,
		`quell_alert_verdicts_total{playbook="contain-infected-host",verdict="started"} 1.0`,
		`quell_runs_started_total{playbook="contain-infected-host",trigger="alert"} 1.0`,
		`quell_runs_ended_total{closing="completed",playbook="contain-infected-host"} 1.0`,
		`quell_effects_total{action="edr.isolate_host",class="idempotent",connector="falcon",outcome="done"} 1.0`,
		`quell_connector_calls_total{action="edr.isolate_host",connector="falcon",mode="act",result="ok"} 1.0`,
		`quell_first_effect_seconds_count{playbook="contain-infected-host"} 1`,
		`quell_requests_decided_total{decision="approved",kind="approval"} 1.0`,
		`quell_runs{status="running"} 0.0`, `quell_state_up 1.0`, `quell_kill_switch 0.0`, `quell_effects_unknown 0.0`,
		`quell_connector_state{connector="falcon",state="ready"} 1.0`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
	for _, part := range []string{"quell_engine_activity_seconds_bucket{", "quell_store_transaction_duration_seconds_count{", "quell_disk_free_bytes ", "go_goroutines ", `quell_data_bytes{part="engine"}`} {
		if !strings.Contains(body, "\n"+part) {
			t.Errorf("there is no %s", part)
		}
	}
	if strings.Contains(body, "host-0") {
		t.Error("the metrics have a host's name")
	}
	if t.Failed() {
		t.Log(body)
	}
}
