package runs

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/workflows/run"
)

// ErrNotFound says that there is no such run, plan or alert.
var ErrNotFound = errors.New("not found")

// ErrKeyReused says that an idempotency key came again with another request.
var ErrKeyReused = errors.New("the idempotency key was used for another request; take a new key for a new request")

// Status is where a run stands.
type Status string

// The statuses.
const (
	Waiting Status = "waiting"
	Running Status = "running"
	Ended   Status = "ended"
)

// Claim asks for a run.
type Claim struct {
	Tenant, Playbook string
	// Digest is that of Plan, the plan's canonical bytes.
	Digest string
	Plan   []byte
	// OnceValue is the canonical JSON of what the run is about; nil for a run by
	// hand, which is about itself.
	OnceValue []byte
	// Key makes a claim by hand repeatable: the same key is the same run. Empty
	// means a fresh one.
	Key string
	// Inputs and Settings are canonical JSON.
	Inputs, Settings []byte
	Bindings         []run.Binding
	Trigger          run.Trigger
	Mode             string
	Severity         string
	// Quiet is how long after the end of a run the same value starts no new one.
	Quiet time.Duration
	// Targets are what the inputs name, as name=value, sorted.
	Targets []string
	// Incident defaults to the run's id.
	Incident string
	// Calendars are those that the settings name.
	Calendars []run.Calendar
	// Calls are all playbooks that this one may call, at whatever depth, as they
	// are locked into its plan.
	Calls []Callee

	// parent is the run that calls this one, step the place there.
	parent, step string
	depth        int
	// called are Calls as the caller's row has them.
	called []byte
}

// Callee is a playbook that a run may call: complete, so that a call needs
// nothing that may be edited meanwhile.
type Callee struct {
	Playbook string `json:"playbook"`
	Digest   string `json:"digest"`
	// Plan is the plan's canonical bytes; it is stored once per digest.
	Plan      []byte          `json:"-"`
	Settings  json.RawMessage `json:"settings,omitempty"`
	Bindings  []run.Binding   `json:"bindings,omitempty"`
	Calendars []run.Calendar  `json:"calendars,omitempty"`
	// Mode is the playbook's own; the caller's counts too.
	Mode string `json:"mode"`
}

// Claimed is what came of a claim. Exactly one of New, Joined, Silenced and
// Repeated is set.
type Claimed struct {
	// ID is the run's id; with Silenced that of the run that ended.
	ID         string
	Generation int
	New        bool
	Joined     bool
	// Repeated says that the claim's key was seen before.
	Repeated bool
	// Silenced is the reason why no run starts.
	Silenced string
}

// Record is one run as stored.
type Record struct {
	ID, Tenant, Playbook, Digest string
	Generation                   int
	Status                       Status
	Mode, Severity, Incident     string
	Trigger                      run.Trigger
	Inputs                       json.RawMessage
	Closing, Reason              string
	// Parent is the run that called this one, or empty.
	Parent string
	// Result is run.Result as JSON, once it ended.
	Result                  json.RawMessage
	Created, Started, Ended time.Time
}

// Filter narrows a list. Zero fields do not narrow.
type Filter struct {
	Tenant, Playbook, Closing, Incident string
	Status                              Status
	// Limit is how many; Cursor is what the page before gave.
	Limit  int
	Cursor string
}

// Alert is one stored alert.
type Alert struct {
	ID, Tenant string
	alert.Alert
	// Value is what expressions see, as canonical JSON.
	Value    json.RawMessage
	Verdicts []Verdict
}

// Verdict is what an alert meant to one playbook.
type Verdict struct {
	Playbook string `json:"playbook"`
	Run      string `json:"run,omitempty"`
	Verdict  string `json:"verdict"`
	Reason   string `json:"reason,omitempty"`
}

// AlertFilter narrows a list of alerts.
type AlertFilter struct {
	Tenant, Source string
	Limit          int
	Cursor         string
}
