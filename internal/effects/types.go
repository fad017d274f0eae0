package effects

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/workflows/run"
)

// Errors of this package that callers tell apart.
var (
	// ErrFenced says that the attempt was taken for dead and another one decides.
	// Ask for admission again.
	ErrFenced = errors.New("effects: this attempt was replaced by a later one; admit the effect again")
	// ErrChanged says that the same key came with other inputs.
	ErrChanged = errors.New("effects: the same effect key came with another action, instance or inputs")
	// ErrNotFound says that there is no such effect.
	ErrNotFound = errors.New("effects: there is no such effect")
	// ErrNotUnknown says that only an unknown effect can be resolved.
	ErrNotUnknown = errors.New("effects: only an effect whose outcome is unknown can be resolved")
	// ErrUnderWay says that what shall be resolved may still land.
	ErrUnderWay = errors.New("effects: an attempt of this effect may still land")
)

// The outcomes that are stored. They are those of spec and of task.
const (
	Done      = "done"
	Already   = "already"
	Partial   = "partial"
	Simulated = "simulated"
	Skipped   = "skipped"
	Refused   = "refused"
	Failed    = "failed"
	Unknown   = "unknown"
)

// Intent is what an activity wants to do.
type Intent struct {
	Key      run.Key
	Playbook string
	Action   spec.Action
	Instance string
	// Inputs is canonical JSON, without secrets.
	Inputs  json.RawMessage
	Targets []guard.Target
	// Of is the key of the effect that this one takes back.
	Of    string
	Actor string
	// Approval is the request that approved it, or empty.
	Approval string
	// Would says in observe mode whom the playbook would have asked; empty for nobody.
	Would string
	// Trigger (alert, manual) and Source say what started the run; Severity is the
	// alert's.
	Trigger, Source, Severity string
	// Unattended says of an inverse that no person asked for it just now: a hold
	// whose time is over, a playbook's undo step. The kill switch puts it off.
	Unattended bool
	// Began and Due say since when an unattended inverse was waited for, and until
	// when; zero where it was no time that brought it about.
	Began, Due time.Time
	// Limit bounds the targets of this action in this run; 0 means no limit, -1
	// that none is left.
	Limit int
	// Mode is the lowest of the modes that apply.
	Mode guard.Mode
	// Before is what a read found just before: present or absent, and the state.
	// It is kept in case the answer to the call is lost. While other effects on
	// the target may run, an older read is worth nothing: read anew after a Wait.
	// Empty keeps what an earlier Admit brought.
	Before spec.Outcome
	// Unread says that nothing was read, because the effect had an outcome or an
	// attempt under way. Should it be idle by now, the caller is told to come back
	// at once and to read.
	Unread      bool
	BeforePrior json.RawMessage
}

// Verdict says what to do about an intent. Exactly one of the fields is set.
type Verdict struct {
	// Off: an inverse that nobody asked for waits; nothing is stored of it but the
	// entry in the ledger. Ask again later.
	Off *guard.Refusal
	// Settled: it is decided; make no call.
	Settled *Effect
	// Go: make the call, under this permit.
	Go *Permit
	// Back: an earlier attempt may have acted; read back and call Conclude.
	Back *Permit
	// Read: the targets are free, and nothing was read for this intent (Unread).
	// Read, and ask again.
	Read bool
	// Wait: come back then. An earlier attempt may still land, or another effect
	// on a target is under way.
	Wait time.Time
}

// Permit lets one attempt out.
type Permit struct {
	Key   string
	Fence int64
	// Expires is when the call must have left; 500 ms after the commit.
	Expires time.Time
	// Deadline is when the attempt must have ended.
	Deadline time.Time
	// Inputs and Prior are, for an inverse, those of the original: the prior
	// state is that of the first holder.
	Inputs, Prior json.RawMessage
	// Targets are what is to be called for: of an inverse, those without other
	// holders.
	Targets []guard.Target
}

// Result is how an attempt ended.
type Result struct {
	// Outcome is done, already, partial or pending; empty with Err.
	Outcome spec.Outcome
	Output  json.RawMessage
	Prior   json.RawMessage
	// Failed has the labels of those targets of a partial effect that it did not
	// reach: they are not held.
	Failed map[string]string
	Err    *spec.Error
	// Binary and Version say which program answered.
	Binary, Version string
	VendorRequestID string
}

// Effect is one effect as stored.
type Effect struct {
	Key                                    string
	Tenant, Run, Playbook, Step, Iteration string
	Direction, Of, Action, Instance        string
	Class, ReadBack, Reversal, Inverse     string
	Inputs, Output, Prior                  json.RawMessage
	Targets                                []guard.Target
	// Scope tells apart what one action holds of one target: a digest of the
	// inputs beside the targets, or empty.
	Scope                                         string
	Actor, Approval                               string
	State, Outcome, Detail, ErrorKind, VendorCode string
	Verified                                      bool
	// Found is what a read found before the first attempt: present, absent or
	// nothing.
	Found string
	// Doubt says that an earlier attempt may have happened though a later one is
	// allowed: whatever that one brings, it is not the proof that nothing happened.
	Doubt bool
	// Refusal is the guard's word with the outcome refused, and with simulated
	// what it, or the playbook's approval (guard.Approval), would have been; else nil.
	Refusal *guard.Refusal
	// Undone is the key of the undo that took it back.
	Undone   string
	Resolved string
	Fence    int64
	Deadline time.Time
	Settle   time.Duration
	Created  time.Time
	Settled  time.Time
	// Seq is the ledger entry of its outcome.
	Seq int64

	failed map[string]string
}

// Happened reports whether the effect is there because of Quell, as far as is
// known.
func (e *Effect) Happened() bool { return e.Outcome == Done || e.Outcome == Partial }
