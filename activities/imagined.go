package activities

import (
	"slices"
	"strings"
	"time"

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
// be observed too: handles and texts that say that nothing was done. What the
// action always gives is there, so that no expression fails that would not have;
// what it may leave out is absent.
func imagined(sp spec.Action, ef *effects.Effect) []byte {
	out := map[string]any{}
	for _, f := range sp.Outputs {
		if f.Optional {
			continue
		}
		if v := standIn(f.Type, ef); v != nil {
			out[f.Name] = v
		}
	}
	raw, err := kind.Canonical(out)
	if err != nil {
		return nil
	}
	return raw
}

// The stand-ins of texts that have a form: names and addresses that are reserved
// and lead nowhere.
var standIns = map[kind.Kind]string{
	kind.String: "(simulated)", kind.Path: "(simulated)", kind.Username: "simulated", kind.Calendar: "simulated",
	kind.Hostname: "simulated.invalid", kind.Domain: "simulated.invalid", kind.Email: "simulated@simulated.invalid",
	kind.URL: "https://simulated.invalid/", kind.MessageID: "<simulated@simulated.invalid>",
	kind.IP: "192.0.2.0", kind.CIDR: "192.0.2.0/32", kind.Hash: strings.Repeat("0", 64),
	kind.Artifact: "sha256:" + strings.Repeat("0", 64),
}

// standIn is a value of a type that says that nothing was done. Of a closed list
// that is "unknown" where it stands there, else its first: the state before.
func standIn(t kind.Type, ef *effects.Effect) any {
	if names, closed := t.Enum(); closed && len(names) > 0 {
		if slices.Contains(names, "unknown") {
			return "unknown"
		}
		return names[0]
	}
	switch t.Kind {
	case kind.Handled:
		return kind.Handle{Name: t.Name, Instance: ef.Instance, ID: simulatedID, Label: "(simulated)"}
	case kind.Int:
		return int64(0)
	case kind.Double:
		return float64(0)
	case kind.Boolean:
		return false
	case kind.Timestamp:
		return ef.Created.UTC()
	case kind.Duration:
		return time.Duration(0)
	case kind.List:
		return []any{}
	case kind.Map:
		return map[string]any{}
	case kind.Record:
		out := map[string]any{}
		for _, f := range t.Fields {
			if v := standIn(f.Type, ef); v != nil && !f.Optional {
				out[f.Name] = v
			}
		}
		return out
	}
	if text, ok := standIns[t.Kind]; ok {
		return text
	}
	return nil
}
