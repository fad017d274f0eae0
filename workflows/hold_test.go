package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/workflows/run"
)

const (
	aDay  = 24 * time.Hour
	aWeek = 7 * aDay
)

// holding is a hold in skipped time: the store and the people behind it, by the time
// since the hold began, and what it did, each with its day.
type holding struct {
	t     *testing.T
	env   *testsuite.TestWorkflowEnvironment
	began time.Time
	did   []string
	// released is when the effect was taken back, by the hold or by others; 0 never.
	released time.Duration
	// undecided is until when the effect itself has no outcome.
	undecided time.Duration
	// never: the run did not come to ask for the effect; it might have until asking.
	never  bool
	asking time.Duration
	// late is when the effect happened, for which the run asked only then.
	late time.Duration
	// says are what people say to the n-th question, and how long they take.
	says  []answerAfter
	asked int
	// open is when the present question was asked.
	open time.Duration
	// failing is until when a release cannot be done.
	failing time.Duration
	// off is until when releases that nobody asked for wait, as under the kill switch.
	off  time.Duration
	acts []task.ActRequest
	// keys are those of the tries to release.
	keys       []string
	executions int
}

type answerAfter struct {
	after time.Duration
	yes   bool
}

func (h *holding) now() time.Duration { return h.env.Now().Sub(h.began) }

// wrote notes what the hold did, with the time since it began.
func (h *holding) wrote(what string) {
	h.did = append(h.did, fmt.Sprintf("%s %s", days(h.now()), what))
}

// days is a duration as people count holds: 21d, 21d10m.
func days(d time.Duration) string {
	d = d.Round(time.Second)
	out := fmt.Sprintf("%dd", d/aDay)
	if rest := d % aDay; rest > 0 {
		out += strings.Replace(strings.TrimSuffix(rest.String(), "0s"), "h0m", "h", 1)
	}
	return out
}

func (h *holding) register() {
	reg := func(name string, f any) { h.env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name}) }
	reg(task.HeldActivity, func(context.Context, task.HeldRequest) (task.HeldResult, error) {
		at := h.now()
		if h.never || at < h.late {
			return task.HeldResult{Open: true, Asks: at < max(h.asking, h.late)}, nil
		}
		return task.HeldResult{
			Known: true, Open: at < h.undecided, Age: max(at-h.late, 1),
			Held: at >= h.undecided && (h.released == 0 || at < h.released),
		}, nil
	})
	reg(task.ActActivity, func(_ context.Context, q task.ActRequest) (task.ActResult, error) {
		h.acts = append(h.acts, q)
		if h.now() < h.off {
			return task.ActResult{Outcome: task.Refused, Detail: "the kill switch is on"}, nil
		}
		// A try that failed is stored, as in the effects store: the same key is answered
		// from there.
		if slices.Contains(h.keys, q.Key.String()) {
			return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: "permission", Message: "no"}}, nil
		}
		if h.now() < h.failing {
			h.keys = append(h.keys, q.Key.String())
			return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: "permission", Message: "no"}}, nil
		}
		h.released = max(h.now(), 1)
		h.wrote("released by " + q.Actor)
		return task.ActResult{Outcome: task.Done}, nil
	})
	reg(task.OpenActivity, func(_ context.Context, q task.OpenRequest) error {
		h.asked++
		h.open = h.now()
		what := "asks "
		if strings.Contains(q.Text, "could not be released in 6 tries (permission: no)") {
			what = "asks anew "
		}
		h.wrote(what + strings.Join(q.Levels[0].Who, " "))
		if h.asked <= len(h.says) {
			a := h.says[h.asked-1]
			update(h.env, a.after, run.UpdateVoted, fmt.Sprint("vote-", h.asked), run.Voted{Request: q.ID}, nil)
			// A look on the way changes nothing about the question.
			h.env.RegisterDelayedCallback(func() { h.env.SignalWorkflow(signalLook, nil) }, a.after/2)
		}
		return nil
	})
	reg(task.TallyActivity, func(context.Context, task.TallyRequest) (task.TallyResult, error) {
		if h.asked > len(h.says) || h.now() < h.open+h.says[h.asked-1].after {
			return task.TallyResult{State: "open"}, nil
		}
		if h.says[h.asked-1].yes {
			return task.TallyResult{State: "approved", By: []string{"user:lena"}}, nil
		}
		return task.TallyResult{State: "denied", By: []string{"user:lena"}}, nil
	})
	reg(task.CloseActivity, func(context.Context, task.CloseRequest) error { return nil })
	reg(task.NoteActivity, func(_ context.Context, q task.NoteRequest) error {
		h.wrote(q.Kind)
		return nil
	})
}

