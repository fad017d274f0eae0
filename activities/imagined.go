package activities

import (
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/effects"
)

// optional is the output type with every field optional: a read-back may know
// less than the call.
func optional(sp spec.Action) kind.Type {
	fields := make([]kind.Field, len(sp.Outputs))
	for i, f := range sp.Outputs {
		f.Optional = true
		fields[i] = f
	}
	return kind.RecordOf(fields...)
}

// imagined is the result of an effect in observe mode, so that later steps can
// be observed too: handles and texts that say that nothing was done.
func imagined(sp spec.Action, ef *effects.Effect) []byte {
	out := map[string]any{}
	for _, f := range sp.Outputs {
		switch f.Type.Kind {
		case kind.Handled:
			out[f.Name] = kind.Handle{Name: f.Type.Name, Instance: ef.Instance, ID: simulatedID, Label: "(simulated)"}
		case kind.String:
			out[f.Name] = "(simulated)"
		case kind.Int:
			out[f.Name] = int64(0)
		case kind.Boolean:
			out[f.Name] = false
		case kind.List:
			out[f.Name] = []any{}
		}
	}
	raw, err := kind.Canonical(out)
	if err != nil {
		return nil
	}
	return raw
}
