package task

import (
	"encoding/json"
	"time"

	"github.com/quell-soar/quell/workflows/run"
)

// InForceRequest asks what a run did that is in force and can be taken back.
type InForceRequest struct {
	Tenant string `json:"tenant"`
	Run    string `json:"run"`
}

// InForce is one such effect.
type InForce struct {
	Key      string    `json:"key"`
	Action   string    `json:"action"`
	Instance string    `json:"instance"`
	Step     string    `json:"step"`
	Targets  []string  `json:"targets,omitempty"`
	Since    time.Time `json:"since"`
}

// InForceResult lists them, the newest first.
type InForceResult struct {
	Effects []InForce `json:"effects,omitempty"`
}

// ArrangeRequest keeps, beside an effect that happened, the action that takes it
// back. Arranging the same again changes nothing.
type ArrangeRequest struct {
	Place
	Key      string          `json:"key"`
	Action   string          `json:"action"`
	Instance string          `json:"instance"`
	Inputs   json.RawMessage `json:"inputs"`
}

// OpeningRequest asks when a calendar opens, from a time on. The calendar is the
// run's own, as it was at the claim.
type OpeningRequest struct {
	Calendar run.Calendar `json:"calendar"`
	From     time.Time    `json:"from"`
}

// OpeningResult is From itself where it is open then.
type OpeningResult struct {
	At      time.Time `json:"at"`
	Failure *Failure  `json:"failure,omitempty"`
}

// AlertsRequest asks for the alerts that joined a run after the one numbered
// After.
type AlertsRequest struct {
	Tenant string `json:"tenant"`
	Run    string `json:"run"`
	After  int64  `json:"after"`
}

// Alert is one alert that joined a run. Seq counts from 1; Value is what
// expressions see.
type Alert struct {
	Seq   int64           `json:"seq"`
	ID    string          `json:"id"`
	Value json.RawMessage `json:"value"`
}

// AlertsResult lists them in order; More says that there are others.
type AlertsResult struct {
	Alerts []Alert `json:"alerts,omitempty"`
	More   bool    `json:"more,omitempty"`
}

// VerbsRequest asks for the verbs said on a run after the one numbered After.
type VerbsRequest struct {
	Tenant string `json:"tenant"`
	Run    string `json:"run"`
	After  int64  `json:"after"`
}

// VerbsResult lists them in order.
type VerbsResult struct {
	Verbs []run.Verb `json:"verbs,omitempty"`
}

// AnswerRequest stores what a run made of a verb: done, or why not.
type AnswerRequest struct {
	Place
	N      int64  `json:"n"`
	Verb   string `json:"verb"`
	Actor  string `json:"actor"`
	Answer string `json:"answer"`
}

// CallRequest asks for the run that a step calls. The same place and generation
// is the same run.
type CallRequest struct {
	Place
	Generation int    `json:"generation"`
	Callee     string `json:"callee"`
	// CalleeDigest is the digest of the plan that is locked into the caller's.
	CalleeDigest string          `json:"callee_digest"`
	Inputs       json.RawMessage `json:"inputs"`
}

// CallResult is the called run's input without its plan, or why there is none.
type CallResult struct {
	Input   run.Input `json:"input"`
	Failure *Failure  `json:"failure,omitempty"`
}

// FireRequest claims a run for one firing of a schedule. ID is the firing's: the
// same is claimed once.
type FireRequest struct {
	Tenant   string    `json:"tenant"`
	ID       string    `json:"id"`
	Playbook string    `json:"playbook"`
	Schedule int       `json:"schedule"`
	At       time.Time `json:"at"`
}

// The verdicts of a firing.
const (
	// Started: a run was claimed.
	Started = "started"
	// Dropped: the run before still goes, and this one is dropped, on record.
	Dropped = "dropped"
	// Queued: the run before still goes; ask again.
	Queued = "queued"
	// Repeated: this firing was claimed before.
	Repeated = "repeated"
)

// FireResult tells what came of it, or why nothing could.
type FireResult struct {
	Run     string   `json:"run,omitempty"`
	Verdict string   `json:"verdict"`
	Failure *Failure `json:"failure,omitempty"`
}
