package plan

import (
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// StepKind is the one thing that a step does.
type StepKind string

// The step kinds.
const (
	Uses   StepKind = "uses"
	Do     StepKind = "do"
	Switch StepKind = "switch"
	Set    StepKind = "set"
	Wait   StepKind = "wait"
	Ask    StepKind = "ask"
	Undo   StepKind = "undo"
	Fail   StepKind = "fail"
	Stop   StepKind = "stop"
	Report StepKind = "report"
	// The kinds below have their place here and are not compiled yet.
	Call     StepKind = "call"
	Parallel StepKind = "parallel"
	Note     StepKind = "note"
)

// Step is one node of the plan. Exactly one of the fields named after a kind is
// set, the one that Kind says. Modifiers act in the order If, Foreach or
// Repeat, Approve, Timeout, Retry, OnError.
type Step struct {
	Kind StepKind `json:"kind"`
	// Path is unique in the plan and stable against edits elsewhere where the
	// step or its parents have ids: "contain.isolate", "recover.clean.scan",
	// "review.0". It stands in effect keys.
	Path string `json:"path"`
	// ID is the author's; empty where there is none.
	ID    string    `json:"id,omitempty"`
	Title string    `json:"title,omitempty"`
	Phase PhaseName `json:"phase"`
	// Line says where the step stands in the playbook, 1-based.
	Line int `json:"line"`

	If      *ExprRef      `json:"if,omitempty"`
	Foreach *Foreach      `json:"foreach,omitempty"`
	Repeat  *Repeat       `json:"repeat,omitempty"`
	Approve *Approve      `json:"approve,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`
	Retry   *Retry        `json:"retry,omitempty"`
	// OnError says what a failure does; the compiler fills the default: fail
	// for reads and everything that is no effect, ask for effects.
	OnError OnError `json:"on_error"`
	Hold    *Hold   `json:"hold,omitempty"`
	Accept  *Accept `json:"accept,omitempty"`

	Action *ActionCall  `json:"uses,omitempty"`
	Steps  []Step       `json:"do,omitempty"`
	Choose *SwitchBody  `json:"switch,omitempty"`
	Assign []NamedValue `json:"set,omitempty"`
	Pause  *WaitBody    `json:"wait,omitempty"`
	People *AskBody     `json:"ask,omitempty"`
	// Undoes are the ids of the steps that an undo takes back, newest effects
	// first whatever the order here.
	Undoes []string `json:"undo,omitempty"`
	// Text is the message of fail, the class of stop, the template of report.
	Text *Value `json:"text,omitempty"`
}

// ActionCall is the body of `uses`.
type ActionCall struct {
	Name string `json:"name"`
	// With are the inputs, sorted by name; optional ones may be missing.
	With []NamedValue `json:"with,omitempty"`
	// Effect says that the action changes the world.
	Effect bool `json:"effect,omitempty"`
	// Reads are the result's fields that later expressions read, sorted; those
	// come back inline. "*" means all.
	Reads []string `json:"reads,omitempty"`
}

// Foreach runs the step once per element, AtOnce at a time.
type Foreach struct {
	Var string  `json:"var"`
	In  ExprRef `json:"in"`
	// AtOnce is at least 1.
	AtOnce int `json:"at_once"`
	// OnItemError is continue or fail.
	OnItemError OnError `json:"on_item_error"`
	// Max is the static bound of the list's length, 0 where there is none.
	Max int `json:"max,omitempty"`
}

// Repeat runs the block in rounds: the first at once, then Every apart.
type Repeat struct {
	Until  ExprRef       `json:"until"`
	Every  time.Duration `json:"every"`
	Within time.Duration `json:"within,omitempty"`
	Max    int           `json:"max,omitempty"`
	// Late is ask, fail or continue.
	Late OnError `json:"late"`
}

// Approve asks people before the effects of the step.
type Approve struct {
	When   *ExprRef `json:"when,omitempty"`
	Ask    Value    `json:"ask"`
	From   []Level  `json:"from"`
	Quorum int      `json:"quorum"`
	// Denied is stop, skip or fail.
	Denied OnError `json:"denied"`
	// Silent is skip, stop, fail or act.
	Silent OnError `json:"silent"`
}

// Level is one rung of an approval chain.
type Level struct {
	Who    []string      `json:"who"`
	Within time.Duration `json:"within"`
}

// Retry bounds the attempts of one action. Zero fields take the engine's
// defaults.
type Retry struct {
	Attempts int           `json:"attempts,omitempty"`
	Wait     time.Duration `json:"wait,omitempty"`
}

// OnError names what happens when something goes wrong or nobody answers.
type OnError string

// The reactions; which are legal where, the fields say.
const (
	OnFail     OnError = "fail"
	OnContinue OnError = "continue"
	OnAsk      OnError = "ask"
	OnSkip     OnError = "skip"
	OnStop     OnError = "stop"
	OnAct      OnError = "act"
)

// HoldThen names what happens when a hold's time is over.
type HoldThen string

// The ends of a hold.
const (
	HoldAsk     HoldThen = "ask"
	HoldKeep    HoldThen = "keep"
	HoldRelease HoldThen = "release"
)

// Hold keeps a reversible effect for a time.
type Hold struct {
	For  time.Duration `json:"for"`
	Then HoldThen      `json:"then"`
}

// Accept is the author's reason for what the compiler would refuse.
type Accept struct {
	Irreversible string `json:"irreversible,omitempty"`
}

// SwitchBody is the body of `switch`: the first case whose key equals the value
// runs, else Default.
type SwitchBody struct {
	On      ExprRef `json:"on"`
	Cases   []Case  `json:"cases"`
	Default []Step  `json:"default,omitempty"`
	// HasDefault tells an empty default from none.
	HasDefault bool `json:"has_default,omitempty"`
}

// Case is one branch of a switch.
type Case struct {
	Keys  []string `json:"keys"`
	Steps []Step   `json:"steps"`
}

// WaitBody is the body of `wait`: exactly one of the fields is set.
type WaitBody struct {
	For *Value `json:"for,omitempty"`
	At  *Value `json:"at,omitempty"`
}

// AskBody is the body of `ask`.
type AskBody struct {
	Text   Value        `json:"text"`
	From   []Level      `json:"from"`
	Silent OnError      `json:"silent"`
	Show   []NamedValue `json:"show,omitempty"`
	Fields []AskField   `json:"fields,omitempty"`
}

// AskField is one typed answer.
type AskField struct {
	Name  string    `json:"name"`
	Type  kind.Type `json:"type"`
	Max   int       `json:"max,omitempty"`
	Among *ExprRef  `json:"among,omitempty"`
	// Default is used where the person leaves it out; nil means required.
	Default *Value `json:"default,omitempty"`
}
