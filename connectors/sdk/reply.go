package sdk

import (
	"fmt"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// CheckReply reports the first thing in a reply that breaks the contract: an
// outcome that does not answer the mode, outputs that do not fit the action. A
// read's empty outcome is Done. The adapter calls it before a reply leaves, the
// host again when it arrives.
//
// Partial, Pending and Present replies may leave out outputs that cannot be
// known; Absent and Unsure have none.
func CheckReply(a spec.Action, mode spec.Mode, r spec.Reply) error {
	if err := checkOutcome(a, mode, r); err != nil {
		return err
	}
	t := a.OutputType()
	switch r.Outcome {
	case spec.Absent, spec.Unsure:
		t = kind.RecordOf()
	case spec.Partial, spec.Pending, spec.Present:
		t = lenient(t)
	}
	out := r.Output
	if out == nil {
		out = map[string]any{}
	}
	if err := kind.Check(t, out); err != nil {
		return fmt.Errorf("output of %s with outcome %s: %w", a.Name, r.Outcome, err)
	}
	return nil
}

// OutputType is the type by which the output of a reply is read from JSON: the
// action's own, with every field optional where the outcome allows that.
func OutputType(a spec.Action, o spec.Outcome) kind.Type {
	switch o {
	case spec.Done, spec.Already, "":
		return a.OutputType()
	}
	return lenient(a.OutputType())
}

func checkOutcome(a spec.Action, mode spec.Mode, r spec.Reply) error {
	legal := false
	switch {
	case mode == spec.Back && !a.Effect():
		return fmt.Errorf("%s is a read: there is nothing to read back", a.Name)
	case mode == spec.Back && a.ReadBack == spec.NoReadBack:
		legal = r.Outcome == spec.Unsure
	case mode == spec.Back:
		legal = r.Outcome == spec.Present || r.Outcome == spec.Absent || r.Outcome == spec.Unsure
	case mode == spec.Act && !a.Effect():
		legal = r.Outcome == spec.Done || r.Outcome == spec.Partial
	case mode == spec.Act:
		legal = r.Outcome == spec.Done || r.Outcome == spec.Already || r.Outcome == spec.Partial || r.Outcome == spec.Pending
	}
	if !legal {
		return fmt.Errorf("the outcome %q does not answer %s of %s (class %s, read-back %s)", r.Outcome, mode, a.Name, a.Class, a.ReadBack)
	}
	if r.Outcome == spec.Partial && len(r.Failed) == 0 {
		return fmt.Errorf("the outcome of %s is partial, but no target is named that failed", a.Name)
	}
	return nil
}

func lenient(t kind.Type) kind.Type {
	fields := make([]kind.Field, len(t.Fields))
	for i, f := range t.Fields {
		f.Optional = true
		fields[i] = f
	}
	return kind.RecordOf(fields...)
}
