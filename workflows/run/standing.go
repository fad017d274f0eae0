package run

import (
	"encoding/json"
	"time"
)

// Standing is where a run goes on that continued as new: it did so between two
// rounds of a loop that stands in no other loop, no parallel and under no
// approval or time-out. Everything else that it needs stands in the stores.
type Standing struct {
	Started time.Time `json:"started"`
	Phase   string    `json:"phase"`
	Closing string    `json:"closing"`
	Reason  string    `json:"reason,omitempty"`
	// Stack are the steps that were under way, the outermost first; the last is
	// the loop.
	Stack []Level `json:"stack"`
	Loop  Loop    `json:"loop"`
	// Steps, Outcome and Errors are what expressions see; Inputs are the defaults
	// that were filled in.
	Inputs  json.RawMessage `json:"inputs,omitempty"`
	Steps   json.RawMessage `json:"steps,omitempty"`
	Outcome json.RawMessage `json:"outcome,omitempty"`
	Errors  json.RawMessage `json:"errors,omitempty"`
	// The counters of the interpreter.
	Asked     map[string]int       `json:"asked,omitempty"`
	Tried     map[string]int       `json:"tried,omitempty"`
	Taken     map[string]int64     `json:"taken,omitempty"`
	Served    map[string]string    `json:"served,omitempty"`
	HeldUntil map[string]time.Time `json:"held_until,omitempty"`
	Reached   map[string]int       `json:"reached,omitempty"`
	Lent      map[string]int       `json:"lent,omitempty"`
	Obeyed    int64                `json:"obeyed,omitempty"`
	Paused    string               `json:"paused,omitempty"`
	Owners    []string             `json:"owners,omitempty"`
	// Tree is the tree so far, without the rounds that went well.
	Tree []StepProgress `json:"tree,omitempty"`
}

// Level is one step that was under way. Case is the text by which a switch chose.
type Level struct {
	Path string `json:"path"`
	Case string `json:"case,omitempty"`
}

// Loop is how far a loop was: Next is the round to come, Began when its time
// began.
type Loop struct {
	Next  int       `json:"next"`
	Began time.Time `json:"began,omitzero"`
	// Counts are how many rounds had which outcome, OK how many went well; Rounds
	// are their records, where an expression reads them.
	Counts map[string]int  `json:"counts,omitempty"`
	OK     int             `json:"ok,omitempty"`
	Rounds json.RawMessage `json:"rounds,omitempty"`
}
