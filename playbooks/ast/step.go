package ast

import "github.com/quell-soar/quell/playbooks/source"

// Step is one step: exactly one kind and any modifiers.
type Step struct {
	Span source.Span
	// Kind is the key that names the kind: uses, do, ask.
	Kind Text

	ID    Text
	Title Text
	Phase Text

	If          Text
	Foreach     Text
	AtOnce      Text
	OnItemError Text
	Repeat      *Repeat
	Approve     *Approve
	Timeout     Text
	Retry       *Retry
	OnError     Text
	Hold        *Hold
	Accept      *Accept
	UndoWith    *UndoWith

	// Body is the scalar behind the kind's key: the action of uses, the
	// expression of switch, the text of ask and fail, the class of stop, the
	// name of report, the playbook of call, the id of note.
	Body Text
	// With are the inputs of uses and call and the parameters of report.
	With []Named
	// WithSpan is the key `with`; zero where it is missing.
	WithSpan source.Span
	Do       []*Step
	Cases    []*Case
	Default  []*Step
	// DefaultKey is the key `default`; absent where there is none.
	DefaultKey Text
	Set        []Named
	Wait       *Wait
	// Undo are the ids of undo, or one text that is an expression in braces.
	Undo []Text
	// Branches and First belong to parallel.
	Branches []*Branch
	First    Text
	// NoteText is the key text of note.
	NoteText *Value
	// Subject, Via and Within say whom an ask asks first, and how.
	Subject     *Value
	Via, Within Text
	From        []*Level
	Silent      Text
	Show        []Named
	Fields      []*Input
}

// Repeat is the body of repeat.
type Repeat struct {
	Span                            source.Span
	Until, Every, Within, Max, Late Text
}

// Approve is the body of approve.
type Approve struct {
	Span                   source.Span
	When, Ask              Text
	From                   []*Level
	Quorum, Denied, Silent Text
}

// Level is one rung of the chain of people.
type Level struct {
	Span   source.Span
	Who    []Text
	Within Text
}

// Retry is the body of retry.
type Retry struct {
	Span           source.Span
	Attempts, Wait Text
}

// Hold is the body of hold.
type Hold struct {
	Span      source.Span
	For, Then Text
}

// Accept is the body of accept.
type Accept struct {
	Span         source.Span
	Irreversible Text
}

// UndoWith is the body of undo_with: an action with its inputs.
type UndoWith struct {
	Span source.Span
	Uses Text
	With []Named
	// WithSpan is the key `with`; zero where it is missing.
	WithSpan source.Span
}

// Branch is one branch of parallel.
type Branch struct {
	Name  Text
	Steps []*Step
}

// Case is one case of switch.
type Case struct {
	Key   Text
	Steps []*Step
}

// Wait is the body of wait.
type Wait struct {
	Span     source.Span
	For, At  *Value
	Open     Text
	ForAlert *ForAlert
}

// ForAlert is the body of wait.for_alert.
type ForAlert struct {
	Span               source.Span
	When, Within, Late Text
}

// Inside returns the lists of steps that stand directly in a step, in the order
// in which they are written: the block, the branches, the cases, the default.
func (s *Step) Inside() [][]*Step {
	var out [][]*Step
	if len(s.Do) > 0 {
		out = append(out, s.Do)
	}
	for _, b := range s.Branches {
		out = append(out, b.Steps)
	}
	for _, c := range s.Cases {
		out = append(out, c.Steps)
	}
	if len(s.Default) > 0 {
		out = append(out, s.Default)
	}
	return out
}
