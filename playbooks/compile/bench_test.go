package compile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/app"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// cpu is the processor time that this process has used. On a machine that others
// use too it says more than the clock does.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// variants are playbooks of the size of contain-infected-host whose expressions
// differ in their texts, so that nothing is gained by having seen one before.
func variants(b *testing.B, n int) []*source.File {
	raw, err := os.ReadFile(example)
	if err != nil {
		b.Fatal(err)
	}
	out := make([]*source.File, n)
	for i := range out {
		text := bytes.ReplaceAll(raw, []byte("hostname:"), fmt.Appendf(nil, "host%d:", i))
		text = bytes.ReplaceAll(text, []byte("inputs.hostname"), fmt.Appendf(nil, "inputs.host%d", i))
		text = bytes.ReplaceAll(text, fmt.Appendf(nil, "      host%d: ${{ inputs", i), []byte("      hostname: ${{ inputs"))
		text = bytes.ReplaceAll(text, []byte("steps.host."), fmt.Appendf(nil, "steps.found%d.", i))
		text = bytes.ReplaceAll(text, []byte("id: host\n"), fmt.Appendf(nil, "id: found%d\n", i))
		out[i] = source.NewFile("variant.yaml", text)
	}
	return out
}

// BenchmarkCheck compiles playbooks of the size of contain-infected-host on all
// processors: checks/s by the clock, and the processor time of one.
func BenchmarkCheck(b *testing.B) {
	files := variants(b, 64)
	for _, f := range files[:2] {
		if p, list := compile.Compile(f, options()); p == nil {
			b.Fatal(list)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	before, begin := cpu(), time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if p, list := compile.Compile(files[i%len(files)], options()); p == nil {
				b.Error(list)
				return
			}
		}
	})
	took := time.Since(begin)
	b.ReportMetric(float64(b.N)/took.Seconds(), "checks/s")
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// BenchmarkStages tells how long each stage of a check takes.
func BenchmarkStages(b *testing.B) {
	files := variants(b, 64)
	total := map[string]time.Duration{}
	i := 0
	for b.Loop() {
		compile.TimeStages(files[i%len(files)], options(), func(stage string, d time.Duration) { total[stage] += d })
		i++
	}
	for stage, d := range total {
		b.ReportMetric(float64(d.Microseconds())/float64(i), stage+"-µs/op")
	}
}

