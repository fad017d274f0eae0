package ast

import "github.com/quell-soar/quell/playbooks/source"

// Text is a scalar. The zero Text is absent.
type Text struct {
	// Scalar maps places in the text to the file; nil where the text is absent.
	*source.Scalar
}

// Given reports whether the author wrote the text.
func (t Text) Given() bool { return t.Scalar != nil }

// String is the decoded text, "" where it is absent.
func (t Text) String() string {
	if t.Scalar == nil {
		return ""
	}
	return t.Value
}

// Span is where the text stands.
func (t Text) Span() source.Span {
	if t.Scalar == nil {
		return source.Span{}
	}
	return t.Scalar.Span()
}

// Value is a value as written: a text, a list or a map.
type Value struct {
	Span source.Span
	// Text is set for a scalar.
	Text Text
	// IsList and IsMap tell an empty collection from a scalar.
	IsList bool
	IsMap  bool
	List   []*Value
	Map    []Named
}

// Named is an entry of a map, in the order in which it was written.
type Named struct {
	Name  Text
	Value *Value
}

// Playbook is one file.
type Playbook struct {
	File *source.File
	Span source.Span

	Version     Text
	Name        Text
	Title       Text
	Description Text
	Owner       Text
	Tags        []Text

	Inputs   []*Input
	Settings []*Input
	On       *Triggers
	Limits   []Named
	Phases   []*Phase
	Outputs  []Named

	// Silences are the comments that allow warnings, in their order.
	Silences []*Silence

	// Damage is where mistakes of YAML keep the tree from being what was meant;
	// nil where there are none.
	Damage *Damage
}

// Input is an entry of inputs or settings, or a field of ask.
type Input struct {
	Name    Text
	Span    source.Span
	Type    Text
	Ask     Text
	Default *Value
	Max     Text
	Pattern Text
	// Of are the names of a choice.
	Of []Text
	// Among is an expression; only fields of ask have one.
	Among Text
}

// Triggers is the body of on.
type Triggers struct {
	Span   source.Span
	Alerts []*AlertTrigger
	Manual *ManualTrigger
	Clock  *Schedule
}

// Schedule is on.schedule.
type Schedule struct {
	Span                source.Span
	Cron, Zone, Overlap Text
	Inputs              []Named
}

// AlertTrigger is one entry of on.alert.
type AlertTrigger struct {
	Span     source.Span
	From     []Text
	Reason   Text
	When     Text
	Inputs   []Named
	OncePer  []Text
	Quiet    Text
	Incident Text
}

// ManualTrigger is on.manual.
type ManualTrigger struct {
	Span  source.Span
	Roles []Text
}

// Phase is one of the five phases.
type Phase struct {
	Name  Text
	Steps []*Step
}
