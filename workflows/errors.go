package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/playbooks/expr"
)

// stepError is a step's failure; on_error decides what it means.
type stepError struct{ task.Failure }

func (e *stepError) Error() string { return e.Kind + ": " + e.Message }

// ending unwinds to review: a stop, a denied approval, or a failure that nobody
// handled.
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
		return &stepError{task.Failure{Kind: "expression", Message: ee.Error()}}
	}
	return &stepError{task.Failure{Kind: "expression", Message: err.Error()}}
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
