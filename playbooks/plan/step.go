package plan

import (
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// StepKind is the one thing that a step does.
type StepKind string

// The step kinds.
const (
	Uses     StepKind = "uses"
	Do       StepKind = "do"
	Switch   StepKind = "switch"
	Set      StepKind = "set"
	Wait     StepKind = "wait"
	Ask      StepKind = "ask"
	Undo     StepKind = "undo"
	Fail     StepKind = "fail"
	Stop     StepKind = "stop"
	Report   StepKind = "report"
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
	// UndoWith takes the step's effect back where its action has no inverse.
	UndoWith *ActionCall `json:"undo_with,omitempty"`

	Action *ActionCall  `json:"uses,omitempty"`
	Steps  []Step       `json:"do,omitempty"`
	Choose *SwitchBody  `json:"switch,omitempty"`
	Assign []NamedValue `json:"set,omitempty"`
	Pause  *WaitBody    `json:"wait,omitempty"`
	People *AskBody     `json:"ask,omitempty"`
	// Undoes are the ids of the steps that an undo takes back, newest effects
	// first whatever the order here. A call takes back what its child did, a
	// block what is in it.
	Undoes []string `json:"undo,omitempty"`
	// UndoOf gives the effects that an undo takes back in place of Undoes: a
	// handle of the name Effect, or a list of them.
	UndoOf *Value `json:"undo_of,omitempty"`
	// Text is the message of fail, the class of stop, the template of report,
	// the text of note.
	Text *Value `json:"text,omitempty"`
	// Params are what a report's template is given, sorted by name.
	Params []NamedValue  `json:"params,omitempty"`
	Fork   *ParallelBody `json:"parallel,omitempty"`
	Child  *CallBody     `json:"call,omitempty"`
	// Note is the id of a note within its run; writing it again replaces it.
	Note string `json:"note,omitempty"`
}

// Inside returns the lists of steps that stand directly in a step, in the order
// in which they are written: the block, the branches, the cases, the default.
// All but a block's have names of their own in their steps' paths.
func (s *Step) Inside() [][]Step {
	var out [][]Step
	if len(s.Steps) > 0 {
		out = append(out, s.Steps)
	}
	if s.Fork != nil {
		for _, b := range s.Fork.Branches {
			out = append(out, b.Steps)
		}
	}
	if s.Choose != nil {
		for _, c := range s.Choose.Cases {
			out = append(out, c.Steps)
		}
		out = append(out, s.Choose.Default)
	}
	return out
}

// Exprs lists the expressions of a step itself, not of those inside it.
func (s *Step) Exprs() []ExprRef {
	var out []ExprRef
	ref := func(r *ExprRef) {
		if r != nil {
			out = append(out, *r)
		}
	}
	value := func(v *Value) {
		if v != nil {
			out = append(out, v.Exprs()...)
		}
	}
	named := func(list []NamedValue) {
		for i := range list {
			value(&list[i].Value)
		}
	}
	ref(s.If)
	if s.Foreach != nil {
		ref(&s.Foreach.In)
	}
	if s.Repeat != nil {
		ref(&s.Repeat.Until)
	}
	if s.Approve != nil {
		ref(s.Approve.When)
		value(&s.Approve.Ask)
	}
	for _, a := range []*ActionCall{s.Action, s.UndoWith} {
		if a != nil {
			named(a.With)
		}
	}
	if s.Choose != nil {
		ref(&s.Choose.On)
	}
	named(s.Assign)
	if s.Child != nil {
		named(s.Child.With)
	}
	if w := s.Pause; w != nil {
		value(w.For)
		value(w.At)
		ref(w.Open)
		if w.ForAlert != nil {
			ref(w.ForAlert.When)
		}
	}
	if a := s.People; a != nil {
		value(&a.Text)
		value(a.Subject)
		named(a.Show)
		for i := range a.Fields {
			ref(a.Fields[i].Among)
			value(a.Fields[i].Default)
		}
	}
	value(s.UndoOf)
	value(s.Text)
	named(s.Params)
	return out
}

// Effect is the handle name of an effect as a value. Its ID is the effect's key
// (package run), its Label what people read, its Instance the connector
// instance that acted. The key is known before anything happens, so that a
// value stands also for an effect that was skipped, denied or simulated; to
// undo such a one does nothing.
const Effect = "effect"

// EffectField is the field of a result under which expressions find its effect:
// steps.isolate.effect. In a foreach over one action it stands beside item, and
// is there for every element.
const EffectField = "effect"

// ActionCall is the body of `uses`.
type ActionCall struct {
	Name string `json:"name"`
	// With are the inputs, sorted by name; optional ones may be missing.
	With []NamedValue `json:"with,omitempty"`
	// Effect says that the action changes the world.
	Effect bool `json:"effect,omitempty"`
	// Reads are the result's fields that later expressions read, sorted; those
	// come back inline. "*" means all. The effect itself is no field of the
	// action and never stands here: see Named.
	Reads []string `json:"reads,omitempty"`
	// Named says that an expression reads EffectField of the result: the
	// interpreter adds it, no activity gives it.
	Named bool `json:"named,omitempty"`
}

// Foreach runs the step once per element, AtOnce at a time. The result is a list
// in the order of the input, of {item, index, ok, error}; over a `do` with the
// results of the ids in it that stand in no deeper loop, over anything else with
// out, which is there where ok is true. Over an effect that is Named it has
// EffectField too, for every element, and out has not.
type Foreach struct {
	Var string  `json:"var"`
	In  ExprRef `json:"in"`
	// AtOnce is at least 1.
	AtOnce int `json:"at_once"`
	// OnItemError is continue or fail.
	OnItemError OnError `json:"on_item_error"`
	// Max is the static bound of the list's length, 0 where there is none.
	Max int `json:"max,omitempty"`
	// Chunk is after how many elements the run may continue as new, 0 where it
	// need not. It is set on loops over long lists that stand in no other loop
	// and no parallel.
	Chunk int `json:"chunk,omitempty"`
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

// ParallelBody is the body of `parallel`. All branches begin at once and see
// the results from before it; their ids are readable behind it. It ends when
// all have ended. A branch that fails takes nothing from the others, and the
// block fails when they are done. A stop or a denied approval ends the others at
// once; an effect under way there is waited for.
type ParallelBody struct {
	// Branches stand in the order in which they are written.
	Branches []Branch `json:"branches"`
	// First ends it with the first branch that succeeds and cancels the others,
	// which hold reads and waits only. The result is then {first: NAME}, and the
	// ids of all branches may be absent behind it. It fails where all failed.
	First bool `json:"first,omitempty"`
}

// Branch is one branch of a parallel. A step in it has the path
// PARALLEL.NAME.STEP.
type Branch struct {
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
}

// CallBody is the body of `call`: a child run of another playbook, with its own
// phases, limits and record. The result is the record of the child's outputs.
// A child that ends failed, denied or cancelled is a failure of the step.
type CallBody struct {
	Playbook string `json:"playbook"`
	// Digest is that of the child's plan, which stands in Plan.Children.
	Digest string `json:"digest"`
	// With are the child's inputs, sorted by name; those with a default may be
	// missing.
	With []NamedValue `json:"with,omitempty"`
	// Limits are, per action and sorted, how many targets the child and what it
	// calls may act on. They count as the caller's own: where the caller limits
	// the action too, the lower rest counts.
	Limits []Limit `json:"limits,omitempty"`
}

// WaitBody is the body of `wait`: exactly one of the fields is set.
type WaitBody struct {
	For *Value `json:"for,omitempty"`
	At  *Value `json:"at,omitempty"`
	// Open gives the name of a calendar; the wait ends when it is open, at once
	// where it is already.
	Open     *ExprRef  `json:"open,omitempty"`
	ForAlert *ForAlert `json:"for_alert,omitempty"`
}

// ForAlert waits for an alert that joins the run. Alerts that joined before the
// step began count too, the earliest first; none is taken twice by one step. The
// result is {id, source, kind, severity, occurred} of the alert.
type ForAlert struct {
	// When sees `alert` beside everything else; nil takes any alert.
	When   *ExprRef      `json:"when,omitempty"`
	Within time.Duration `json:"within"`
	// Late is ask, fail or continue; after continue there is no result.
	Late OnError `json:"late"`
}

// AskBody is the body of `ask`. Without Fields it is a task: its result is
// {done: boolean, why: text where it was not done}.
type AskBody struct {
	Text Value   `json:"text"`
	From []Level `json:"from"`
	// Silent is skip, stop, fail or continue; skip and continue leave no result,
	// and so does a refusal to answer.
	Silent OnError `json:"silent"`
	// Subject is the affected account, a handle of the name user, that is asked
	// before From, over Via and for Within. Such an answer is untrusted: the
	// compiler keeps it from releasing and approving anything.
	Subject *Value        `json:"subject,omitempty"`
	Via     string        `json:"via,omitempty"`
	Within  time.Duration `json:"within,omitempty"`

	Show   []NamedValue `json:"show,omitempty"`
	Fields []AskField   `json:"fields,omitempty"`
}

// AskField is one typed answer.
type AskField struct {
	Name string    `json:"name"`
	Type kind.Type `json:"type"`
	Max  int       `json:"max,omitempty"`
	// Pattern is a regular expression (RE2) that a text must match as a whole.
	Pattern string   `json:"pattern,omitempty"`
	Among   *ExprRef `json:"among,omitempty"`
	// Default is used where the person leaves it out; nil means required.
	Default *Value `json:"default,omitempty"`
}
