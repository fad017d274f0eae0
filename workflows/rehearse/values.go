package rehearse

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Target is what an effect acts on: KIND:ID of a handle, or the text itself.
type Target struct{ ID, Label, Kind string }

func labels(list []Target) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = t.Label
	}
	return out
}

// targetsOf reads the targets out of an action's inputs.
func targetsOf(sp spec.Action, inputs json.RawMessage) []Target {
	if sp.Targets == "" {
		return nil
	}
	v, err := kind.Decode(sp.InputType(), inputs)
	if err != nil {
		return nil
	}
	m, _ := v.(map[string]any)
	list, many := m[sp.Targets].([]any)
	if !many {
		list = []any{m[sp.Targets]}
	}
	f, _ := sp.InputType().Field(sp.Targets)
	of := string(f.Type.Kind)
	if f.Type.Elem != nil {
		of = string(f.Type.Elem.Kind)
	}
	var out []Target
	for _, x := range list {
		switch x := x.(type) {
		case kind.Handle:
			out = append(out, Target{ID: x.Name + ":" + x.ID, Label: x.Label, Kind: x.Name})
		case string:
			out = append(out, Target{ID: x, Label: x, Kind: of})
		}
	}
	return out
}

// mark is what an imagined value says: it is known after a step.
func mark(step string) string { return "(known after " + step + ")" }

var marks = regexp.MustCompile(`\(known after ([^()]+)\)`)

// knownAfter lists the steps whose imagined answer stands somewhere in a JSON text.
func knownAfter(raw json.RawMessage) []string {
	var out []string
	for _, m := range marks.FindAllStringSubmatch(string(raw), -1) {
		for s := range strings.SplitSeq(m[1], ", ") {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	slices.Sort(out)
	return out
}

// imagine makes an output of an action that was not called: values that say after
// which step they are known, where their type can say it.
func imagine(sp spec.Action, fields []string, instance, after string) (json.RawMessage, error) {
	out := map[string]any{}
	for _, f := range sp.Outputs {
		if !slices.Contains(fields, f.Name) && !slices.Contains(fields, "*") {
			continue
		}
		if v := standIn(f.Type, instance, after); v != nil {
			out[f.Name] = v
		}
	}
	raw, err := kind.Canonical(out)
	if err != nil {
		return nil, fmt.Errorf("imagine the result of %s: %w", sp.Name, err)
	}
	return raw, nil
}

// plain are stand-ins of kinds whose values cannot say that they are none.
var plain = map[kind.Kind]any{
	kind.Int: int64(0), kind.Double: float64(0), kind.Boolean: false, kind.Duration: time.Duration(0),
	kind.Timestamp: time.Unix(0, 0).UTC(), kind.IP: "0.0.0.0", kind.CIDR: "0.0.0.0/32", kind.Domain: "known-after-the-run.invalid",
	kind.Hostname: "known-after-the-run", kind.URL: "https://known-after-the-run.invalid/", kind.Email: "known-after@the-run.invalid",
	kind.Hash: strings.Repeat("0", 64), kind.MessageID: "<known-after@the-run.invalid>",
}

func standIn(t kind.Type, instance, after string) any {
	if names, ok := t.Enum(); ok && len(names) > 0 {
		return names[0]
	}
	switch t.Kind {
	case kind.Handled:
		return kind.Handle{Name: t.Name, Instance: instance, ID: activities.Imagined, Label: mark(after)}
	case kind.String, kind.Username, kind.Path:
		return mark(after)
	case kind.List:
		if v := standIn(*t.Elem, instance, after); v != nil {
			return []any{v}
		}
		return []any{}
	case kind.Map:
		return map[string]any{}
	case kind.Record:
		out := map[string]any{}
		for _, f := range t.Fields {
			if v := standIn(f.Type, instance, after); v != nil {
				out[f.Name] = v
			}
		}
		return out
	}
	return plain[t.Kind]
}