// play runs the hold from execution to execution to its end. length is what each is
// told of its history's length; looks are when something about the effect changes.
func (h *holding) play(in run.HoldInput, length int, looks []time.Duration) (end string) {
	h.t.Helper()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h.began = at
	for {
		h.executions++
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(quiet{})
		h.env = suite.NewTestWorkflowEnvironment()
		h.env.SetStartTime(at)
		h.env.SetTestTimeout(time.Minute)
		h.env.SetCurrentHistoryLength(length)
		New().Register(h.env)
		h.register()
		for _, l := range looks {
			if wait := l - h.now(); wait > 0 || h.executions == 1 {
				h.env.RegisterDelayedCallback(func() { h.env.SignalWorkflow(signalLook, nil) }, wait)
			}
		}
		h.env.ExecuteWorkflow(run.HoldWorkflow, in)
		at = h.env.Now()
		err := h.env.GetWorkflowError()
		var anew *workflow.ContinueAsNewError
		if errors.As(err, &anew) {
			in = run.HoldInput{}
			if err := converter.GetDefaultDataConverter().FromPayloads(anew.Input, &in); err != nil {
				h.t.Fatal(err)
			}
			continue
		}
		if err != nil {
			h.t.Fatal(err)
		}
		if err := h.env.GetWorkflowResult(&end); err != nil {
			h.t.Fatal(err)
		}
		return end
	}
}

