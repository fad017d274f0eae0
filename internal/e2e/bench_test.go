package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/metrics/metricstest"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/engine"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/workflows"
	"github.com/quell-soar/quell/workflows/run"
)

// course is what the variants run: quick reads, then effects, all of a connector
// that does nothing.
type course struct{ reads, effects int }

func (c course) steps() int { return c.reads + c.effects }

// action is what step i of the course calls.
func (c course) action(i int) string {
	if i < c.reads {
		return "nop.read_it"
	}
	return "nop.do_it"
}

// variant is one way to run ten steps.
type variant string

const (
	// byHand is a workflow that a Go programmer would write for the calls: each an
	// activity.
	byHand variant = "by hand"
	// bare is the interpreter over the same bare calls.
	bare variant = "interpreter"
	// whole is the product: interpreter, effects, ledger.
	whole variant = "product"
)

// figures are what one variant showed on one fresh database.
type figures struct {
	rate    float64       // runs a second under load
	latency time.Duration // median of quiet runs
	events  int
	actions int
	metered int // billable actions by the server's own metric
}

// TestBench compares the variants over ten effects and prints ratios. In each round
// they stand side by side on fresh databases and take turns, run by run when quiet
// and burst by burst under load, so that what else the machine does falls on all
// alike. Run it with `make bench`.
func TestBench(t *testing.T) {
	ten := course{effects: 10}
	all := contest(t, ten, byHand, bare, whole)
	var price []float64
	for r := range all[whole] {
		price = append(price, (all[whole][r].latency-all[bare][r].latency).Seconds()*1000/float64(ten.steps()))
	}
	t.Logf("effects and ledger cost %.1f ms a step when quiet and take the runs/s to %.2f of the interpreter's", middle(price), ratio(all[whole], all[bare]))
	against(t, ten, all, bare, 0.95, 1.1)
	against(t, ten, all, whole, 0.7, 1.5)
}

// TestBenchMixed is the usual shape of a playbook: it looks six times and acts four.
func TestBenchMixed(t *testing.T) {
	mixed := course{reads: 6, effects: 4}
	against(t, mixed, contest(t, mixed, byHand, whole), whole, 1.3, 1.5)
}

// TestBenchReads is a playbook that only looks, when nothing else runs.
func TestBenchReads(t *testing.T) {
	var quiet []time.Duration
	for _, f := range contest(t, course{reads: 10}, whole)[whole] {
		quiet = append(quiet, f.latency)
	}
	if got := middle(quiet); got >= 12*time.Millisecond {
		t.Errorf("a quiet playbook of ten reads takes %s, want < 12 ms", got)
	}
}

// contest measures the variants in rounds.
func contest(t *testing.T, c course, order ...variant) map[variant][]figures {
	t.Helper()
	if os.Getenv("QUELL_BENCH") == "" {
		t.Skip("a benchmark; run it with `make bench`")
	}
	nop := buildNop(t)
	const rounds = 5
	all := map[variant][]figures{}
	for r := range rounds {
		for v, f := range round(t, r, c, order, nop) {
			all[v] = append(all[v], f)
		}
	}
	return all
}

// against prints a variant beside the workflow by hand, and fails where it is worse
// than wanted.
func against(t *testing.T, c course, all map[variant][]figures, v variant, wantRate, wantLatency float64) {
	t.Helper()
	var rate, lat []float64
	for r := range all[v] {
		rate = append(rate, all[v][r].rate/all[byHand][r].rate)
		lat = append(lat, float64(all[v][r].latency)/float64(all[byHand][r].latency))
	}
	f, hand, n := all[v][0], all[byHand][0], float64(c.steps())
	t.Logf("%-12s runs/s %.2f of by hand, quiet latency %.2f; a step: %.1f events, %.2f billable actions by history, %.2f by the server's metric (by hand %.1f, %.2f, %.2f)",
		v, middle(rate), middle(lat), float64(f.events)/n, float64(f.actions)/n, float64(f.metered)/n, float64(hand.events)/n, float64(hand.actions)/n, float64(hand.metered)/n)
	if middle(rate) < wantRate || middle(lat) > wantLatency {
		t.Errorf("%s: wanted runs/s ≥ %.2f and latency ≤ %.2f of by hand", v, wantRate, wantLatency)
	}
	if most := 1.2; float64(max(f.actions, f.metered))/n > most {
		t.Errorf("%s: wanted at most %.2f billable actions a step", v, most)
	}
}

// ratio is the median over the rounds of one variant's runs/s to another's.
func ratio(a, b []figures) float64 {
	var out []float64
	for r := range a {
		out = append(out, a[r].rate/b[r].rate)
	}
	return middle(out)
}

func middle[T float64 | time.Duration](in []T) T {
	s := slices.Clone(in)
	slices.Sort(s)
	return s[len(s)/2]
}

func buildNop(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "nop")
	cmd := exec.Command("go", "build", "-o", out, "./testdata/nop")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build nop: %v\n%s", err, msg)
	}
	return out
}

