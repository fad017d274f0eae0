package report

import (
	"encoding/json"
	"time"

	"github.com/quell-soar/quell/workflows/run"
)

// Version is the version of the JSON form.
const Version = 1

// Report is the review of one run. Its JSON is the documented form: docs/report.md.
type Report struct {
	// Version is 1. A reader refuses any other.
	Version int `json:"report"`
	// Template is what a playbook's report step names: pir.
	Template string    `json:"template"`
	Made     time.Time `json:"made"`
	// Written says where this copy went; nil where nobody said.
	Written *Written `json:"written,omitempty"`
	// Verdict, InForce and Looked tell how things stood at Made.
	Verdict Verdict   `json:"verdict"`
	InForce []InForce `json:"in_force,omitempty"`
	Looked  []Look    `json:"looked,omitempty"`
	Run     Run       `json:"run"`
	Alerts  []Alert   `json:"alerts,omitempty"`
	Metrics Metrics   `json:"metrics"`
	Phases  []Phase   `json:"phases,omitempty"`
	// Effects are in the order in which they were begun.
	Effects []Effect `json:"effects,omitempty"`
	// Decisions are what people, or their silence, decided, in order.
	Decisions []Decision `json:"decisions,omitempty"`
	// Open is what still needs, or may need, somebody; the gravest first.
	Open     []Open  `json:"open,omitempty"`
	Timeline []Event `json:"timeline,omitempty"`
	// Left counts what did not fit: effects, events.
	Left  map[string]int `json:"left,omitempty"`
	Proof Proof          `json:"proof"`
}

// Written says who had a copy of the review written, when and to where. Place is
// in the words of who asked.
type Written struct {
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Place string    `json:"place,omitempty"`
}

// Run is what the run was.
type Run struct {
	ID       string   `json:"id"`
	Playbook string   `json:"playbook"`
	Title    string   `json:"title,omitempty"`
	Owner    string   `json:"owner,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	// Digest names the exact plan that ran.
	Digest   string          `json:"digest"`
	Incident string          `json:"incident"`
	Severity string          `json:"severity,omitempty"`
	Mode     string          `json:"mode"`
	Trigger  run.Trigger     `json:"trigger"`
	Inputs   json.RawMessage `json:"inputs,omitempty"`
	Status   string          `json:"status"`
	// Closing and Reason are set once it ended.
	Closing string    `json:"closing,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Created time.Time `json:"created"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
}

// Alert is one that started the run or joined it.
type Alert struct {
	ID       string    `json:"id"`
	Source   string    `json:"source"`
	SourceID string    `json:"source_id"`
	Title    string    `json:"title"`
	Severity string    `json:"severity"`
	Occurred time.Time `json:"occurred"`
	Received time.Time `json:"received"`
	// Names are the hosts, accounts and files that it names, at most 20.
	Names []string `json:"names,omitempty"`
}

