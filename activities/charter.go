package activities

import (
	"context"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/internal/guard"
)

// Charter is what a run may do now, whatever its workflow asks for.
type Charter struct {
	// Mode is the lowest of the modes that apply: of the run as it was claimed, and
	// of its playbook, trigger, source and instance as they are configured now.
	Mode guard.Mode
	// Trigger is alert or manual; Source and Severity are the alert's.
	Trigger, Source, Severity string
}

// Charters tells the charter of a run on an instance. A run that it does not
// know observes. It is asked before each admission; an error is a fault of the
// store, and the activity is tried again.
type Charters func(ctx context.Context, runID, instance string) (Charter, error)

// Everything is a charter under which the requests' own modes count. It is for
// tests and measurements.
func Everything(context.Context, string, string) (Charter, error) {
	return Charter{Mode: guard.Act}, nil
}

// chartered fills the intent with what the run may do now.
func (e *effort) chartered(ctx context.Context) error {
	c, err := e.Charter(ctx, e.q.Key.Run, e.intent.Instance)
	if err != nil {
		return err
	}
	e.intent.Mode = guard.Lowest(guard.Mode(e.q.Mode), c.Mode)
	e.intent.Trigger, e.intent.Source, e.intent.Severity = c.Trigger, c.Source, c.Severity
	return nil
}

// off is what the workflow hears of an inverse that waits for the kill switch.
func off(no *guard.Refusal) task.ActResult {
	return task.ActResult{Outcome: task.Refused, Detail: no.String()}
}

// refusedError carries the word of the kill switch out of a try.
type refusedError struct{ *guard.Refusal }

func (e *refusedError) Error() string { return e.Refusal.String() }