// round measures each variant once. The order of the turns goes round with them.
func round(t *testing.T, r int, c course, order []variant, nop string) map[variant]figures {
	t.Helper()
	side := map[variant]*contender{}
	for _, v := range order {
		side[v] = raise(t, v, c, nop)
		defer side[v].close()
	}
	turns := func(n int, one func(s *contender, turn int)) {
		for turn := range n {
			for i := range order {
				one(side[order[(i+turn+r)%len(order)]], turn)
			}
		}
	}
	turns(10, func(s *contender, turn int) { s.run(t, fmt.Sprintf("warm/%d/1", turn)) })
	turns(40, func(s *contender, turn int) {
		began := time.Now()
		s.run(t, fmt.Sprintf("quiet/%d/1", turn))
		s.quiet = append(s.quiet, time.Since(began))
	})
	turns(bursts, func(s *contender, turn int) { s.burst(t, turn) })
	out := map[variant]figures{}
	for _, v := range order {
		f := figures{rate: bursts * burstRuns / side[v].busy.Seconds(), latency: middle(side[v].quiet)}
		capture := side[v].meter.StartCapture()
		side[v].run(t, "quiet/99/1")
		side[v].meter.StopCapture(capture)
		f.events, f.actions = history(t, side[v].engine.Client(), "quiet/99/1")
		f.metered = len(capture.Snapshot()[metrics.ActionCounter.Name()])
		t.Logf("round %d %-12s %6.1f runs/s, quiet %5.1f ms, %d events, %d actions a run (%d metered)", r+1, v, f.rate, f.latency.Seconds()*1000, f.events, f.actions, f.metered)
		out[v] = f
	}
	return out
}

// The load of a round: bursts of runs, so many of them at once.
const bursts, burstRuns, burstAtOnce = 6, 40, 16

// contender is one variant on its own engine with a fresh database.
type contender struct {
	engine *engine.Engine
	meter  *metricstest.CaptureHandler
	name   string
	input  func(id string) any
	quiet  []time.Duration // of single runs
	busy   time.Duration   // of all bursts together
	close  func()
}

func raise(t *testing.T, v variant, c course, nop string) *contender {
	t.Helper()
	ctx := t.Context()
	h, err := host.New(host.Options{Log: zerolog.Nop(), Instances: []host.Instance{{Name: "nop", Connector: "nop", Binary: nop}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	dir, meter := t.TempDir(), metricstest.NewCaptureHandler()
	e, err := engine.Start(ctx, engine.Options{Dir: dir, Log: zerolog.Nop(), Counters: meter})
	if err != nil {
		t.Fatal(err)
	}
	w := worker.New(e.Client(), run.TaskQueue, worker.Options{})
	name, input := register(t, v, c, w, h, dir)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	return &contender{engine: e, meter: meter, name: name, input: input, close: func() {
		w.Stop()
		_ = e.Stop()
		_ = h.Close(context.WithoutCancel(ctx))
	}}
}

// run starts a run and waits for its end.
func (s *contender) run(t *testing.T, id string) {
	ctx := t.Context()
	r, err := s.engine.Client().ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: run.TaskQueue, EnableEagerStart: true}, s.name, s.input(id))
	if err == nil {
		err = r.Get(ctx, nil)
	}
	if err != nil {
		t.Error(err)
	}
}

func (s *contender) burst(t *testing.T, turn int) {
	began := time.Now()
	var wg sync.WaitGroup
	slots := make(chan struct{}, burstAtOnce)
	for i := range burstRuns {
		slots <- struct{}{}
		wg.Go(func() { defer func() { <-slots }(); s.run(t, fmt.Sprintf("load/%d/1", turn*burstRuns+i)) })
	}
	wg.Wait()
	s.busy += time.Since(began)
}

// history counts the events of a run and its billable actions by Temporal's
// rules for events: start, activities with their retries, timers, markers once
// per workflow task, updates, signals, children.
func history(t *testing.T, c client.Client, id string) (events, actions int) {
	t.Helper()
	it := c.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	marked := map[int64]bool{}
	for it.HasNext() {
		ev, err := it.Next()
		if err != nil {
			t.Fatal(err)
		}
		events++
		switch ev.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, enumspb.EVENT_TYPE_TIMER_STARTED,
			enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
			enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED, enumspb.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
			actions++
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			actions += int(ev.GetActivityTaskStartedEventAttributes().GetAttempt()) - 1
		case enumspb.EVENT_TYPE_MARKER_RECORDED:
			marked[ev.GetMarkerRecordedEventAttributes().GetWorkflowTaskCompletedEventId()] = true
		}
	}
	return events, actions + len(marked)
}

