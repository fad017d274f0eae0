package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/playbooks/expr"
)

// stepError is a step's failure; the on_error of the step, and then of the blocks
// around it, decides what it means. at is the path of the step that failed, once
// it has left it.
type stepError struct {
	task.Failure
	at string
}

func (e *stepError) Error() string {
	if e.at == "" {
		return e.Kind + ": " + e.Message
	}
	return "step " + e.at + ": " + e.Kind + ": " + e.Message
}

// failed makes a step's failure.
func failed(kind, format string, args ...any) error {
	return &stepError{Failure: task.Failure{Kind: kind, Message: fmt.Sprintf(format, args...)}}
}

// ending unwinds to review, past every on_error: a stop, a denied approval, a
// person's word that the run shall stop.
type ending struct {
	closing string
	reason  string
}

func (e *ending) Error() string { return e.closing + ": " + e.reason }

// The ways in which a run closes, beside the classes of stop.
const (
	closedCompleted = "completed"
	closedFailed    = "failed"
	closedDenied    = "denied"
	closedCancelled = "cancelled"
)

// asFailure turns an error of an expression into a step's failure; nil stays
// nil.
func asFailure(err error) error {
	if err == nil {
		return nil
	}
	var ee *expr.EvalError
	if errors.As(err, &ee) {
		return failed("expression", "%s", ee.Error())
	}
	return failed("expression", "%s", err.Error())
}

// failureOf returns the failure inside err, if err is one that on_error may
// handle. Cancellations and endings are not, nor is nil.
func failureOf(err error) (*task.Failure, bool) {
	if err == nil {
		return nil, false
	}
	var se *stepError
	if errors.As(err, &se) {
		return &se.Failure, true
	}
	var en *ending
	if errors.As(err, &en) || temporal.IsCanceledError(err) {
		return nil, false
	}
	var te *temporal.TimeoutError
	if errors.As(err, &te) {
		return &task.Failure{Kind: "timeout", Message: err.Error()}, true
	}
	return &task.Failure{Kind: "internal", Message: err.Error()}, true
}
