package task

import (
	"encoding/json"
	"time"

	"github.com/quell-soar/quell/workflows/run"
)

// The names of the activities.
const (
	// ReadActivity calls an action that changes nothing.
	ReadActivity = "quell.read"
	// ActActivity brings one effect about, or takes one back.
	ActActivity = "quell.act"
	// StackActivity lists what a run did and has not taken back.
	StackActivity = "quell.stack"
	// HeldActivity tells whether an effect is still held.
	HeldActivity = "quell.held"
	// OpenActivity stores a request to people.
	OpenActivity = "quell.open"
	// TallyActivity counts the votes on a request.
	TallyActivity = "quell.tally"
	// CloseActivity ends a request.
	CloseActivity = "quell.close"
	// ResolveActivity records what a person found out about an unknown effect.
	ResolveActivity = "quell.resolve"
	// NoteActivity writes an entry of the run into the ledger.
	NoteActivity = "quell.note"
	// EndActivity records how a run ended.
	EndActivity = "quell.end"
	// LoadActivity fetches a plan by its digest.
	LoadActivity = "quell.load"
	// ReportActivity makes the post-incident review of a run.
	ReportActivity = "quell.report"
	// InForceActivity lists what a run did that is in force, for run.open.
	InForceActivity = "quell.in_force"
	// ArrangeActivity keeps how an effect without an inverse is taken back.
	ArrangeActivity = "quell.arrange"
	// OpeningActivity tells when a calendar opens.
	OpeningActivity = "quell.opening"
	// AlertsActivity lists the alerts that joined a run.
	AlertsActivity = "quell.alerts"
	// VerbsActivity lists the verbs that people said on a run.
	VerbsActivity = "quell.verbs"
	// AnswerActivity stores what a run made of a verb.
	AnswerActivity = "quell.answer"
	// CallActivity stores the run that a step calls.
	CallActivity = "quell.call"
	// BreathActivity does nothing; it ends a workflow task.
	BreathActivity = "quell.breath"
	// FireActivity claims a run for a schedule.
	FireActivity = "quell.fire"
)

// Shut is the type of the error with which an activity goes back to the engine while
// an instance takes no calls. Its detail is the instance.
const Shut = "shut"

// Outcome is what `outcome.ID` shows.
type Outcome string

// The outcomes of a step. Refused is a guard's word, denied a person's.
const (
	Done      Outcome = "done"
	Already   Outcome = "already"
	Partial   Outcome = "partial"
	Simulated Outcome = "simulated"
	Skipped   Outcome = "skipped"
	Denied    Outcome = "denied"
	Refused   Outcome = "refused"
	Failed    Outcome = "failed"
	Unknown   Outcome = "unknown"
)

// Happened reports whether the world is as the step wanted it.
func (o Outcome) Happened() bool { return o == Done || o == Already || o == Simulated }

// Place says where in a run a task belongs.
type Place struct {
	Tenant    string `json:"tenant"`
	Run       string `json:"run"`
	Playbook  string `json:"playbook"`
	Digest    string `json:"digest"`
	Step      string `json:"step"`
	Iteration string `json:"iteration,omitempty"`
	Phase     string `json:"phase,omitempty"`
}

// At is where a task belongs, for whoever has a request and not its type.
func (p Place) At() Place { return p }

// Failure is a failed task as data, so that the workflow decides what it means.
// Kind is a spec.ErrorKind, or "timeout".
type Failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	// Code is the vendor's code.
	Code string `json:"code,omitempty"`
}

