package api

import (
	"encoding/json"
	"time"

	"github.com/quell-soar/quell/workflows/run"
)

// RunStatus is where a run stands.
type RunStatus string

// The statuses of a run.
const (
	// RunWaiting: claimed, not yet started by the dispatcher.
	RunWaiting RunStatus = "waiting"
	// RunRunning: the workflow was started and has not ended.
	RunRunning RunStatus = "running"
	// RunEnded: it ended; Closing says how.
	RunEnded RunStatus = "ended"
)

// Run is one run in a list.
type Run struct {
	ID       string      `json:"id"`
	Playbook string      `json:"playbook"`
	Digest   string      `json:"digest"`
	Status   RunStatus   `json:"status"`
	Mode     string      `json:"mode"`
	Severity string      `json:"severity,omitempty"`
	Incident string      `json:"incident"`
	Trigger  run.Trigger `json:"trigger"`
	// Closing and Reason are set once it ended.
	Closing string    `json:"closing,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Created time.Time `json:"created"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
}

// RunDetail is everything about one run.
type RunDetail struct {
	Run
	Inputs json.RawMessage `json:"inputs,omitempty"`
	// Outputs are set once it ended.
	Outputs json.RawMessage `json:"outputs,omitempty"`
	// Tree is its progress; nil while it waits, or where the engine has
	// forgotten it and it left no result.
	Tree *run.Progress `json:"tree,omitempty"`
	// TreeError says why there is no tree though there should be one.
	TreeError string `json:"tree_error,omitempty"`
	// Alerts are the ids of the alerts that started or joined it.
	Alerts    []string   `json:"alerts,omitempty"`
	Entries   []Entry    `json:"entries,omitempty"`
	Effects   []Effect   `json:"effects,omitempty"`
	Approvals []Approval `json:"approvals,omitempty"`
}

// StartRun launches a playbook by hand.
type StartRun struct {
	Playbook string `json:"playbook"`
	// Inputs are JSON values, or texts as a person types them: each is read by
	// the type of its input.
	Inputs   map[string]json.RawMessage `json:"inputs,omitempty"`
	Incident string                     `json:"incident,omitempty"`
	Severity string                     `json:"severity,omitempty"`
	// Mode may lower the playbook's mode for this run, never raise it.
	Mode   string `json:"mode,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Started answers StartRun.
type Started struct {
	Run string `json:"run"`
	// Repeated says that the idempotency key was seen before and Run is the run
	// of the first time.
	Repeated bool `json:"repeated,omitempty"`
}

// RunFilter narrows a list of runs. Zero fields do not narrow.
type RunFilter struct {
	Playbook string
	Status   RunStatus
	Closing  string
	Incident string
	// Limit is at most 200; 0 means 50.
	Limit int
	// Cursor is Next of the page before.
	Cursor string
}

// Runs is a page of runs, newest first.
type Runs struct {
	Runs []Run `json:"runs"`
	// Next is the cursor of the next page, empty on the last.
	Next string `json:"next,omitempty"`
}

// Effect is one effect of a run, as the effects store has it.
type Effect struct {
	Key       string   `json:"key"`
	Run       string   `json:"run"`
	Step      string   `json:"step"`
	Iteration string   `json:"iteration,omitempty"`
	Direction string   `json:"direction"`
	Action    string   `json:"action"`
	Instance  string   `json:"instance,omitempty"`
	Targets   []string `json:"targets,omitempty"`
	// Outcome is empty while the effect is on its way.
	Outcome string `json:"outcome,omitempty"`
	Detail  string `json:"detail,omitempty"`
	// Undone is the key of the effect that took it back.
	Undone string `json:"undone,omitempty"`
	// Approval is the request that approved it.
	Approval string    `json:"approval,omitempty"`
	Intended time.Time `json:"intended,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
}

// UndoRun takes back what a run did.
type UndoRun struct {
	// Steps limits it to effects of these step paths; empty means all.
	Steps  []string `json:"steps,omitempty"`
	Reason string   `json:"reason"`
}

// Undo is an undo that was started.
type Undo struct {
	ID string `json:"id"`
	// Done says that Result is there.
	Done   bool            `json:"done"`
	Result *run.UndoResult `json:"result,omitempty"`
}

// CancelRun stops a run. What it did stays until it is undone.
type CancelRun struct {
	Reason string `json:"reason"`
}

// EventType is the sort of an event of a watched run.
type EventType string

// The events of a watched run.
const (
	// EventEntry carries one ledger entry; its id is the entry's number.
	EventEntry EventType = "entry"
	// EventProgress carries the whole tree, when it changed.
	EventProgress EventType = "progress"
	// EventEnd is the last: the run ended.
	EventEnd EventType = "end"
)

// Event is one event of a watched run.
type Event struct {
	// Seq is the number of the last ledger entry that the watcher has seen.
	Seq   uint64
	Type  EventType
	Entry *Entry
	Tree  *run.Progress
	// Run is set with EventEnd.
	Run *Run
}