// register makes a variant known to the worker and says how to start it.
func register(t *testing.T, v variant, c course, w worker.Worker, h *host.Host, dir string) (string, func(string) any) {
	t.Helper()
	call := func(ctx context.Context, action, step string) error {
		_, err := h.Call(ctx, "nop", spec.Request{Action: action, Mode: spec.Act, Key: step, Inputs: map[string]any{"name": "x"}, Deadline: time.Now().Add(5 * time.Second)},
			host.Permit{Key: step, Expires: time.Now().Add(time.Second)})
		return err
	}
	if v == byHand {
		w.RegisterActivityWithOptions(call, activity.RegisterOptions{Name: "call"})
		// The engine lists workflows that are not Quell's, which costs. This one shall
		// be spared what the others are.
		const name = "quell.by-hand"
		w.RegisterWorkflowWithOptions(c.handWritten, workflow.RegisterOptions{Name: name})
		return name, func(id string) any { return id }
	}
	workflows.New().Register(w)
	if v == bare {
		w.RegisterActivityWithOptions(func(ctx context.Context, q task.ActRequest) (task.ActResult, error) {
			return task.ActResult{Outcome: task.Done}, call(ctx, "nop.do_it", q.Key.String())
		}, activity.RegisterOptions{Name: task.ActActivity})
		w.RegisterActivityWithOptions(func(context.Context, task.EndRequest) error { return nil }, activity.RegisterOptions{Name: task.EndActivity})
	} else {
		_, raw := c.compile(t, h)
		wholeSet(t, h, dir, raw).Register(w)
	}
	p, raw := c.compile(t, h)
	return run.PlaybookWorkflow, func(id string) any {
		return run.Input{
			ABI: run.ABI, Tenant: "default", Run: id, Playbook: p.Playbook, Digest: plan.DigestOf(raw), Plan: raw, Inputs: []byte("{}"), Mode: "act",
			Bindings: []run.Binding{{Action: "nop.do_it", Instance: "nop", Mode: "act"}, {Action: "nop.read_it", Instance: "nop", Mode: "act"}}, Trigger: run.Trigger{Kind: "manual", Actor: "bench"}, Incident: id,
		}
	}
}

// handWritten has the heartbeat of ours: without one, a killed process would be
// noticed only when StartToClose is over.
func (c course) handWritten(ctx workflow.Context, id string) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 30 * time.Second, HeartbeatTimeout: 5 * time.Second})
	for i := range c.steps() {
		if err := workflow.ExecuteActivity(ctx, "call", c.action(i), fmt.Sprintf("%s-%d", id, i)).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// wholeSet is what `quell serve` gives a worker, over stores in dir, with rows
// claimed for the runs of a plan.
func wholeSet(t *testing.T, h *host.Host, dir string, raw []byte) activities.Set {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), ledger.Schema(), guard.Schema(), effects.Schema(), approval.Schema(), runs.Schema(), auth.Schema()); err != nil {
		t.Fatal(err)
	}
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(db, key, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go l.Run(ctx, func(err error) { t.Log(err) })
	g, err := guard.New(guard.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	ef, rs := effects.New(db, l, g, time.Now), runs.New(db, time.Now)
	claimAll(t, db, rs, raw)
	return activities.Set{
		Reader:   &activities.Reader{Host: h},
		Actor:    &activities.Actor{Host: h, Effects: ef, Charter: activities.Everything},
		Recorder: &activities.Recorder{DB: db, Ledger: l, Effects: ef, Approvals: approval.New(db, l, time.Now), Runs: rs},
	}
}

// claimAll stores the rows of the runs to come: a run that nobody claimed has no
// row to end.
func claimAll(t *testing.T, db *store.DB, rs *runs.Runs, raw []byte) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for _, prefix := range []string{"warm", "quiet", "load"} {
			for i := range 240 {
				if _, err := tx.Exec(`INSERT INTO runs (id, tenant, playbook, hash, generation, digest, status, mode, severity, severity_rank, incident, source, trigger_json, inputs, settings, bindings, targets, closing, reason, created, started, ended)
					VALUES (?, 'default', 'ten', ?, 1, ?, 'running', 'act', 'high', 3, '', '', ?, ?, ?, ?, ?, '', '', 0, 0, 0)`,
					fmt.Sprintf("%s/%d/1", prefix, i), fmt.Sprintf("%s-%d", prefix, i), plan.DigestOf(raw), []byte("{}"), []byte("{}"), []byte("{}"), []byte("[]"), []byte("[]")); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type served struct{ host.Catalogue }

func (s served) Names() []string { return s.Actions() }
func (s served) Action(name string) (spec.Action, bool) {
	l := s.Serving(name)
	if len(l) == 0 {
		return spec.Action{}, false
	}
	return l[0].Action, true
}

func (c course) compile(t *testing.T, h *host.Host) (*plan.Plan, []byte) {
	t.Helper()
	var b strings.Builder
	b.WriteString("quell: 1\nplaybook: ten\ntitle: A course of steps\non:\n  manual:\n    roles: [analyst]\ncontain:\n")
	for i := range c.steps() {
		fmt.Fprintf(&b, "  - id: s%d\n    uses: %s\n    with:\n      name: step %d\n", i, c.action(i), i)
	}
	p, list := compile.Compile(source.NewFile("ten.yaml", []byte(b.String())), compile.Options{Actions: served{h.Catalogue()}})
	if p == nil {
		var text strings.Builder
		_ = diag.Render(&text, list)
		t.Fatal(text.String())
	}
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return p, raw
}
