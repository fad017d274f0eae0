package engine

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/quell-soar/quell/internal/telemetry"
)

// family is one metric as it is registered.
type family struct {
	name   string
	labels []string
}

var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(?:[^"\\]|\\.)*", constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)

// registered lists every metric that quell serve registers, by name, whether
// something was counted or not.
func registered(t *testing.T) (map[string]family, *telemetry.Metrics) {
	t.Helper()
	m := telemetry.NewMetrics("dev", telemetry.Known{})
	if err := m.Watch(nil); err != nil {
		t.Fatal(err)
	}
	sdk, err := NewMetrics(m.Register)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 { // more types than a label takes
		h := sdk.Handler().WithTags(map[string]string{"activity_type": t.Name(), "workflow_type": "w", "operation": "o", "worker_type": "x", "failure_reason": "f"})
		for name := range sdkCounters {
			h.Counter(name).Inc(1)
		}
		for name := range sdkTimers {
			h.Timer(name).Record(1)
		}
		for name := range sdkGauges {
			h.Gauge(name).Update(1)
		}
	}
	out := map[string]family{}
	descs := make(chan *prometheus.Desc)
	go func() { m.Describe(descs); close(descs) }()
	for d := range descs {
		p := described.FindStringSubmatch(d.String())
		if p == nil {
			t.Fatalf("%s is not understood", d)
		}
		f := family{name: p[1]}
		for l := range strings.SplitSeq(p[2]+","+p[3], ",") {
			if name, _, _ := strings.Cut(l, "="); name != "" {
				f.labels = append(f.labels, name)
			}
		}
		out[f.name] = f
	}
	return out, m
}

var (
	metric   = regexp.MustCompile(`\b(quell|go|process)_[a-z0-9_]+\b`)
	selector = regexp.MustCompile(`\b((?:quell|go|process)_[a-z0-9_]+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)\s*"`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
	legend   = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
	suffix   = regexp.MustCompile(`_(bucket|count|sum)$`)
)

// TestDashboard reads every query of the dashboard: each metric in it is one that
// quell serve has, and each label one that its metric has.
func TestDashboard(t *testing.T) {
	known, _ := registered(t)
	raw, err := os.ReadFile("../../docs/grafana/quell.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(raw, &board); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	queries := 0
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			queries++
			labels := []string{"le"}
			for _, name := range metric.FindAllString(q.Expr, -1) {
				f, ok := known[name]
				if !ok {
					f, ok = known[suffix.ReplaceAllString(name, "")]
				}
				if !ok && !strings.HasPrefix(name, "quell_") && runtimeMetric(known, name) {
					ok = true
				}
				if !ok {
					t.Errorf("%s: there is no metric %s: %s", p.Title, name, q.Expr)
				}
				shown[f.name] = true
				labels = append(labels, f.labels...)
			}
			used := []string{}
			for _, s := range selector.FindAllStringSubmatch(q.Expr, -1) {
				for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
					used = append(used, m[1])
				}
			}
			for _, g := range grouping.FindAllStringSubmatch(q.Expr, -1) {
				for l := range strings.SplitSeq(g[1], ",") {
					used = append(used, strings.TrimSpace(l))
				}
			}
			for _, l := range legend.FindAllStringSubmatch(q.LegendFormat, -1) {
				used = append(used, l[1])
			}
			for _, l := range used {
				if l != "job" && !slices.Contains(labels, l) { // job is Prometheus' own
					t.Errorf("%s: no metric of the query has the label %s: %s", p.Title, l, q.Expr)
				}
			}
		}
	}
	if queries < 30 {
		t.Errorf("only %d queries were found", queries)
	}
	t.Logf("%d queries show %d of %d metrics", queries, len(shown), len(known))
}

// runtimeMetric: collectors of the runtime and the process describe some of their
// metrics only.
func runtimeMetric(_ map[string]family, name string) bool {
	return slices.Contains([]string{"process_resident_memory_bytes", "process_open_fds", "go_goroutines"}, name)
}

// TestDocumented: docs/observability.md tells of every metric, with its labels, and
// of none that there is not.
func TestDocumented(t *testing.T) {
	known, m := registered(t)
	raw, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(quell_[a-z0-9_]+)` \\|([^|]*)\\|").FindAllStringSubmatch(string(raw), -1) {
		told[row[1]] = strings.TrimSpace(row[2])
	}
	for name, f := range known {
		if !strings.HasPrefix(name, "quell_") {
			continue
		}
		var labels []string
		for _, l := range f.labels {
			labels = append(labels, "`"+l+"`")
		}
		want := strings.Join(labels, " ")
		if got, ok := told[name]; !ok || got != want {
			t.Errorf("docs/observability.md has no row | `%s` | %s |, it has %q", name, want, got)
		}
		delete(told, name)
	}
	for _, name := range metric.FindAllString(string(raw), -1) {
		if _, ok := known[name]; !ok && strings.HasPrefix(name, "quell_") {
			t.Errorf("docs/observability.md tells of %s, which there is not", name)
		}
	}
	for name := range told {
		t.Errorf("docs/observability.md tells of %s, which there is not", name)
	}
	families, err := m.Gather().Gather()
	_ = err // the state has no reader here, and is told as not readable
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "quell_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestSDKLabelsAreBounded: whatever types a foreign client starts in an external
// cluster, a label takes no more than mostValues of them.
func TestSDKLabelsAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := NewMetrics(reg.Register)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		m.Handler().WithTags(map[string]string{"activity_type": strings.Repeat("x", i)}).Timer("temporal_activity_execution_latency").Record(1)
		m.Handler().WithTags(map[string]string{"activity_type": strings.Repeat("x", i)}).Counter("temporal_nothing_of_ours").Inc(1)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n := len(f.GetMetric()); n > mostValues+1 {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
	}
}
