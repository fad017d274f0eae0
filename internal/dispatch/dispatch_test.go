package dispatch

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/workflows/run"
)

// shelf is a store in memory: runs that wait and votes that were not told.
type shelf struct {
	mu      sync.Mutex
	waiting []string
	votes   []Delivery
	started []string
}

func (s *shelf) Unstarted(context.Context, int, ...string) ([]runs.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []runs.Record
	for _, id := range s.waiting {
		out = append(out, runs.Record{ID: id, Severity: "high"})
	}
	return out, nil
}

func (s *shelf) InputFor(_ context.Context, id string) (run.Input, error) {
	return run.Input{Run: id, Playbook: "p", Plan: make([]byte, run.MaxInlinePlan+1)}, nil
}

func (s *shelf) MarkStarted(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = append(s.started, id)
	s.waiting = slices.DeleteFunc(s.waiting, func(w string) bool { return w == id })
	return nil
}

func (s *shelf) Undelivered(context.Context) ([]Delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.votes), nil
}

func (s *shelf) Delivered(_ context.Context, vote string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.votes = slices.DeleteFunc(s.votes, func(d Delivery) bool { return d.Vote == vote })
	return nil
}

// TestStarts starts what waits. A run that Temporal knows was started before a
// crash; one that Temporal cannot take waits for the next scan.
func TestStarts(t *testing.T) {
	s := &shelf{waiting: []string{"p/new/1", "p/known/1", "p/down/1"}}
	c := &mocks.Client{}
	var sent []run.Input
	var mu sync.Mutex
	by := func(id string) any {
		return mock.MatchedBy(func(o client.StartWorkflowOptions) bool { return o.ID == id })
	}
	keep := func(a mock.Arguments) { mu.Lock(); defer mu.Unlock(); sent = append(sent, a.Get(3).(run.Input)) }
	c.On("ExecuteWorkflow", mock.Anything, by("p/new/1"), run.PlaybookWorkflow, mock.Anything).Run(keep).Return(nil, nil)
	c.On("ExecuteWorkflow", mock.Anything, by("p/known/1"), run.PlaybookWorkflow, mock.Anything).Return(nil, serviceerror.NewWorkflowExecutionAlreadyStarted("known", "", ""))
	c.On("ExecuteWorkflow", mock.Anything, by("p/down/1"), run.PlaybookWorkflow, mock.Anything).Return(nil, errors.New("no connection"))
	if err := New(c, s, s, Options{}).starts(t.Context()); err == nil {
		t.Error("a start that failed was not told")
	}
	slices.Sort(s.started)
	if !slices.Equal(s.started, []string{"p/known/1", "p/new/1"}) || !slices.Equal(s.waiting, []string{"p/down/1"}) {
		t.Errorf("started %v, waiting %v", s.started, s.waiting)
	}
	if len(sent) != 1 || len(sent[0].Plan) != 0 {
		t.Error("a plan too large for the input travelled in it")
	}
}

// TestWakes tells workflows of votes, each by the vote's own id so that twice is
// once. A workflow that is gone needs no telling.
func TestWakes(t *testing.T) {
	s := &shelf{votes: []Delivery{{"v1", "p/x/1#a##1"}, {"v2", "p/gone/1#a##1"}, {"v3", "p/down/1#a##1"}}}
	c := &mocks.Client{}
	to := func(workflow, vote string) any {
		return mock.MatchedBy(func(o client.UpdateWorkflowOptions) bool {
			return o.WorkflowID == workflow && o.UpdateID == vote && o.UpdateName == run.UpdateVoted
		})
	}
	c.On("UpdateWorkflow", mock.Anything, to("p/x/1", "v1")).Return(nil, nil)
	c.On("UpdateWorkflow", mock.Anything, to("p/gone/1", "v2")).Return(nil, serviceerror.NewNotFound("gone"))
	c.On("UpdateWorkflow", mock.Anything, to("p/down/1", "v3")).Return(nil, errors.New("no worker"))
	var log bytes.Buffer
	d := New(c, s, s, Options{Log: zerolog.New(&log)})
	if err := d.wakes(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.errands.wg.Wait()
	if !strings.Contains(log.String(), "no worker") {
		t.Errorf("a delivery that failed was not told: %s", &log)
	}
	if len(s.votes) != 1 || s.votes[0].Vote != "v3" {
		t.Errorf("undelivered %v", s.votes)
	}
}

// TestWakesPastAStuckOne: a workflow that does not answer holds up no other one,
// and is told of the next thing as soon as it answered.
func TestWakesPastAStuckOne(t *testing.T) {
	s := &shelf{votes: []Delivery{{"v1", "p/stuck/1#a##1"}, {"v2", "p/well/1#a##1"}}}
	c := &mocks.Client{}
	to := func(vote string) any {
		return mock.MatchedBy(func(o client.UpdateWorkflowOptions) bool { return o.UpdateID == vote })
	}
	answers := make(chan struct{})
	c.On("UpdateWorkflow", mock.Anything, to("v1")).Run(func(mock.Arguments) { <-answers }).Return(nil, nil)
	told := make(chan string, 2)
	note := func(a mock.Arguments) { told <- a.Get(1).(client.UpdateWorkflowOptions).UpdateID }
	for _, vote := range []string{"v2", "v3"} {
		c.On("UpdateWorkflow", mock.Anything, to(vote)).Run(note).Return(nil, nil)
	}
	ctx, stop := context.WithCancel(t.Context())
	d := New(c, s, s, Options{Scan: time.Hour})
	var wg sync.WaitGroup
	wg.Go(func() { d.Run(ctx) })
	defer wg.Wait()
	defer stop()
	if got := <-told; got != "v2" {
		t.Fatalf("told of %s", got)
	}
	s.mu.Lock()
	s.votes = append(s.votes, Delivery{"v3", "p/stuck/1#b##1"})
	s.mu.Unlock()
	d.Nudge()
	for busy := true; busy; { // until the scan has met the one that is stuck
		d.errands.mu.Lock()
		busy = !d.errands.out["p/stuck/1"]
		d.errands.mu.Unlock()
		runtime.Gosched()
	}
	close(answers)
	if got := <-told; got != "v3" {
		t.Fatalf("told of %s", got)
	}
}

// TestErrandsRest leaves a workflow alone for a while that could not be told.
func TestErrandsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newErrands(func() {})
		tries := 0
		for range 600 { // a minute
			e.run(t.Context(), "p/down/1", func() error { tries++; return errors.New("no worker") })
			e.wg.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if tries < 12 || tries > 17 { // 0.5 s, 1 s, 2 s, 4 s, then every 5 s
			t.Errorf("tried %d times in a minute", tries)
		}
	})
}

// TestNudge never blocks, however often it is called.
func TestNudge(*testing.T) {
	d := New(&mocks.Client{}, &shelf{}, &shelf{}, Options{})
	for range 100 {
		d.Nudge()
	}
}
