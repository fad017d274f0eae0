package run

import "time"

// The Updates and the Query of a run. An Update carries no decision: its handler
// records that something new stands in Quell's store and returns at once; the
// workflow then reads the store. So a client that reaches Temporal past Quell's
// API can make a run look again, and can decide nothing.
const (
	// UpdateVoted says that a vote on a request was stored, or something else that
	// was done to it. Its body is Voted.
	UpdateVoted = "voted"
	// UpdateVerb says that a verb was stored. Its body is Said.
	UpdateVerb = "verb"
	// UpdateAlerted says that alerts joined the run. Its body is Alerted. A run is
	// told once, and again only after it has looked.
	UpdateAlerted = "alerted"
	// QueryProgress returns Progress.
	QueryProgress = "progress"
)

// Voted is the body of UpdateVoted.
type Voted struct {
	Request string `json:"request"`
}

// Said is the body of UpdateVerb: N is the verb's number in its run.
type Said struct {
	N int64 `json:"n"`
}

// Alerted is the body of UpdateAlerted.
type Alerted struct{}

// The verbs that people have on a run. Undo is a workflow of its own.
const (
	// Pause lets what is under way end and begins no further step; Resume goes on.
	Pause  = "pause"
	Resume = "resume"
	// Cancel ends the run with its review. Effects stay as they are.
	Cancel = "cancel"
	// RetryStep answers the question about a failed step with: try it again.
	RetryStep = "retry_step"
	// SkipStep ends a step that waits, or answers the question about a failed one.
	SkipStep = "skip_step"
	// HandOver makes others the ones whom the run asks from now on.
	HandOver = "hand_over"
)

// Verbs lists the verbs.
func Verbs() []string { return []string{Pause, Resume, Cancel, RetryStep, SkipStep, HandOver} }

// Verb is one verb that a person said on a run, as it was stored. The API checks
// who may say it; the run checks whether it makes sense there and then.
type Verb struct {
	// N counts the verbs of a run, from 1.
	N    int64  `json:"n"`
	Verb string `json:"verb"`
	// Step and Iteration name a step, for retry_step and skip_step.
	Step      string `json:"step,omitempty"`
	Iteration string `json:"iteration,omitempty"`
	// To are the roles and duties that hand_over names.
	To     []string  `json:"to,omitempty"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}
