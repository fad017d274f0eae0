package server

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/playbooks/plan"
)

// readInputs reads what a person gave as the playbook's inputs and writes them
// canonical.
func readInputs(p *plan.Plan, given map[string]json.RawMessage) ([]byte, error) {
	values := make(map[string]any, len(given))
	for _, in := range p.Inputs {
		raw, ok := given[in.Name]
		if !ok {
			continue
		}
		v, err := readValue(in.Type, raw)
		if err != nil {
			return nil, invalid("input %s: %v", in.Name, err)
		}
		values[in.Name] = v
	}
	for name := range given {
		if _, ok := values[name]; !ok {
			return nil, invalid("the playbook %s has no input %q", p.Playbook, shorten(name))
		}
	}
	out, err := intake.EncodeInputs(p, values)
	if err != nil {
		return nil, invalid("%v", err)
	}
	return out, nil
}

// readValue reads a JSON value of a type, or a text as a person types it.
func readValue(t kind.Type, raw json.RawMessage) (any, error) {
	v, err := looseJSON(raw)
	if err != nil {
		return nil, err
	}
	return typed(t, v)
}

func looseJSON(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, &kind.ValueError{Want: "JSON value", Problem: "it does not parse"}
	}
	return v, nil
}

// typed reads texts by their type, in lists too: the command line sends what
// was typed and knows no types. A text for a list is a JSON list where it
// begins with a bracket, else its one element.
func typed(t kind.Type, v any) (any, error) {
	switch x := v.(type) {
	case string:
		switch t.Kind {
		case kind.List:
			if !strings.HasPrefix(x, "[") {
				return typed(t, []any{x})
			}
			l, err := looseJSON([]byte(x))
			if err != nil {
				return nil, err
			}
			return typed(t, l)
		case kind.Map, kind.Record:
			return kind.Decode(t, []byte(x))
		}
		return kind.Parse(t, x) // numbers and booleans too; handles have no text
	case []any:
		if t.Kind == kind.List {
			out := make([]any, len(x))
			for i, e := range x {
				c, err := typed(*t.Elem, e)
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

// shorten bounds a caller's text within an answer.
func shorten(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
