package approval

import (
	"encoding/json"
	"errors"
	"time"
)

// Reasons why a vote is refused. Every refusal is in the ledger.
var (
	ErrNotFound    = errors.New("there is no such request")
	ErrClosed      = errors.New("the request is decided")
	ErrExpired     = errors.New("the time of the request is over")
	ErrNotEntitled = errors.New("none of your roles may decide this request now")
	ErrRequester   = errors.New("who launched a run may not approve its effects")
	ErrSeal        = errors.New("what you saw is not what would be done now; look again")
	ErrVoted       = errors.New("you have voted on this request with another word")
)

// ErrChanged says that a request came again under its ID and asks for something
// else.
var ErrChanged = errors.New("approval: the same request id came with another run, kind or seal")

// Kinds of request.
const (
	Approval = "approval"
	Question = "question"
	Failure  = "failure"
	Hold     = "hold"
)

// Level is one rung of the chain. Within 0 means for as long as it takes.
type Level struct {
	Who    []string      `json:"who"`
	Within time.Duration `json:"within"`
}

// Request is what people are asked.
type Request struct {
	ID, Tenant, Run, Step, Iteration string
	// Kind is approval, question, failure or hold.
	Kind string
	Text string
	// Seal is the digest of Show for an approval: of the effects with their
	// targets.
	Seal   string
	Show   json.RawMessage
	Fields json.RawMessage
	Levels []Level
	Quorum int
	// Requester may not vote on an approval.
	Requester string
	// Subject is the affected person whom the first level asks, over Via; see
	// run.Subject. What they say is untrusted.
	Subject, Via string
	// Silent says what happens when nobody answers.
	Silent string
	Opened time.Time
	Closed time.Time
	// Decision is empty while open; then approved, denied, expired or withdrawn.
	Decision string
	Votes    []Vote
	// Events are what people did beside voting, the oldest first.
	Events []Event
}

// Deadline is when the chain ends; zero means never.
func (r *Request) Deadline() time.Time {
	at := r.Opened
	for _, l := range r.Levels {
		if l.Within <= 0 {
			return time.Time{}
		}
		at = at.Add(l.Within)
	}
	return at
}

// level returns the number of levels that are open at a time, and when the next
// opens or the chain ends; zero means never.
func (r *Request) level(now time.Time) (open int, next time.Time) {
	at := r.Opened
	for i, l := range r.Levels {
		if l.Within <= 0 {
			return i + 1, time.Time{}
		}
		at = at.Add(l.Within)
		if now.Before(at) {
			return i + 1, at
		}
	}
	return len(r.Levels), at
}

// expired reports whether the chain is over at a time.
func (r *Request) expired(now time.Time) bool {
	d := r.Deadline()
	return !d.IsZero() && !now.Before(d)
}

// Ballot is one person's word, as the API received it.
type Ballot struct {
	Tenant, Request string
	Actor           string
	// Names are the actor's roles and duties, as chains name them.
	Names   []string
	Approve bool
	// Seal is what the actor saw; demanded to approve a sealed request.
	Seal   string
	Answer json.RawMessage
	Reason string
	// Ref is the API request.
	Ref string
}

// Vote is a stored ballot.
type Vote struct {
	ID      string
	Actor   string
	Approve bool
	Reason  string
	Answer  json.RawMessage
	At      time.Time
}

// Tally is how a request stands.
type Tally struct {
	// State is open, approved, denied or expired.
	State string
	// Next is when the state can change without a vote; zero means never.
	Next   time.Time
	By     []string
	Answer json.RawMessage
	Reason string
	// Untrusted says that the deciding vote was the affected person's own.
	Untrusted bool
	// Withdrawn says of a denial that the request was taken back.
	Withdrawn bool
}

// Stands is the decision, where there is one, and else what the votes say.
func (r *Request) Stands(now time.Time) Tally {
	t := r.tally(now)
	switch r.Decision {
	case "":
		return t
	case "withdrawn":
		return r.withdrawn()
	}
	t.State, t.Next = r.Decision, time.Time{}
	return t
}

// tally counts the votes. Only votes that were received in time are stored, so
// the order of looks and votes does not matter.
func (r *Request) tally(now time.Time) Tally {
	var t Tally
	approvals := 0
	for _, v := range r.Votes {
		if !v.Approve {
			return Tally{State: "denied", By: []string{v.Actor}, Answer: v.Answer, Reason: v.Reason, Untrusted: untrusted(v.Actor)}
		}
		approvals++
		t.By = append(t.By, v.Actor)
		t.Answer, t.Reason, t.Untrusted = v.Answer, v.Reason, untrusted(v.Actor)
		if approvals >= max(1, r.Quorum) {
			t.State = "approved"
			return t
		}
	}
	if r.expired(now) {
		return Tally{State: "expired", By: t.By}
	}
	_, t.Next = r.level(now)
	t.State = "open"
	return t
}
