package intake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// ReadInputs reads what a person gave as the playbook's inputs, as JSON or as text
// in JSON, and writes them canonical. An error says which input, and why.
func ReadInputs(p *plan.Plan, given map[string]json.RawMessage) ([]byte, error) {
	values := make(map[string]any, len(given))
	for _, in := range p.Inputs {
		raw, ok := given[in.Name]
		if !ok {
			continue
		}
		v, err := readValue(in.Type, raw)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", in.Name, err)
		}
		values[in.Name] = v
	}
	for name := range given {
		if _, ok := values[name]; !ok {
			return nil, fmt.Errorf("the playbook %s has no input %s", p.Playbook, strconv.Quote(cut(name)))
		}
	}
	return EncodeInputs(p, values)
}

// readValue reads a JSON value of a type, or a text as a person types it.
func readValue(t kind.Type, raw json.RawMessage) (any, error) {
	v, err := LooseJSON(raw)
	if err != nil {
		return nil, err
	}
	return Typed(t, v)
}

// LooseJSON decodes JSON with its numbers as they are written.
func LooseJSON(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, &kind.ValueError{Want: "JSON value", Problem: "it does not parse"}
	}
	return v, nil
}

// Typed reads texts by their type, in lists too: the command line sends what
// was typed and knows no types. A text for a list is a JSON list where it
// begins with a bracket, else its one element.
func Typed(t kind.Type, v any) (any, error) {
	switch x := v.(type) {
	case string:
		switch t.Kind {
		case kind.List:
			if !strings.HasPrefix(x, "[") {
				return Typed(t, []any{x})
			}
			l, err := LooseJSON([]byte(x))
			if err != nil {
				return nil, err
			}
			return Typed(t, l)
		case kind.Map, kind.Record:
			return kind.Decode(t, []byte(x))
		}
		return kind.Parse(t, x) // numbers and booleans too; handles have no text
	case []any:
		if t.Kind == kind.List {
			out := make([]any, len(x))
			for i, e := range x {
				c, err := Typed(*t.Elem, e)
				if err != nil {
					return nil, err
				}
				out[i] = c
			}
			return out, nil
		}
	}
	return kind.FromJSON(t, v)
}
