package spec

import (
	"errors"
	"fmt"
	"time"
)

// Mode says what a call shall do.
type Mode string

// The modes of a call.
const (
	// Act reads, decides, acts and verifies.
	Act Mode = "act"
	// Back only asks whether the effect of this key and these inputs is there.
	// It changes nothing.
	Back Mode = "read_back"
)

// Outcome is how a call ended. The first four answer Act, the last three Back.
type Outcome string

// The outcomes of a call.
const (
	// Done: the world was changed and a read confirmed it.
	Done Outcome = "done"
	// Already: it was so before; nothing was changed.
	Already Outcome = "already"
	// Partial: some targets were done; Reply.Failed names the others.
	Partial Outcome = "partial"
	// Pending: the vendor accepted it and has not finished by the deadline.
	Pending Outcome = "pending"
	// Present: the effect is there.
	Present Outcome = "present"
	// Absent: the effect is not there.
	Absent Outcome = "absent"
	// Unsure: the vendor cannot tell.
	Unsure Outcome = "unsure"
)

// Request is one call of an action. The host has checked Inputs against the
// action's schema; the sdk checks them again.
type Request struct {
	Action string
	Mode   Mode
	// Key names the effect, the same at each attempt; empty for a read. A keyed
	// action passes it to the vendor, others put a mark of it where the vendor
	// lets them find it again.
	Key    string
	Inputs map[string]any
	// Prior is, for an inverse, the state that the original action found; nil
	// otherwise.
	Prior map[string]any
	// Artifacts are the contents of the inputs of kind artifact, by reference.
	Artifacts map[string][]byte
	// Deadline is when the caller stops listening. No request to the vendor may
	// start or still run after it.
	Deadline time.Time
}

// Reply answers a Request that did not fail.
type Reply struct {
	Outcome Outcome
	// Output has the action's output fields; for Back with Present too, as far
	// as they can be known.
	Output map[string]any
	// Prior is what an effect found before it acted, in the connector's own
	// terms; it is handed to the inverse. Where the action takes a list of targets
	// it has an entry for each, under the handle's ID or the text: others may hold
	// some of them, and the inverse is then called for the rest with their entries.
	Prior map[string]any
	// Artifacts are the contents of the outputs of kind artifact, by reference
	// (kind.ArtifactOf). They go into the evidence store; playbooks and the
	// history hold references only.
	Artifacts map[string][]byte
	// Failed lists targets of a partial effect, as labels, with why.
	Failed map[string]string
	// VendorRequestID is what the vendor's support asks for.
	VendorRequestID string
}

// ErrorKind is what the caller can do about an error.
type ErrorKind string

// The error kinds, as they cross the wire and stand in errors.ID.kind.
const (
	// Auth: the credential is wrong or expired and a fresh token did not help.
	Auth ErrorKind = "auth"
	// Permission: the credential may not do this.
	Permission ErrorKind = "permission"
	// NotFound: the named thing does not exist.
	NotFound ErrorKind = "not_found"
	// Ambiguous: several things match; none was picked.
	Ambiguous ErrorKind = "ambiguous"
	// Invalid: the vendor or we refused the input.
	Invalid ErrorKind = "invalid"
	// Conflict: the thing is in a state that excludes the action.
	Conflict ErrorKind = "conflict"
	// RateLimited: come back after RetryAfter. Nothing happened.
	RateLimited ErrorKind = "rate_limited"
	// Transient: nothing happened; trying again may work.
	Transient ErrorKind = "transient"
	// Unavailable: the connector process could not be reached. Nothing happened.
	Unavailable ErrorKind = "unavailable"
	// Uncertain: a change was sent and its answer lost. It may have happened,
	// may happen yet.
	Uncertain ErrorKind = "uncertain"
	// Internal: a fault of the connector or the host.
	Internal ErrorKind = "internal"
)

// Retryable reports whether the same call may be sent again without a
// read-back: nothing happened, and waiting may help.
func (k ErrorKind) Retryable() bool {
	return k == RateLimited || k == Transient || k == Unavailable
}

// NoEffect reports whether the kind asserts that the world was not changed.
func (k ErrorKind) NoEffect() bool { return k != Uncertain && k != Internal }

// Error is a failed call. It crosses the wire whole.
type Error struct {
	Kind ErrorKind
	// Message says what was wrong and what to do; never a secret, and vendor
	// text only where it is short and without control characters.
	Message string
	// RetryAfter is set with RateLimited: how long the vendor asks to wait.
	RetryAfter time.Duration
	// VendorCode is the vendor's own code, such as E0000001 or HTTP 409.
	VendorCode      string
	VendorRequestID string
}

func (e *Error) Error() string {
	if e.VendorCode != "" {
		return fmt.Sprintf("%s: %s (%s)", e.Kind, e.Message, e.VendorCode)
	}
	return fmt.Sprintf("%s: %s", e.Kind, e.Message)
}

// Errorf makes an *Error.
func Errorf(k ErrorKind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of err, Internal where it has none.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
