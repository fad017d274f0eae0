package activities

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// TestSentAway: where an instance has too much to do an effect and a read go back to the
// engine for as long as it says, with nothing called and nothing in the ledger; not what
// takes an effect back, and not where the step's own time would be over by then.
func TestSentAway(t *testing.T) {
	h := newTorn(t, store.Options{Dir: t.TempDir()})
	s := &shop{t: t, class: spec.Idempotent, readBack: spec.Strong, seen: map[string]bool{}}
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	served := ending{s, &end{}}
	actor := &Actor{Host: served, Effects: h.fx, Charter: Everything}
	env.RegisterActivityWithOptions(actor.Act, activity.RegisterOptions{Name: task.ActActivity})
	env.RegisterActivityWithOptions((&Reader{Host: served}).Read, activity.RegisterOptions{Name: task.ReadActivity})
	key := run.Key{Tenant: "default", Run: "r", Step: "contain.x", Direction: run.Do, Generation: 1}
	do := task.ActRequest{Key: key, Action: "shop.lock", Inst: "shop", Inputs: json.RawMessage(`{"thing":"door"}`), Mode: "act"}
	back := task.ActRequest{Key: run.Key{Tenant: "default", Run: "r", Step: "contain.x", Direction: run.Undo, Generation: 1}, Of: key.String(), Mode: "act"}
	short := do
	short.Timeout = 30 * time.Second
	for _, c := range []struct {
		name, activity string
		crowd          time.Duration
		request        any
		away           bool
	}{
		{"an effect", task.ActActivity, 40 * time.Second, do, true},
		{"a read", task.ReadActivity, 40 * time.Second, task.ReadRequest{Instance: "shop", Action: "shop.lock", Inputs: do.Inputs}, true},
		{"an effect that must end before", task.ActActivity, 40 * time.Second, short, false},
		{"a release", task.ActActivity, 40 * time.Second, back, false},
	} {
		s.crowd = c.crowd
		calls := s.calls
		_, err := env.ExecuteActivity(c.activity, c.request)
		var gone *temporal.ApplicationError
		var instance string
		switch {
		case !c.away:
			if err != nil || s.calls == calls {
				t.Errorf("%s: %d calls, %v", c.name, s.calls-calls, err)
			}
		case !errors.As(err, &gone) || gone.Type() != task.Shut || gone.NextRetryDelay() != c.crowd || gone.Details(&instance) != nil || instance != "shop":
			t.Errorf("%s: %v", c.name, err)
		case s.calls != calls:
			t.Errorf("%s: it was called", c.name)
		}
	}
}

// TestShut lets an instance's circuit be open for a while before, and after, an
// effect is begun. The step waits, or fails as unavailable; no call is made, no
// intent stands in the ledger, and nothing is ever called unknown because of it.
func TestShut(t *testing.T) {
	for _, c := range []struct {
		name    string
		class   spec.Class
		back    spec.ReadBack
		crash   string // where an earlier process ended
		shut    time.Duration
		want    task.Outcome
		calls   int
		atLeast time.Duration
	}{
		{"it closes in time", spec.Once, spec.NoReadBack, "", 20 * time.Second, task.Done, 1, 20 * time.Second},
		{"it stays open", spec.Once, spec.NoReadBack, "", 10 * time.Minute, task.Failed, 0, shutPatience},
		{"it stays open, with a read before", spec.Idempotent, spec.Strong, "", 10 * time.Minute, task.Failed, 0, 0},
		{"an attempt is open, strong", spec.Once, spec.Strong, vendorCommitted, 10 * time.Minute, task.Done, 1, 10 * time.Minute},
		{"an attempt is open, lagging", spec.Once, spec.Lagging, vendorCommitted, 10 * time.Minute, task.Done, 1, 10 * time.Minute},
		{"the outcome is stored", spec.Once, spec.NoReadBack, outcomeStored, 10 * time.Minute, task.Done, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				h := newTorn(t, store.Options{Dir: dir})
				s := &shop{t: t, class: c.class, readBack: c.back, seen: map[string]bool{}}
				q := task.ActRequest{
					Key:    run.Key{Tenant: "default", Run: "r", Step: "contain.x", Direction: run.Do, Generation: 1},
					Action: "shop.lock", Inst: "shop", Inputs: json.RawMessage(`{"thing":"door"}`), Mode: "act",
				}
				if c.crash != "" {
					h.live(s, q, c.crash)
				}
				began := time.Now()
				s.shutUntil = began.Add(c.shut)
				r := h.live(s, q, "")
				if r == nil || r.Outcome != c.want || s.calls != c.calls || time.Since(began) < c.atLeast {
					t.Fatalf("%+v after %s and %d calls", r, time.Since(began), s.calls)
				}
				if c.want == task.Failed && (r.Failure.Kind != string(spec.Unavailable) || !strings.Contains(r.Failure.Message, "circuit")) {
					t.Errorf("%+v", r.Failure)
				}
				list, err := h.fx.Stack(t.Context(), "default", "r", nil)
				if err != nil || c.want == task.Failed && len(list) != 0 {
					t.Errorf("%d effects are stored, %v", len(list), err)
				}
			})
		})
	}
}
