package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/workflows/run"
)

// TestHeldUp: a run all of whose activities wait for connectors takes no room, and
// takes it again once one goes on.
func TestHeldUp(t *testing.T) {
	now := time.Unix(1000, 0)
	p := NewPulse(func() time.Time { return now })
	want := func(active int, waited ...string) {
		t.Helper()
		if got := p.Active(); got != active {
			t.Fatalf("%d active, want %d", got, active)
		}
		if got := slices.Sorted(maps.Keys(p.Held())); !slices.Equal(got, waited) {
			t.Fatalf("runs wait for %v, want %v", got, waited)
		}
	}
	p.change("a", 1)
	p.change("b", 1)
	p.change("b", 1)
	aOver, bOver := p.waits("a", "falcon"), p.waits("b", "falcon")
	want(2) // each call may wait a little
	now = now.Add(patience)
	want(1, "falcon") // the other activity of b works
	again := p.waits("b", "entra")
	want(1, "falcon")
	now = now.Add(patience)
	want(0, "entra", "falcon")
	if got := p.Held(); got["falcon"] != 2 || got["entra"] != 1 {
		t.Fatalf("%v", got)
	}
	now = now.Add(remembered + rest) // it is not forgotten
	want(0, "entra", "falcon")
	bOver()
	want(1, "falcon")
	again()
	aOver()
	want(2)
	p.change("a", -1)
	p.change("b", -1)
	p.change("b", -1)
	now = now.Add(rest + 1)
	want(0)
}

// TestHeldBack: a run whose activity went back to the engine until its connector
// takes calls again waits for that long, and its error says for which.
func TestHeldBack(t *testing.T) {
	now := time.Unix(1000, 0)
	p := NewPulse(func() time.Time { return now })
	p.change("a", 1)
	p.returned("a", fmt.Errorf("wrapped: %w", temporal.NewApplicationErrorWithOptions("the circuit is open", task.Shut,
		temporal.ApplicationErrorOptions{NextRetryDelay: 20 * time.Second, Details: []any{"falcon"}})))
	p.change("a", -1)
	p.returned("b", errors.New("the store is away"))
	for _, step := range []struct {
		after time.Duration
		waits int
	}{{rest + 1, 1}, {17 * time.Second, 1}, {2 * time.Second, 0}} {
		now = now.Add(step.after)
		if got := p.Held(); got["falcon"] != step.waits || p.Active() != 0 {
			t.Fatalf("after %s %v and %d are active", now.Sub(time.Unix(1000, 0)), got, p.Active())
		}
	}
}

// TestPulseFeelsWaits: the pulse is what the host tells of waits.
func TestPulseFeelsWaits(t *testing.T) {
	p := NewPulse(time.Now)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{p}})
	env.RegisterActivityWithOptions(func(ctx context.Context) error {
		over := host.Waits(ctx, "falcon")
		defer over()
		for _, r := range p.runs {
			if r.sitting["falcon"] != 1 {
				return errors.New("nothing sits")
			}
			return nil
		}
		return errors.New("there is no run")
	}, activity.RegisterOptions{Name: "x"})
	if _, err := env.ExecuteActivity("x"); err != nil {
		t.Fatal(err)
	}
}

// TestStartsPastTheCrowd: runs whose connector has a crowd are not asked for, and
// are again once it is gone.
func TestStartsPastTheCrowd(t *testing.T) {
	now := time.Unix(1000, 0)
	p := NewPulse(func() time.Time { return now })
	s := &shunning{shelf: &shelf{waiting: []string{"p/1/1"}}}
	c := &mocks.Client{}
	c.On("ExecuteWorkflow", mock.Anything, mock.Anything, run.PlaybookWorkflow, mock.Anything).Return(nil, nil)
	d := New(c, s, s, Options{Active: 4, Pulse: p})
	var over []func()
	for i := range 2 {
		id := fmt.Sprint("held/", i)
		p.change(id, 1)
		over = append(over, p.waits(id, "falcon"))
	}
	for _, want := range []string{"[]", "[falcon]", "[]"} {
		if err := d.starts(t.Context()); err != nil || fmt.Sprint(s.but) != want {
			t.Fatalf("asked for runs but those of %v, want %s: %v", s.but, want, err)
		}
		if now = now.Add(patience); want == "[falcon]" {
			over[0]()
		}
	}
}

// TestCrowds: half of the runs that may work are a crowd at one instance, and a tenth
// once as many wait as may work.
func TestCrowds(t *testing.T) {
	for _, c := range []struct {
		held map[string]int
		want string
	}{
		{map[string]int{"a": 19}, "[]"},
		{map[string]int{"a": 20, "b": 19}, "[a]"},
		{map[string]int{"a": 19, "b": 18, "c": 4, "d": 3}, "[a b c]"},
		{map[string]int{"a": 18, "b": 18, "c": 3}, "[]"},
	} {
		now := time.Unix(1000, 0)
		p := NewPulse(func() time.Time { return now })
		for instance, n := range c.held {
			for i := range n {
				id := fmt.Sprint(instance, i)
				p.change(id, 1)
				p.waits(id, instance)
			}
		}
		now = now.Add(patience)
		if got := fmt.Sprint(New(&mocks.Client{}, &shelf{}, &shelf{}, Options{Active: 40, Pulse: p}).Crowded()); got != c.want {
			t.Errorf("%v: %s, want %s", c.held, got, c.want)
		}
	}
}

// shunning remembers what the dispatcher did not ask for.
type shunning struct {
	*shelf
	but []string
}

func (s *shunning) Unstarted(ctx context.Context, limit int, but ...string) ([]runs.Record, error) {
	s.but = but
	return s.shelf.Unstarted(ctx, limit, but...)
}
