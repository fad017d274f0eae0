package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// all is a registry in which everything was told once, for names that are known.
func all(t testing.TB) *Metrics {
	t.Helper()
	yes := func(string) bool { return true }
	m := NewMetrics("1.2.3", Known{Source: yes, Playbook: yes, Connector: yes, Action: yes})
	tell(m, "a")
	err := m.Watch(func(context.Context) (State, error) {
		return State{
			WaitingRuns: 2, RunningRuns: 5, Requests: map[string]int{"hold": 3}, KillSwitch: true, Lag: 1500 * time.Millisecond, FreeBytes: 7, Stored: 6, Export: &LedgerExport{Missing: 8, Lag: 9 * time.Second},
			Connectors: []Connector{{Name: "edr", Type: "crowdstrike", Version: "1", State: "ready", Restarts: 4, Slots: 16}},
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tell tells everything once, with a text in the place of every label.
func tell(m *Metrics, text string) {
	m.Alert(text, text)
	m.Verdict(text, text)
	m.RunStarted(text, text)
	m.RunEnded(text, text, time.Second)
	m.FirstEffect(text, time.Second)
	m.Admission(text, text)
	m.Effect(text, text, text, text)
	m.Call(text, text, text, text, time.Second)
	m.Waited(text, text, time.Second)
	m.Transaction(text, true, time.Second)
	m.Asked(text)
	m.Decided(text, text, time.Second)
	m.Spans(text, 1)
}

// TestLint holds names, units and helps to the conventions of Prometheus.
func TestLint(t *testing.T) {
	families, err := all(t).Gather().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "go_") || strings.HasPrefix(p.Metric, "process_") {
			continue // the library's own
		}
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func series(t testing.TB, m *Metrics) int {
	t.Helper()
	families, err := m.Gather().Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "quell_") {
			continue // how many of its own the runtime has changes by itself
		}
		n += len(f.GetMetric())
	}
	return n
}

// TestBounded tells 2,000 different texts in the place of every label. Nothing of an
// alert, a vendor or a run can make the registry grow: each label has one more value
// than it knows.
func TestBounded(t *testing.T) {
	installed := func(n string) bool { return n == "here" }
	m := NewMetrics("dev", Known{Source: installed, Playbook: installed, Connector: installed, Action: installed})
	tell(m, "here")
	tell(m, "elsewhere")
	before := series(t, m)
	for i := range 2000 {
		tell(m, fmt.Sprintf("host-%d.evil.example/%d\x00\xff", i, i))
	}
	if after := series(t, m); after != before {
		t.Errorf("%d series became %d", before, after)
	}
	families, err := m.Gather().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if strings.Contains(l.GetValue(), "evil") || strings.Contains(l.GetValue(), "elsewhere") {
					t.Errorf("%s has the label %s=%q", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
}

// TestState answers with how things stand, and with no zeros where that could not
// be read.
func TestState(t *testing.T) {
	w := httptest.NewRecorder()
	all(t).Handler().ServeHTTP(w, httptest.NewRequest("GET", "/v1/metrics", nil))
	for _, line := range []string{
		`quell_connector_restarts_total{connector="edr"} 4.0`, `quell_kill_switch 1.0`, `quell_ledger_checkpoint_lag_seconds 1.5`,
		`quell_requests_open{kind="approval"} 0.0`, `quell_requests_open{kind="hold"} 3.0`, `quell_runs{status="running"} 5.0`,
		`quell_connector_state{connector="edr",state="ready"} 1.0`, `quell_connector_state{connector="edr",state="broken"} 0.0`, `quell_disk_free_bytes 7.0`,
		`quell_ledger_stored_entries 6.0`, `quell_ledger_unexported_entries 8.0`, `quell_ledger_export_lag_seconds 9.0`,
	} {
		if !strings.Contains(w.Body.String(), "\n"+line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
	m := NewMetrics("dev", Known{})
	if err := m.Watch(func(context.Context) (State, error) { return State{}, errors.New("no store") }); err != nil {
		t.Fatal(err)
	}
	families, err := m.Gather().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		switch f.GetName() {
		case "quell_state_up":
			if v := f.GetMetric()[0].GetGauge().GetValue(); v != 0 {
				t.Errorf("a state that cannot be read is up: %v", v)
			}
		case "quell_kill_switch", "quell_runs", "quell_effects_unknown":
			t.Errorf("%s is told without a state", f.GetName())
		}
	}
}

// TestHandler answers in OpenMetrics unless a client wants the older form.
func TestHandler(t *testing.T) {
	h := all(t).Handler()
	for accept, want := range map[string]string{
		"": "application/openmetrics-text", "*/*": "application/openmetrics-text",
		"application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5": "application/openmetrics-text", "text/plain": "text/plain",
	} {
		r := httptest.NewRequest("GET", "/v1/metrics", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Body)
		if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("%q is answered with %s", accept, got)
		}
		if strings.HasSuffix(string(body), "# EOF\n") != strings.Contains(want, "openmetrics") || !strings.Contains(string(body), `quell_build_info{`) {
			t.Errorf("%q: %.80q … %.20q", accept, body, body[max(0, len(body)-20):])
		}
	}
}