// TestHoldWeeks plays holds of three weeks in skipped time: each way to end, what
// people say and when, what changes meanwhile; in one execution and in as many as
// there can be.
func TestHoldWeeks(t *testing.T) {
	for _, c := range []struct {
		name  string
		then  string
		world holding
		looks []time.Duration
		did   []string
		end   string
		// anew is whether there is a place at which the hold can go on in another
		// execution.
		anew bool
	}{
		{"released by itself", "release", holding{}, nil, []string{"21d released by hold"}, "released", false},
		{"kept", "keep", holding{}, nil, []string{"21d hold.kept"}, "kept", false},
		{
			"asked, and let go two days later", "ask",
			holding{says: []answerAfter{{2 * aDay, true}}},
			nil,
			[]string{"21d asks ir-lead", "23d released by user:lena"},
			"released", false,
		},
		{
			"kept once, then let go: the time begins anew with the word", "ask",
			holding{says: []answerAfter{{aDay, false}, {time.Hour, true}}},
			nil,
			[]string{"21d asks ir-lead", "22d hold.renewed", "43d asks ir-lead", "43d1h released by user:lena"},
			"released", true,
		},
		{"kept for three quarters of a year", "ask", holding{says: slices.Concat(slices.Repeat([]answerAfter{{0, false}}, 12), []answerAfter{{0, true}})}, nil, nil, "released", true},
		{
			"nobody answers for eight weeks", "ask",
			holding{says: []answerAfter{{8 * aWeek, true}}},
			nil,
			[]string{"21d asks ir-lead", "77d released by user:lena"},
			"released", false,
		},
		{"undone on the fifth day", "ask", holding{released: 5 * aDay}, []time.Duration{5 * aDay}, nil, "released", false},
		{"undone on the fifth day, and the word of it is lost", "release", holding{released: 5 * aDay}, nil, nil, "released", false},
		{
			"another run joins and leaves", "release",
			holding{},
			[]time.Duration{3 * aDay, 4 * aDay, 4 * aDay, 20 * aDay},
			[]string{"21d released by hold"},
			"released", true,
		},
		{"the run never came to it", "release", holding{never: true}, nil, nil, "never", false},
		{"the run ends two days later and never came to it", "release", holding{never: true, asking: 23*aDay + time.Minute}, nil, nil, "never", true},
		{"the run comes to it on the fifth day", "release", holding{late: 5 * aDay}, nil, []string{"26d released by hold"}, "released", true},
		{"the run comes to it after the time", "release", holding{late: 24*aDay + time.Minute}, nil, []string{"45d1m released by hold"}, "released", true},
		{
			"the run comes to it after the time, and they keep it", "ask",
			holding{late: 24 * aDay, says: []answerAfter{{aDay, false}, {0, true}}},
			nil,
			[]string{"45d asks ir-lead", "46d hold.renewed", "67d asks ir-lead", "67d released by user:lena"},
			"released", true,
		},
		{"it happens after the time, and is undone on the third day", "release", holding{late: 24 * aDay, released: 27 * aDay}, []time.Duration{27 * aDay}, nil, "released", true},
		{"the effect is not decided for three hours more", "release", holding{undecided: 21*aDay + 3*time.Hour}, nil, []string{"21d3h released by hold"}, "released", true},
		{"the kill switch is on for two days more", "release", holding{off: 23 * aDay}, nil, []string{"23d released by hold"}, "released", true},
		{"the vendor refuses for ten days more", "release", holding{failing: 31 * aDay}, nil, []string{"31d50m released by hold"}, "released", true},
		{
			"the vendor refuses for half an hour, by a person's word", "ask",
			holding{failing: 21*aDay + 30*time.Minute, says: []answerAfter{{0, true}}},
			nil,
			[]string{"21d asks ir-lead", "21d30m released by user:lena"},
			"released", true,
		},
		{
			"the vendor refuses for longer, and they are asked again", "ask",
			holding{failing: 21*aDay + 55*time.Minute, says: []answerAfter{{0, true}, {time.Hour, true}}},
			nil,
			[]string{"21d asks ir-lead", "21d1h asks anew ir-lead", "21d2h released by user:lena"},
			"released", true,
		},
	} {
		for _, length := range []int{0, mostEvents + 1} {
			t.Run(fmt.Sprintf("%s/%d", c.name, length), func(t *testing.T) {
				h := c.world
				h.t = t
				in := run.HoldInput{
					Tenant: "default", Run: "p/x/1", Key: key("contain.isolate", "", 1), For: 3 * aWeek, Then: c.then,
					Action: "edr.isolate_host", Instance: "falcon", Labels: []string{"ws-1"}, Pages: []string{"ir-lead"},
				}
				end := h.play(in, length, c.looks)
				if end != c.end || c.did != nil && !slices.Equal(h.did, c.did) {
					t.Errorf("it ended %s and did %q, want %s %q", end, h.did, c.end, c.did)
				}
				if (length > 0 && c.anew) != (h.executions > 1) {
					t.Errorf("%d executions", h.executions)
				}
				for _, q := range h.acts {
					if q.Actor == byItself && (!q.Began.Equal(h.began.Add(h.late)) || q.Due.Sub(q.Began) != 3*aWeek || !q.Unattended) {
						t.Errorf("the release says that it is due by %s since %s", q.Due, q.Began)
					}
				}
				t.Logf("ended %s after %s in %d executions, asked %d times, %d tries: %q", end, days(h.now()), h.executions, h.asked, len(h.acts), h.did)
			})
		}
	}
}
