package engine

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
)

// sdkMetric is one of the SDK's metrics that operators can do something about, as
// we name it. The SDK tells many more; they are dropped.
type sdkMetric struct {
	name, help string
	// tags are the SDK's tags that become labels.
	tags []string
}

// The SDK's names are in go.temporal.io/sdk/internal/common/metrics, v1.50.0.
var (
	sdkCounters = map[string]sdkMetric{
		"temporal_workflow_task_execution_failed":     {"quell_engine_workflow_tasks_failed_total", "Workflow tasks that failed; a NonDeterminismError blocks its run until somebody acts.", []string{"workflow_type", "failure_reason"}},
		"temporal_activity_execution_failed":          {"quell_engine_activities_failed_total", "Activities that failed in the engine's sense and are tried again.", []string{"activity_type"}},
		"temporal_local_activity_execution_failed":    {"quell_engine_local_activities_failed_total", "Local activities that failed in the engine's sense.", []string{"activity_type"}},
		"temporal_request_failure":                    {"quell_engine_requests_failed_total", "Requests to the engine that failed.", []string{"operation"}},
		"temporal_request":                            {"quell_engine_requests_total", "Requests to the engine.", []string{"operation"}},
		"temporal_sticky_cache_total_forced_eviction": {"quell_engine_cache_evictions_total", "Workflows that were put out of the cache for room.", nil},
	}
	sdkTimers = map[string]sdkMetric{
		"temporal_workflow_task_schedule_to_start_latency": {"quell_engine_workflow_task_queue_seconds", "Time that workflow tasks waited for a worker.", []string{"workflow_type"}},
		"temporal_workflow_task_execution_latency":         {"quell_engine_workflow_task_seconds", "Time of workflow tasks.", []string{"workflow_type"}},
		"temporal_activity_schedule_to_start_latency":      {"quell_engine_activity_queue_seconds", "Time that activities waited for a worker.", []string{"activity_type"}},
		"temporal_activity_execution_latency":              {"quell_engine_activity_seconds", "Time of activities.", []string{"activity_type"}},
		"temporal_local_activity_execution_latency":        {"quell_engine_local_activity_seconds", "Time of local activities.", []string{"activity_type"}},
	}
	sdkGauges = map[string]sdkMetric{
		"temporal_worker_task_slots_available": {"quell_engine_worker_slots_available", "Tasks that this worker could still take.", []string{"worker_type"}},
		"temporal_worker_task_slots_used":      {"quell_engine_worker_slots_used", "Tasks that this worker works on.", []string{"worker_type"}},
		"temporal_sticky_cache_size":           {"quell_engine_cached_workflows", "Workflows in the worker's cache.", nil},
	}
)

// mostValues bounds the values of one label: what else comes is "other". The
// names of types and operations are ours and the SDK's, some dozens together.
const mostValues = 64

// Metrics are those of the SDK's client and worker, as Prometheus takes them.
type Metrics struct {
	counters map[string]*prometheus.CounterVec
	timers   map[string]*prometheus.HistogramVec
	gauges   map[string]*prometheus.GaugeVec

	mu   sync.Mutex
	seen map[string]map[string]bool
}

// NewMetrics registers the SDK's metrics. One serves for one process.
func NewMetrics(register func(prometheus.Collector) error) (*Metrics, error) {
	m := &Metrics{
		counters: map[string]*prometheus.CounterVec{}, timers: map[string]*prometheus.HistogramVec{}, gauges: map[string]*prometheus.GaugeVec{},
		seen: map[string]map[string]bool{},
	}
	var all []prometheus.Collector
	for sdk, d := range sdkCounters {
		m.counters[sdk] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.name, Help: d.help}, d.tags)
		all = append(all, m.counters[sdk])
	}
	for sdk, d := range sdkTimers {
		m.timers[sdk] = prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: d.name, Help: d.help, Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60},
		}, d.tags)
		all = append(all, m.timers[sdk])
	}
	for sdk, d := range sdkGauges {
		m.gauges[sdk] = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: d.name, Help: d.help}, d.tags)
		all = append(all, m.gauges[sdk])
	}
	for _, c := range all {
		if err := register(c); err != nil {
			return nil, fmt.Errorf("engine: metrics: %w", err)
		}
	}
	return m, nil
}

// bounded gives a label's value, or "other" once there are too many.
func (m *Metrics) bounded(label, value string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.seen[label]
	if known == nil {
		known = map[string]bool{}
		m.seen[label] = known
	}
	if !known[value] && len(known) >= mostValues {
		return "other"
	}
	known[value] = true
	return value
}

// Handler is what the SDK tells its metrics to.
func (m *Metrics) Handler() client.MetricsHandler {
	if m == nil {
		return client.MetricsNopHandler
	}
	return handler{m: m}
}

// handler is the SDK's view, with the tags that it has set.
type handler struct {
	m    *Metrics
	tags map[string]string
}

// WithTags implements client.MetricsHandler.
func (h handler) WithTags(more map[string]string) client.MetricsHandler {
	tags := make(map[string]string, len(h.tags)+len(more))
	maps.Copy(tags, h.tags)
	maps.Copy(tags, more)
	return handler{h.m, tags}
}

func (h handler) values(d sdkMetric) []string {
	out := make([]string, len(d.tags))
	for i, t := range d.tags {
		out[i] = h.m.bounded(t, h.tags[t])
	}
	return out
}

// Counter implements client.MetricsHandler.
func (h handler) Counter(name string) client.MetricsCounter {
	c, ok := h.m.counters[name]
	if !ok {
		return client.MetricsNopHandler.Counter(name)
	}
	return counter{c.WithLabelValues(h.values(sdkCounters[name])...)}
}

// Gauge implements client.MetricsHandler.
func (h handler) Gauge(name string) client.MetricsGauge {
	g, ok := h.m.gauges[name]
	if !ok {
		return client.MetricsNopHandler.Gauge(name)
	}
	return gauge{g.WithLabelValues(h.values(sdkGauges[name])...)}
}

// Timer implements client.MetricsHandler.
func (h handler) Timer(name string) client.MetricsTimer {
	t, ok := h.m.timers[name]
	if !ok {
		return client.MetricsNopHandler.Timer(name)
	}
	return timer{t.WithLabelValues(h.values(sdkTimers[name])...)}
}

type (
	counter struct{ c prometheus.Counter }
	gauge   struct{ g prometheus.Gauge }
	timer   struct{ o prometheus.Observer }
)

// Inc implements client.MetricsCounter.
func (c counter) Inc(n int64) { c.c.Add(float64(max(n, 0))) }

// Update implements client.MetricsGauge.
func (g gauge) Update(v float64) { g.g.Set(v) }

// Record implements client.MetricsTimer.
func (t timer) Record(d time.Duration) { t.o.Observe(d.Seconds()) }
