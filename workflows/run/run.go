package run

import (
	"encoding/json"
	"time"
)

// ABI is the version of the interpreter's own rules. A history recorded under
// one ABI replays under every later build that still knows it.
const ABI = 1

// MaxInlinePlan is the largest plan, in bytes, that travels in the workflow's
// input; a larger one is loaded by its digest.
const MaxInlinePlan = 256 << 10

// Input starts a playbook's run. It is complete: nothing that the run decides
// depends on anything that may be edited later.
type Input struct {
	ABI    int    `json:"abi"`
	Tenant string `json:"tenant"`
	// Run is the run's id and the workflow's id.
	Run      string `json:"run"`
	Playbook string `json:"playbook"`
	Digest   string `json:"digest"`
	// Plan is the plan's canonical bytes, empty above MaxInlinePlan.
	Plan json.RawMessage `json:"plan,omitempty"`
	// Inputs are the playbook's inputs as canonical JSON, defaults not yet
	// filled in.
	Inputs json.RawMessage `json:"inputs"`
	// Settings are the installation's values at the start.
	Settings json.RawMessage `json:"settings,omitempty"`
	// Bindings say, per action, which connector instance serves it where no
	// handle among its inputs does; sorted by action.
	Bindings []Binding `json:"bindings,omitempty"`
	Trigger  Trigger   `json:"trigger"`
	// Incident is the key that tickets and reports of this run share.
	Incident string `json:"incident"`
	// Mode is the trigger's mode: observe, ask or act.
	Mode string `json:"mode"`
	// Calendars are those that the settings name, as they were at the claim;
	// sorted by name.
	Calendars []Calendar `json:"calendars,omitempty"`
	// Parent is the run that called this one; empty where none did. Depth counts
	// the calls above it.
	Parent string `json:"parent,omitempty"`
	Depth  int    `json:"depth,omitempty"`
	// Caps are what the caller lends of its limits; they bound this run beside its
	// own.
	Caps []Cap `json:"caps,omitempty"`
	// Resume is where an execution goes on that another one of the run began.
	Resume *Standing `json:"resume,omitempty"`
}

// Cap is a number of targets of one action.
type Cap struct {
	Action  string `json:"action"`
	Targets int    `json:"targets"`
}

// Calendar is one calendar as a run keeps it. Hours is the JSON of
// internal/calendar, Digest its SHA-256.
type Calendar struct {
	Name   string          `json:"name"`
	Digest string          `json:"digest"`
	Hours  json.RawMessage `json:"hours"`
}

// Binding says which instance serves an action, and in which mode that instance
// was when the run began.
type Binding struct {
	Action   string `json:"action"`
	Instance string `json:"instance"`
	Mode     string `json:"mode,omitempty"`
}

// Trigger says what started a run.
type Trigger struct {
	// Kind is alert, manual or schedule; a called run has its caller's trigger.
	Kind string `json:"kind"`
	// Actor is who launched it; for an alert source:NAME, for a schedule
	// schedule:PLAYBOOK.
	Actor  string `json:"actor"`
	Source string `json:"source,omitempty"`
	Alert  string `json:"alert,omitempty"`
	// Severity orders the dispatcher's queue.
	Severity string `json:"severity,omitempty"`
}

// Result is how a run ended.
type Result struct {
	// Closing is true_positive, benign, false_positive, duplicate, completed,
	// failed, denied or cancelled.
	Closing string          `json:"closing"`
	Reason  string          `json:"reason,omitempty"`
	Outputs json.RawMessage `json:"outputs,omitempty"`
	// Used is how many targets the run and the runs that it called reached, for
	// the limits of its caller.
	Used []Cap    `json:"used,omitempty"`
	Tree Progress `json:"tree"`
}

// UndoInput starts an undo of what a run did. It needs neither the run's
// history nor its plan: the stack comes from the effects store.
type UndoInput struct {
	Tenant string `json:"tenant"`
	Run    string `json:"run"`
	// ID is the undo's own workflow id.
	ID string `json:"id"`
	// Steps limits the undo to effects of these step paths; empty means all.
	Steps  []string `json:"steps,omitempty"`
	Actor  string   `json:"actor"`
	Reason string   `json:"reason,omitempty"`
}

// UndoResult lists what an undo did, newest effect first.
type UndoResult struct {
	Items []UndoItem `json:"items"`
}

// UndoItem is one effect of an undo's stack.
type UndoItem struct {
	Key     string   `json:"key"`
	Action  string   `json:"action"`
	Targets []string `json:"targets,omitempty"`
	// Outcome is done, already, nothing, lossy, unknown, failed or
	// irreversible; the last three wait for a person.
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"`
}

// FiringInput starts the workflow of one firing of a schedule. Which firing it is,
// its workflow id says.
type FiringInput struct {
	Tenant   string `json:"tenant"`
	Playbook string `json:"playbook"`
	Schedule int    `json:"schedule"`
	// Tries counts the looks before a continue-as-new.
	Tries int `json:"tries,omitempty"`
}

// HoldInput starts the hold of one effect.
type HoldInput struct {
	Tenant string        `json:"tenant"`
	Run    string        `json:"run"`
	Key    string        `json:"key"`
	For    time.Duration `json:"for"`
	Then   string        `json:"then"`
	// Action, Instance and Labels are for what people see.
	Action   string   `json:"action"`
	Instance string   `json:"instance"`
	Labels   []string `json:"labels,omitempty"`
	// Pages lists who is asked when the time is over.
	Pages []string `json:"pages,omitempty"`
	// Began, Due and Until are set where an execution goes on that another one of the
	// hold began: since when its present time runs, until when, and when to look next.
	Began time.Time `json:"began,omitzero"`
	Due   time.Time `json:"due,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Counted is whether Began and Due are by when the effect happened, no more by when
	// the hold began.
	Counted bool `json:"counted,omitempty"`
	// Tries counts the releases that failed, Failed those since the last word on it;
	// Word is who said that it shall be released, Why what went wrong last.
	Tries  int    `json:"tries,omitempty"`
	Failed int    `json:"failed,omitempty"`
	Word   string `json:"word,omitempty"`
	Why    string `json:"why,omitempty"`
}

// Progress is the tree of a run as people watch it.
type Progress struct {
	Run     string         `json:"run"`
	Closing string         `json:"closing,omitempty"`
	Phase   string         `json:"phase,omitempty"`
	Status  string         `json:"status"`
	Steps   []StepProgress `json:"steps,omitempty"`
}

// StepProgress is one step, with its children in the order they began.
type StepProgress struct {
	Path      string `json:"path"`
	Title     string `json:"title,omitempty"`
	Kind      string `json:"kind"`
	Phase     string `json:"phase"`
	Iteration string `json:"iteration,omitempty"`
	Status    string `json:"status"`
	Detail    string `json:"detail,omitempty"`
	// Facts are the short ones of what a read told, as "criticality: high".
	Facts []string       `json:"facts,omitempty"`
	Began time.Time      `json:"began,omitzero"`
	Ended time.Time      `json:"ended,omitzero"`
	Steps []StepProgress `json:"steps,omitempty"`
}
