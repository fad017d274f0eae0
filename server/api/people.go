package api

import (
	"encoding/json"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// RequestKind is what a request wants of people.
type RequestKind string

// The kinds of requests.
const (
	// RequestApproval wants a yes or no to sealed effects.
	RequestApproval RequestKind = "approval"
	// RequestQuestion wants typed answers, or a task done.
	RequestQuestion RequestKind = "question"
	// RequestFailure wants a decision on a step that failed or whose effect is
	// unknown.
	RequestFailure RequestKind = "failure"
	// RequestHold asks what happens to an effect whose hold is over.
	RequestHold RequestKind = "hold"
)

// Approval is one request to people.
type Approval struct {
	ID        string      `json:"id"`
	Kind      RequestKind `json:"kind"`
	Run       string      `json:"run"`
	Step      string      `json:"step"`
	Iteration string      `json:"iteration,omitempty"`
	Question  string      `json:"question"`
	// Status is open, approved, denied, expired or withdrawn. A question that
	// was answered is approved.
	Status string `json:"status"`
	// Requester may not vote on it.
	Requester string `json:"requester,omitempty"`
	// Seal is the digest of the effects with their targets. A vote names it.
	Seal    string         `json:"seal,omitempty"`
	Effects []SealedEffect `json:"effects,omitempty"`
	// Show is what to look at before answering.
	Show json.RawMessage `json:"show,omitempty"`
	// Fields are what an answer has; Choices what a decision may be.
	Fields  []Field  `json:"fields,omitempty"`
	Choices []string `json:"choices,omitempty"`
	Levels  []Level  `json:"levels,omitempty"`
	Quorum  int      `json:"quorum,omitempty"`
	// Silent says what happens when nobody answers: skip, stop, fail, act, keep.
	Silent  string    `json:"silent,omitempty"`
	Votes   []Voted   `json:"votes,omitempty"`
	Opened  time.Time `json:"opened"`
	Expires time.Time `json:"expires,omitzero"`
	Closed  time.Time `json:"closed,omitzero"`
}

// SealedEffect is one effect that an approval covers, exactly as it would be
// done.
type SealedEffect struct {
	Step      string `json:"step"`
	Iteration string `json:"iteration,omitempty"`
	Action    string `json:"action"`
	Instance  string `json:"instance,omitempty"`
	// Inputs are the effect's inputs, targets among them. Texts in them may
	// come from an attacker.
	Inputs json.RawMessage `json:"inputs"`
}

// Level is one rung of an approval's chain.
type Level struct {
	Who   []string  `json:"who"`
	Until time.Time `json:"until,omitzero"`
}

// Field is one field of an answer.
type Field struct {
	Name string    `json:"name"`
	Type kind.Type `json:"type"`
	Max  int       `json:"max,omitempty"`
	// Among are the values to choose from, where the playbook limits them.
	Among json.RawMessage `json:"among,omitempty"`
	// Default is taken where the answer leaves the field out; without one the
	// field is required.
	Default json.RawMessage `json:"default,omitempty"`
}

// Voted is one vote as stored.
type Voted struct {
	Actor    string          `json:"actor"`
	Decision string          `json:"decision"`
	Reason   string          `json:"reason,omitempty"`
	Answer   json.RawMessage `json:"answer,omitempty"`
	At       time.Time       `json:"at"`
}

// ApprovalFilter narrows a list of requests.
type ApprovalFilter struct {
	Run string
	// All lists closed requests too, for one run.
	All bool
	// Limit is at most 200; 0 means 50.
	Limit int
	// Cursor is Next of the page before.
	Cursor string
}

// Approvals is a page of requests, the oldest first.
type Approvals struct {
	Approvals []Approval `json:"approvals"`
	// Next is the cursor of the next page, empty on the last. A page can have fewer
	// requests than were asked for: one that expired a moment ago is not open.
	Next string `json:"next,omitempty"`
}

// Decision is a person's yes or no.
type Decision string

// The decisions.
const (
	Approve Decision = "approve"
	Deny    Decision = "deny"
)

// Vote answers an approval.
type Vote struct {
	Decision Decision `json:"decision"`
	Reason   string   `json:"reason,omitempty"`
	// Seal is the digest of what the voter saw. It is demanded for an approve.
	Seal string `json:"seal,omitempty"`
}

// Answer answers a question. A question without fields is a task: it is
// answered by Done, and by Reason where it was not done. A question is refused
// by a vote that denies.
type Answer struct {
	// Fields are JSON values, or texts as a person types them. A value of a
	// field with choices may be named by the id or label that stands there.
	Fields map[string]json.RawMessage `json:"fields,omitempty"`
	Done   *bool                      `json:"done,omitempty"`
	Reason string                     `json:"reason,omitempty"`
}

// Resolve decides what happens to a step that failed, to an effect that is
// unknown, or to one whose hold is over.
type Resolve struct {
	// Choice is one of the request's choices, such as retry, skip, done, stop.
	Choice string `json:"choice"`
	Reason string `json:"reason"`
}
