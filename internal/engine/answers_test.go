package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
)

// TestAnswers plays answers against a clock of its own.
func TestAnswers(t *testing.T) {
	var a Answers
	now := time.Unix(1000, 0)
	want := func(d time.Duration, why string) {
		t.Helper()
		if got := a.lately(now); got != d {
			t.Errorf("%s: %s, wanted %s", why, got, d)
		}
	}
	answered := func(after time.Duration) {
		sent := a.sent(now)
		now = now.Add(after)
		a.came(sent, now)
	}
	want(0, "nothing was asked")
	answered(20 * time.Millisecond)
	want(20*time.Millisecond, "the first answer is the mean")
	for range 200 {
		answered(100 * time.Millisecond)
	}
	if got := a.lately(now); got < 95*time.Millisecond || got > 100*time.Millisecond {
		t.Errorf("after 200 answers of 100 ms the mean is %s", got)
	}
	hangs := a.sent(now)
	now = now.Add(4 * time.Second)
	want(4*time.Second, "one that is not answered counts by its age")
	a.came(hangs, now)
	if got := a.lately(now); got > 350*time.Millisecond {
		t.Errorf("one slow answer makes the mean %s", got)
	}
	now = now.Add(forgotten)
	want(0, "what was long ago says nothing")
	answered(30 * time.Millisecond)
	want(30*time.Millisecond, "and is not in the mean")
}

// TestAnswersOf counts writes only, failed ones too: a poll waits by design.
func TestAnswersOf(t *testing.T) {
	var a Answers
	call := func(method string, err error) int {
		open := 0
		got := a.intercept(t.Context(), "/temporal.api.workflowservice.v1.WorkflowService/"+method, nil, nil, nil,
			func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
				open = len(a.open)
				return err
			})
		if !errors.Is(got, err) {
			t.Errorf("%s: %v, wanted %v", method, got, err)
		}
		return open
	}
	if n := call("PollWorkflowTaskQueue", nil); n != 0 || !a.last.IsZero() {
		t.Error("a poll is measured")
	}
	if n := call("RespondWorkflowTaskCompleted", errors.New("away")); n != 1 || a.last.IsZero() || len(a.open) != 0 {
		t.Error("a write is not measured")
	}
}