// ReadRequest calls a read. It may run any number of times.
type ReadRequest struct {
	Place
	Action   string          `json:"action"`
	Schema   string          `json:"schema"`
	Instance string          `json:"instance"`
	Inputs   json.RawMessage `json:"inputs"`
	// Fields are the output fields that later expressions read; "*" means all.
	Fields []string `json:"fields,omitempty"`
	// Quick says that the caller runs it as a local activity: no waiting for a
	// slot and no second try.
	Quick bool `json:"quick,omitempty"`
	// Most is how many bytes the result may have that comes back; 0 is as many as
	// any. A larger one is left out, and Large is told.
	Most int `json:"most,omitempty"`
	// Attempts bounds the tries at a transient failure; 0 means the default.
	Attempts int           `json:"attempts,omitempty"`
	Wait     time.Duration `json:"wait,omitempty"`
	// Timeout bounds all tries together; 0 means none of its own.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// ReadResult is a read's output, or why there is none.
type ReadResult struct {
	Output  json.RawMessage `json:"output,omitempty"`
	Failure *Failure        `json:"failure,omitempty"`
	// Facts tells people the short ones of all fields, those that the playbook
	// reads first, as "criticality: high"; no expression sees them.
	Facts []string `json:"facts,omitempty"`
	// Busy says that a quick read found no slot; the caller tries it as a full
	// activity.
	Busy bool `json:"busy,omitempty"`
	// Large says that the result has more than Most bytes.
	Large bool `json:"large,omitempty"`
}

// ActRequest asks for one effect. The activity may be started any number of
// times for the same key: the effects store decides whether a call is made.
type ActRequest struct {
	Place
	Key    run.Key         `json:"key"`
	Action string          `json:"action"`
	Schema string          `json:"schema"`
	Inst   string          `json:"instance"`
	Inputs json.RawMessage `json:"inputs,omitempty"`
	// Of is the key of the effect that this one takes back; set with direction
	// undo. Action, inputs and instance then come from the store.
	Of string `json:"of,omitempty"`
	// Limit is the playbook's limit of targets of this action in one run; 0 means
	// no limit, -1 that none is left.
	Limit int `json:"limit,omitempty"`
	// Mode is the run's mode: observe, ask or act.
	Mode string `json:"mode"`
	// Approval is the request that approved it, where there was one.
	Approval string `json:"approval,omitempty"`
	// Would says in observe mode whom the playbook would have asked for approval.
	Would string `json:"would,omitempty"`
	Actor string `json:"actor"`
	// Unattended says of an inverse that no person asked for it just now.
	Unattended bool `json:"unattended,omitempty"`
	// Began and Due say since when it was waited for, and until when, where only
	// the time brought it about.
	Began    time.Time     `json:"began,omitzero"`
	Due      time.Time     `json:"due,omitzero"`
	Fields   []string      `json:"fields,omitempty"`
	Attempts int           `json:"attempts,omitempty"`
	Wait     time.Duration `json:"wait,omitempty"`
	Timeout  time.Duration `json:"timeout,omitempty"`
}

// ActResult is how an effect ended.
type ActResult struct {
	Outcome Outcome         `json:"outcome"`
	Output  json.RawMessage `json:"output,omitempty"`
	Failure *Failure        `json:"failure,omitempty"`
	// Detail is for people: which rule refused it, who holds it still.
	Detail string `json:"detail,omitempty"`
	// Ask says of a refusal that a person's approval lifts it.
	Ask bool `json:"ask,omitempty"`
	// Held says that a hold on this effect has something to guard.
	Held bool `json:"held,omitempty"`
}

// StackRequest asks for what a run and the runs that it called did. Steps limits
// it to those step paths and to what was called there, Keys to those effects.
type StackRequest struct {
	Tenant string   `json:"tenant"`
	Run    string   `json:"run"`
	Steps  []string `json:"steps,omitempty"`
	Keys   []string `json:"keys,omitempty"`
}

// StackItem is one effect that could be taken back, newest first.
type StackItem struct {
	Key     string   `json:"key"`
	Action  string   `json:"action"`
	Inverse string   `json:"inverse,omitempty"`
	Targets []string `json:"targets,omitempty"`
	// Reversal is exact, lossy, none or unneeded.
	Reversal string `json:"reversal"`
	Outcome  string `json:"outcome"`
}

// StackResult lists the stack.
type StackResult struct {
	Items []StackItem `json:"items"`
}

// HeldRequest asks after an effect.
type HeldRequest struct {
	Tenant string `json:"tenant"`
	Key    string `json:"key"`
}

// HeldResult answers: Known once the effect was admitted, Open while no outcome
// is stored, Held while it is there and not taken back. Earlier builds told neither
// Asks nor Age.
type HeldResult struct {
	Known bool `json:"known"`
	Open  bool `json:"open"`
	Held  bool `json:"held"`
	// Asks is whether the run may yet ask for an effect that is not known.
	Asks bool `json:"asks,omitempty"`
	// Age is for how long what is held has been there, at least a nanosecond.
	Age time.Duration `json:"age,omitempty"`
}

// OpenRequest puts a request before people. Opening the same ID again changes
// nothing.
type OpenRequest struct {
	Place
	ID string `json:"id"`
	// Kind is approval, question, failure or hold.
	Kind string `json:"kind"`
	Text string `json:"text"`
	// Seal is the digest of what would be done; a vote names it.
	Seal   string          `json:"seal,omitempty"`
	Show   json.RawMessage `json:"show,omitempty"`
	Fields json.RawMessage `json:"fields,omitempty"`
	Levels []Level         `json:"levels"`
	Quorum int             `json:"quorum"`
	// Requester may not vote.
	Requester string `json:"requester,omitempty"`
	// Subject is the affected person whom the first level asks, over Via; what
	// they say is untrusted.
	Subject string `json:"subject,omitempty"`
	Via     string `json:"via,omitempty"`
	// Silent is what happens when nobody answers, for people to see.
	Silent string    `json:"silent,omitempty"`
	Opened time.Time `json:"opened"`
}

// Level is one rung of the chain of people.
type Level struct {
	Who    []string      `json:"who"`
	Within time.Duration `json:"within"`
}

// TallyRequest asks how a request stands at a time.
type TallyRequest struct {
	ID  string    `json:"id"`
	Now time.Time `json:"now"`
}

// TallyResult is how a request stands.
type TallyResult struct {
	// State is open, approved, denied or expired.
	State string `json:"state"`
	// Next is when the state can change without a vote: the next level or the
	// end of the chain.
	Next time.Time `json:"next,omitzero"`
	By   []string  `json:"by,omitempty"`
	// Answer is the answer of the deciding vote, for a question or a failure.
	Answer json.RawMessage `json:"answer,omitempty"`
	Reason string          `json:"reason,omitempty"`
	// Untrusted says that the deciding vote was the affected person's own.
	Untrusted bool `json:"untrusted,omitempty"`
	// Withdrawn says of a denial that nobody voted: the request was taken back.
	Withdrawn bool `json:"withdrawn,omitempty"`
}

// CloseRequest ends a request with what came of it.
type CloseRequest struct {
	Place
	ID       string `json:"id"`
	Decision string `json:"decision"`
}

// ResolveRequest settles an unknown effect on a person's word.
type ResolveRequest struct {
	Place
	Key string `json:"key"`
	// As is done, not_done, by_hand or skipped.
	As     string `json:"as"`
	Actor  string `json:"actor"`
	Reason string `json:"reason,omitempty"`
}

// NoteRequest is an entry of the run in the ledger. Writing the same ID again
// changes nothing.
type NoteRequest struct {
	Place
	ID   string          `json:"id"`
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data,omitempty"`
}

// EndRequest records the end of a run.
type EndRequest struct {
	Place
	Result run.Result `json:"result"`
}

// LoadRequest fetches a plan.
type LoadRequest struct {
	Digest string `json:"digest"`
}

// LoadResult has the plan's canonical bytes.
type LoadResult struct {
	Plan json.RawMessage `json:"plan"`
}

// ReportRequest makes a report of the run so far.
type ReportRequest struct {
	Place
	Template string `json:"template"`
	// Params are the author's values for the template, as canonical JSON.
	Params json.RawMessage `json:"params,omitempty"`
	Tree   run.Progress    `json:"tree"`
}

// ReportResult says where it stands in the ledger.
type ReportResult struct {
	Seq    int64  `json:"seq"`
	Digest string `json:"digest"`
}
