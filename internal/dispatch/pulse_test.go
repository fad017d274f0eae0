package dispatch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/workflows/run"
)

// TestRoom: what was just started and what works takes room; what waits does not.
func TestRoom(t *testing.T) {
	now := time.Unix(1000, 0)
	p := NewPulse(func() time.Time { return now })
	d := New(&mocks.Client{}, &shelf{}, &shelf{}, Options{Active: 3, Pulse: p})
	want := func(n int) {
		t.Helper()
		if got := d.room(256); got != n {
			t.Fatalf("room for %d, want %d", got, n)
		}
	}
	want(3)
	p.begin("a") // started
	p.change("b", 1)
	want(1)
	now = now.Add(rest + 1) // a waits now, b works on
	want(2)
	p.change("b", -1)
	want(2)
	now = now.Add(rest + 1)
	want(3)
	if got := New(&mocks.Client{}, &shelf{}, &shelf{}, Options{}).room(7); got != 7 {
		t.Fatalf("without a bound there is room for %d", got)
	}
}

// TestRoomBehind: where activities wait for the process, those whose next one may
// wait too take room, until the lag is over.
func TestRoomBehind(t *testing.T) {
	now := time.Unix(1000, 0)
	p := NewPulse(func() time.Time { return now })
	d := New(&mocks.Client{}, &shelf{}, &shelf{}, Options{Active: 3, Pulse: p})
	p.begin("a")
	p.begin("b")
	now = now.Add(5 * time.Second)
	p.began("a")
	p.began("of another process")
	p.begin("a")
	p.begin("b")
	p.waited(time.Second) // one that was quick says nothing about the others
	for _, step := range []struct {
		after time.Duration
		room  int
	}{{rest + 1, 1}, {6 * time.Second, 1}, {3 * time.Second, 3}} {
		now = now.Add(step.after)
		if got := d.room(256); got != step.room {
			t.Fatalf("at %s room for %d, want %d", now.Sub(time.Unix(1005, 0)), got, step.room)
		}
	}
	p.begin("c")
	p.asks("c")
	now = now.Add(time.Minute)
	if got := d.room(256); got != 2 {
		t.Fatalf("while c waits for its activity room for %d", got)
	}
	p.change("c", 1)
	p.change("c", -1)
	now = now.Add(time.Minute)
	if got := d.room(256); got != 3 {
		t.Fatalf("a minute later room for %d", got)
	}
}

// TestStartsWithSpace starts none while there is no space, and those that wait
// once there is.
func TestStartsWithSpace(t *testing.T) {
	s := &shelf{waiting: []string{"p/1/1", "p/2/1"}}
	c := &mocks.Client{}
	c.On("ExecuteWorkflow", mock.Anything, mock.Anything, run.PlaybookWorkflow, mock.Anything).Return(nil, nil)
	full := errors.New("full")
	d := New(c, s, s, Options{Space: func() error { return full }})
	for _, want := range []int{0, 2} {
		if err := d.starts(t.Context()); err != nil || len(s.started) != want {
			t.Fatalf("%d started, want %d: %v", len(s.started), want, err)
		}
		full = nil
	}
}

// bounded is a shelf that gives no more than it is asked for.
type bounded struct{ *shelf }

func (b bounded) Unstarted(ctx context.Context, limit int, but ...string) ([]runs.Record, error) {
	all, err := b.shelf.Unstarted(ctx, limit, but...)
	return all[:min(limit, len(all))], err
}

// TestStartsWithinTheBound starts as many as there is room for, and more once
// those wait or have ended.
func TestStartsWithinTheBound(t *testing.T) {
	now := time.Unix(1000, 0)
	p := NewPulse(func() time.Time { return now })
	s := &shelf{}
	for i := range 10 {
		s.waiting = append(s.waiting, fmt.Sprintf("p/%d/1", i))
	}
	c := &mocks.Client{}
	c.On("ExecuteWorkflow", mock.Anything, mock.Anything, run.PlaybookWorkflow, mock.Anything).Return(nil, nil)
	d := New(c, bounded{s}, s, Options{Active: 4, Pulse: p})
	for i, want := range []int{4, 4, 8, 10} {
		if i > 1 {
			now = now.Add(rest + 1)
		}
		if err := d.starts(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(s.started) != want {
			t.Fatalf("scan %d: %d started, want %d", i+1, len(s.started), want)
		}
	}
}

// TestPulseFeels counts an activity of a run while it runs.
func TestPulseFeels(t *testing.T) {
	p := NewPulse(time.Now)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{p}})
	seen := -1
	env.RegisterActivityWithOptions(func(context.Context) error { seen = p.Active(); return nil }, activity.RegisterOptions{Name: "x"})
	if _, err := env.ExecuteActivity("x"); err != nil {
		t.Fatal(err)
	}
	if seen != 1 {
		t.Fatalf("while it ran %d were active", seen)
	}
}

// TestDoubts asks about each effect once, also where Temporal knows the question
// already, and again where it could not be asked.
func TestDoubts(t *testing.T) {
	c := &mocks.Client{}
	asked := map[string]int{}
	note := func(a mock.Arguments) { asked[a.Get(3).(run.DoubtInput).Key]++ }
	answers := map[string]error{"new": nil, "known": serviceerror.NewWorkflowExecutionAlreadyStarted("known", "", ""), "down": errors.New("no connection")}
	for key, err := range answers {
		c.On("ExecuteWorkflow", mock.Anything, mock.Anything, run.DoubtWorkflow, mock.MatchedBy(func(in run.DoubtInput) bool { return in.Key == key })).Run(note).Return(nil, err)
	}
	d := New(c, &shelf{}, &shelf{}, Options{Doubts: func(context.Context) ([]run.DoubtInput, error) {
		return []run.DoubtInput{{Key: "new"}, {Key: "known"}, {Key: "down"}}, nil
	}})
	for range 3 {
		if err := d.doubts(t.Context()); err == nil {
			t.Error("a question that could not be asked was not told")
		}
	}
	if asked["new"] != 1 || asked["known"] != 1 || asked["down"] != 3 {
		t.Errorf("asked %v", asked)
	}
}