// BenchmarkEval evaluates every expression of the examples whose values the
// scope can be made up for, one by one: the median and the slowest.
func BenchmarkEval(b *testing.B) {
	type one struct {
		set *expr.Set
		ref plan.ExprRef
		sc  expr.Scope
	}
	var all []one
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, ".test.yaml") {
			continue
		}
		p := compileFile(b, name)
		set, err := expr.Load(p)
		if err != nil {
			b.Fatal(err)
		}
		for i := range p.Exprs {
			o := one{set, plan.ExprRef(i), madeUp(p)}
			if _, err := set.Eval(o.ref, o.sc); err == nil {
				all = append(all, o)
			}
		}
	}
	if len(all) < 40 {
		b.Fatalf("only %d expressions can be evaluated", len(all))
	}
	times := make([][]time.Duration, len(all))
	i := 0
	for b.Loop() {
		o, begin := all[i%len(all)], time.Now()
		if _, err := o.set.Eval(o.ref, o.sc); err != nil {
			b.Fatal(err)
		}
		times[i%len(all)] = append(times[i%len(all)], time.Since(begin))
		i++
	}
	var flat, medians []time.Duration
	for _, t := range times {
		if len(t) > 0 {
			slices.Sort(t)
			medians = append(medians, t[len(t)/2])
			flat = append(flat, t...)
		}
	}
	slices.Sort(flat)
	b.ReportMetric(float64(flat[len(flat)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(flat[len(flat)*99/100].Nanoseconds())/1e3, "p99-µs")
	b.ReportMetric(float64(slices.Max(medians).Nanoseconds())/1e3, "slowest-median-µs")
	b.ReportMetric(float64(len(all)), "expressions")
}

// madeUp is a scope with a value for all that a plan's expressions may read.
func madeUp(p *plan.Plan) expr.Scope {
	sc := expr.Scope{
		Inputs: map[string]any{}, Settings: map[string]any{}, Steps: map[string]any{}, Outcome: map[string]any{},
		Errors: map[string]any{}, Locals: map[string]any{}, Now: time.Date(2026, 1, 31, 17, 0, 0, 0, time.UTC),
	}
	for _, i := range p.Inputs {
		sc.Inputs[i.Name] = someValue(i.Type)
	}
	for _, s := range p.Settings {
		sc.Settings[s.Name] = someValue(s.Type)
	}
	for _, r := range p.Results {
		sc.Outcome[r.ID] = "done"
		if r.Type.Kind != "" {
			sc.Steps[r.ID] = someValue(r.Type)
		}
	}
	sc.Run, _ = someValue(expr.RunType()).(map[string]any)
	sc.Alert, _ = someValue(alertType()).(map[string]any)
	for _, ph := range p.Phases {
		loopValues(p, ph.Steps, sc.Locals)
	}
	return sc
}

func loopValues(p *plan.Plan, steps []plan.Step, into map[string]any) {
	for i := range steps {
		if f := steps[i].Foreach; f != nil && p.Exprs[f.In].Type.Elem != nil {
			into[f.Var] = someValue(*p.Exprs[f.In].Type.Elem)
		}
		for _, list := range steps[i].Inside() {
			loopValues(p, list, into)
		}
	}
}

// someValue makes a value of a type: lists have three elements.
func someValue(t kind.Type) any {
	switch t.Kind {
	case kind.Int:
		return int64(3)
	case kind.Double:
		return 0.5
	case kind.Boolean:
		return true
	case kind.Timestamp:
		return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	case kind.Duration:
		return time.Hour
	case kind.List:
		return []any{someValue(*t.Elem), someValue(*t.Elem), someValue(*t.Elem)}
	case kind.Map:
		return map[string]any{"a": someValue(*t.Elem)}
	case kind.Record:
		m := map[string]any{}
		for _, f := range t.Fields {
			m[f.Name] = someValue(f.Type)
		}
		return m
	case kind.Handled:
		h := kind.Handle{Name: t.Name, Instance: "a", ID: "1", Label: "web-1"}
		if facts := kind.Facts(t.Name); facts != nil {
			m, _ := someValue(kind.RecordOf(facts...)).(map[string]any)
			h, _ = h.WithFacts(m)
		}
		return h
	case kind.IP:
		return "10.0.0.1"
	case kind.CIDR:
		return "10.0.0.0/8"
	case kind.Email:
		return "a@example.org"
	case kind.URL:
		return "https://example.org/a"
	case kind.Hash:
		return strings.Repeat("ab", 32)
	case kind.Artifact:
		return "sha256:" + strings.Repeat("ab", 32)
	case kind.MessageID:
		return "<a@example.org>"
	default: // other types
	}
	if names, ok := t.Enum(); ok {
		return names[0]
	}
	return "web-1"
}

// TestBench demands what a check and an expression may take (make bench). Where
// others use the machine too, the processor time of a check is the measure: two
// processors do twice as many as one.
func TestBench(t *testing.T) {
	if os.Getenv("QUELL_BENCH") == "" {
		t.Skip("set QUELL_BENCH=1, or run make bench")
	}
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(app.CheckGC)) // as quell check runs
	}
	check := testing.Benchmark(BenchmarkCheck)
	stages := testing.Benchmark(BenchmarkStages)
	eval := testing.Benchmark(BenchmarkEval)
	perSecond := check.Extra["checks/s"]
	byCPU := 2e6 / check.Extra["cpu-µs/op"]
	t.Logf("%.0f checks/s by the clock, %.0f on two processors by their time (%.0f µs each)", perSecond, byCPU, check.Extra["cpu-µs/op"])
	t.Logf("stages: %s", stages.String())
	t.Logf("expressions: %s", eval.String())
	if max(perSecond, byCPU) < 2000 {
		t.Errorf("%.0f checks/s, want 2000", max(perSecond, byCPU))
	}
	if p50 := eval.Extra["p50-µs"]; p50 > 20 {
		t.Errorf("an expression takes %.1f µs, want 20", p50)
	}
}