// Measure is one time, in seconds, with its ends. Without a value, Why says what
// is missing; with one it is a remark.
type Measure struct {
	Seconds *float64  `json:"seconds,omitempty"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Why     string    `json:"why,omitempty"`
}

// Metrics are the run's times and counts.
type Metrics struct {
	// Begin is where the times begin: the first alert's receipt, or the launch.
	Begin   time.Time `json:"begin"`
	Triage  Measure   `json:"time_to_triage"`
	Contain Measure   `json:"time_to_contain"`
	Recover Measure   `json:"time_to_recover"`
	Total   Measure   `json:"total"`
	// Undo is how long taking back took, from the request or the first call to the
	// last outcome. It may lie behind the run's end, where Total ends.
	Undo Measure `json:"taking_back"`
	// People is how long the run waited for people: the union of the times in
	// which a request of it was open. Holds are not counted: no run waits for them.
	People Measure `json:"waiting_for_people"`
	// Effects counts outcomes of effects, undos apart: done, failed, simulated …
	Effects map[string]int `json:"effects,omitempty"`
}

// Phase is one phase with what its steps came to.
type Phase struct {
	Name  string    `json:"name"`
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	Steps []Step    `json:"steps,omitempty"`
}

// Step is one step as it went.
type Step struct {
	Path      string `json:"path"`
	Iteration string `json:"iteration,omitempty"`
	Title     string `json:"title"`
	Kind      string `json:"kind"`
	Outcome   string `json:"outcome"`
	Detail    string `json:"detail,omitempty"`
	// If is the condition that let it happen or, where it was skipped, kept it from
	// happening; Facts are what a look-up told, as "criticality: high".
	If    string    `json:"if,omitempty"`
	Facts []string  `json:"facts,omitempty"`
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	Depth int       `json:"depth,omitempty"`
}

// Effect is one change of the world that the run made, or tried to make.
type Effect struct {
	Key       string   `json:"key"`
	Phase     string   `json:"phase"`
	Step      string   `json:"step"`
	Iteration string   `json:"iteration,omitempty"`
	Action    string   `json:"action"`
	Title     string   `json:"title"`
	Instance  string   `json:"instance"`
	Targets   []string `json:"targets,omitempty"`
	// With are the inputs that are plain texts and numbers, as "path: C:\\a.exe",
	// and Gave the names of what came of it, such as a ticket's.
	With []string `json:"with,omitempty"`
	Gave []string `json:"gave,omitempty"`
	// Result are the plain texts and numbers of what came of it, such as
	// "findings: 0".
	Result []string `json:"result,omitempty"`
	// Outcome is done, already, partial, simulated, skipped, refused, failed,
	// unknown, or "on its way".
	Outcome string `json:"outcome"`
	// Verified says that a read-back found it so.
	Verified bool   `json:"verified,omitempty"`
	Detail   string `json:"detail,omitempty"`
	// Reversal is exact, lossy, none or unneeded.
	Reversal string   `json:"reversal"`
	Actor    string   `json:"actor"`
	Approval string   `json:"approval,omitempty"`
	Approved []string `json:"approved_by,omitempty"`
	// Unasked is the condition of the step's approval, where it was false and so
	// nobody had to approve.
	Unasked string    `json:"unasked,omitempty"`
	Began   time.Time `json:"began"`
	Settled time.Time `json:"settled,omitzero"`
	// Held says that it is in force now and that Quell would release it.
	Held bool `json:"held,omitempty"`
	// Undos are the attempts to take it back, in order.
	Undos []Undo `json:"undos,omitempty"`
	// Row is the ledger row of the outcome.
	Row int64 `json:"row,omitempty"`
}

// Undo is one attempt to take an effect back. By is who asked for it, or "the
// playbook" where one of its own steps did.
type Undo struct {
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Outcome string    `json:"outcome"`
	Detail  string    `json:"detail,omitempty"`
	Row     int64     `json:"row,omitempty"`
}

// Decision is one thing that people decided, or that their silence did.
type Decision struct {
	// Kind is launch, approval, question, failure, hold, cancel, undo or resolve.
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
	Step string    `json:"step,omitempty"`
	// Asked is what people were asked, and Request its id.
	Asked   string `json:"asked,omitempty"`
	Request string `json:"request,omitempty"`
	// Seals are the effects that an approval covers.
	Seals []string `json:"seals,omitempty"`
	// Because is the playbook's condition for asking.
	Because string `json:"because,omitempty"`
	// Facts are what the look-ups told that Because reads, as "asset: criticality: high".
	Facts []string `json:"facts,omitempty"`
	// Chain are those who could decide, rung by rung, each with its time.
	Chain  []string `json:"chain,omitempty"`
	Quorum int      `json:"quorum,omitempty"`
	// Deadline is when the chain ends, zero for never, and Silence what nobody's
	// answer until then means.
	Deadline time.Time `json:"deadline,omitzero"`
	Silence  string    `json:"silence,omitempty"`
	// Decision is approved, denied, expired, withdrawn, answered, open, or the
	// word of a decision that nobody was asked for.
	Decision string `json:"decision"`
	// Then says what that led to, where it does not say so itself: what silence did.
	Then  string `json:"then,omitempty"`
	Votes []Vote `json:"votes,omitempty"`
	// Waited is how long it was open, in seconds.
	Waited float64   `json:"waited_seconds,omitempty"`
	Closed time.Time `json:"closed,omitzero"`
	Row    int64     `json:"row,omitempty"`
}

// Vote is one person's word. A refused one did not count.
type Vote struct {
	At     time.Time       `json:"at"`
	Actor  string          `json:"actor"`
	As     []string        `json:"as,omitempty"`
	Word   string          `json:"word"`
	Reason string          `json:"reason,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
	// Refused says why it did not count.
	Refused string `json:"refused,omitempty"`
	Row     int64  `json:"row,omitempty"`
}

// Open is one thing that is not over.
type Open struct {
	// Kind is unknown, undo_failed, on_its_way, failed, waiting, held or stays.
	Kind string `json:"kind"`
	What string `json:"what"`
	// Targets are what it concerns.
	Targets []string `json:"targets,omitempty"`
	Step    string   `json:"step,omitempty"`
	// Do says what to do about it, as a command where there is one.
	Do string `json:"do,omitempty"`
}

// Event is one line of the timeline.
type Event struct {
	At  time.Time `json:"at"`
	Who string    `json:"who,omitempty"`
	// What is in our words, About in those of the playbook, an alert or a person.
	What  string `json:"what"`
	About string `json:"about,omitempty"`
	Step  string `json:"step,omitempty"`
	// Row is the ledger row that proves it; 0 for a read, which leaves none.
	Row  int64  `json:"row,omitempty"`
	Kind string `json:"kind,omitempty"`
	// Digest is the salted digest of the row's payload.
	Digest string `json:"digest,omitempty"`
}

// Proof says where in the ledger the run stands and how to verify it.
type Proof struct {
	// Rows counts the run's entries, from row First to row Last.
	Rows  int   `json:"rows"`
	First int64 `json:"first,omitempty"`
	Last  int64 `json:"last,omitempty"`
	// Erased counts entries whose payload was erased under retention.
	Erased int `json:"erased,omitempty"`
	// Pruned is set where entries of this run may have left the store: the last row
	// that did.
	Pruned int64 `json:"pruned,omitempty"`
	// Checkpoint is the last signed note, which covers rows 1 to Size.
	Checkpoint string `json:"checkpoint,omitempty"`
	Size       int64  `json:"size,omitempty"`
	// Tail counts entries of the run behind the checkpoint: the chain alone
	// protects them until the next one.
	Tail int `json:"tail,omitempty"`
	// Verify are the commands.
	Verify []string `json:"verify"`
}
