package telemetry

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The buckets of histograms, in seconds: of what a machine does, of what a vendor
// takes, and of what people and playbooks take.
var (
	quick = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}
	call  = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	long  = []float64{1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600}
)

// Metrics is a registry with everything that Quell counts. Its methods may be
// called from many goroutines; none blocks, and none fails. What happens twice is
// counted twice: rooms tell of a thing after its commit.
type Metrics struct {
	registry *prometheus.Registry
	known    Known

	alerts, verdicts, started, ended, effects, calls, admissions, opened, decided, spans *prometheus.CounterVec

	runTime, firstEffect, callTime, decisionTime, transactions, waits *prometheus.HistogramVec
}

// NewMetrics makes the registry with the metrics of the Go runtime, the process
// and this build.
func NewMetrics(version string, known Known) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), known: known}
	m.flow()
	m.work()
	m.people()
	m.spans = m.counter("quell_trace_spans_total", "Spans that were sent to the receiver of traces, or lost.", "result")
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "quell_build_info", Help: "Always 1; the labels say which build runs.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	info.Set(1)
	m.registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(h)
	return h
}

// flow registers what tells of alerts and runs.
func (m *Metrics) flow() {
	m.alerts = m.counter("quell_alerts_total", "Deliveries of alerts, by source and by what became of them.", "source", "result")
	m.verdicts = m.counter("quell_alert_verdicts_total", "What stored alerts meant to playbooks.", "playbook", "verdict")
	m.started = m.counter("quell_runs_started_total", "Runs that the engine took.", "playbook", "trigger")
	m.ended = m.counter("quell_runs_ended_total", "Runs that ended, by how they were closed.", "playbook", "closing")
	m.runTime = m.histogram("quell_run_duration_seconds", "Time from a run's claim to its end.", long, "playbook")
	m.firstEffect = m.histogram("quell_first_effect_seconds", "Time from the receipt of an alert to the first effect that was done for it.", long, "playbook")
}

// work registers what tells of effects and calls.
func (m *Metrics) work() {
	m.admissions = m.counter("quell_admissions_total", "Answers to effects that asked to leave; rule is the guard that refused.", "verdict", "rule")
	m.effects = m.counter("quell_effects_total", "Effects that were settled.", "connector", "action", "class", "outcome")
	m.calls = m.counter("quell_connector_calls_total", "Calls of connectors; result is ok or the kind of the error.", "connector", "action", "mode", "result")
	m.callTime = m.histogram("quell_connector_call_duration_seconds", "Time of calls of connectors, with their waits.", call, "connector", "action", "mode")
	m.waits = m.histogram("quell_connector_wait_seconds", "Time that calls waited before they left.", call, "connector", "reason")
	m.transactions = m.histogram("quell_store_transaction_duration_seconds", "Time of transactions of the store, from the wish to the commit.", quick, "transaction", "result")
}

// people registers what tells of requests to people.
func (m *Metrics) people() {
	m.opened = m.counter("quell_requests_opened_total", "Requests to people: approvals, questions, failed steps, holds.", "kind")
	m.decided = m.counter("quell_requests_decided_total", "Requests to people that were decided, or whose time was over.", "kind", "decision")
	m.decisionTime = m.histogram("quell_request_decision_seconds", "Time from a request to its decision.", long, "kind", "decision")
}

// Handler answers with all metrics: OpenMetrics text, or the older text format of
// Prometheus for a client that asks for nothing newer.
func (m *Metrics) Handler() http.Handler {
	h := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, DisableCompression: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Accept"); a == "" || a == "*/*" {
			r = r.Clone(r.Context())
			r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
		}
		h.ServeHTTP(w, r)
	})
}

// Gather returns what stands in the registry now, for tests and for who adds
// metrics of other parts.
func (m *Metrics) Gather() prometheus.Gatherer { return m.registry }

// Describe lists what is registered, counted or not.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) { m.registry.Describe(ch) }

// Register adds a collector. Its metrics must have names and labels of their own.
func (m *Metrics) Register(c prometheus.Collector) error { return m.registry.Register(c) }

// Alert counts a delivery; source is the name of a configured source, or what
// stood in its place.
func (m *Metrics) Alert(source, result string) {
	m.alerts.WithLabelValues(bound(m.known.Source, source), AlertResults.bound(result)).Inc()
}

// Verdict counts what an alert meant to a playbook.
func (m *Metrics) Verdict(playbook, verdict string) {
	m.verdicts.WithLabelValues(bound(m.known.Playbook, playbook), VerdictWords.bound(verdict)).Inc()
}

// RunStarted counts a run that the engine took.
func (m *Metrics) RunStarted(playbook, trigger string) {
	m.started.WithLabelValues(bound(m.known.Playbook, playbook), Triggers.bound(trigger)).Inc()
}

// RunEnded counts a run's end.
func (m *Metrics) RunEnded(playbook, closing string, took time.Duration) {
	p := bound(m.known.Playbook, playbook)
	m.ended.WithLabelValues(p, Closings.bound(closing)).Inc()
	m.runTime.WithLabelValues(p).Observe(took.Seconds())
}

// FirstEffect tells how long after its alert a run had done its first effect.
func (m *Metrics) FirstEffect(playbook string, after time.Duration) {
	m.firstEffect.WithLabelValues(bound(m.known.Playbook, playbook)).Observe(after.Seconds())
}

// Admission counts an answer to an effect; rule is empty where no guard refused.
func (m *Metrics) Admission(verdict, rule string) {
	if rule == "" {
		rule = Rules[0]
	}
	m.admissions.WithLabelValues(Admissions.bound(verdict), Rules.bound(rule)).Inc()
}

// Effect counts an effect that was settled.
func (m *Metrics) Effect(connector, action, class, outcome string) {
	m.effects.WithLabelValues(bound(m.known.Connector, connector), bound(m.known.Action, action), Classes.bound(class), Outcomes.bound(outcome)).Inc()
}

// Call counts a call of a connector and its time.
func (m *Metrics) Call(connector, action, mode, result string, took time.Duration) {
	c, a, how := bound(m.known.Connector, connector), bound(m.known.Action, action), Modes.bound(mode)
	m.calls.WithLabelValues(c, a, how, Results.bound(result)).Inc()
	m.callTime.WithLabelValues(c, a, how).Observe(took.Seconds())
}

// Waited tells that a call waited before it left.
func (m *Metrics) Waited(connector, reason string, took time.Duration) {
	m.waits.WithLabelValues(bound(m.known.Connector, connector), Waits.bound(reason)).Observe(took.Seconds())
}

// Transaction tells the time of a transaction of the store.
func (m *Metrics) Transaction(kind string, ok bool, took time.Duration) {
	result := "ok"
	if !ok {
		result = "error"
	}
	m.transactions.WithLabelValues(Transactions.bound(kind), result).Observe(took.Seconds())
}

// Spans counts spans that were sent or lost.
func (m *Metrics) Spans(result string, n int) {
	m.spans.WithLabelValues(words{"sent", "lost"}.bound(result)).Add(float64(n))
}

// Asked counts a request to people.
func (m *Metrics) Asked(kind string) { m.opened.WithLabelValues(Kinds.bound(kind)).Inc() }

// Decided counts the end of a request, after its time.
func (m *Metrics) Decided(kind, decision string, after time.Duration) {
	k, d := Kinds.bound(kind), Decisions.bound(decision)
	m.decided.WithLabelValues(k, d).Inc()
	m.decisionTime.WithLabelValues(k, d).Observe(after.Seconds())
}
