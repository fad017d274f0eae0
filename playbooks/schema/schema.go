package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
)

// Dialect is the version of JSON Schema.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

// node is a schema; its keys are sorted when it is written, so that the same
// actions give the same bytes.
type node map[string]any

// Playbook returns the schema of a playbook that may use these actions, as
// indented JSON with a line feed at its end.
func Playbook(actions []spec.Action) ([]byte, error) {
	b := builder{defs: node{}, actions: slices.Clone(actions)}
	slices.SortFunc(b.actions, func(x, y spec.Action) int { return strings.Compare(x.Name, y.Name) })
	root := b.shape(ast.PlaybookShape())
	root["$schema"] = Dialect
	root["title"] = "Quell playbook"
	b.shared()
	b.kinds()
	root["$defs"] = b.defs
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return out.Bytes(), nil
}

type builder struct {
	defs    node
	actions []spec.Action
}

func ref(name string) node { return node{"$ref": "#/$defs/" + name} }

func anyOf(list ...node) node { return node{"anyOf": list} }

// braces is a text with an expression in it.
const braces = `\$\{\{`

// shared defines what stands in many places. A scalar may be written without
// quotes, so that YAML takes it for a number or a boolean.
func (b *builder) shared() {
	expression := func(doc string) node {
		return node{"type": []string{"string", "boolean", "number"}, "description": doc}
	}
	b.defs["word"] = node{"type": []string{"string", "number", "boolean"}}
	b.defs["template"] = node{"type": []string{"string", "number", "boolean"}, "description": "A text; ${{ … }} in it is an expression"}
	b.defs["expression"] = expression("CEL, without ${{ }}")
	b.defs["words"] = anyOf(ref("word"), node{"type": "array", "items": ref("word")})
	b.defs["expressions"] = anyOf(ref("expression"), node{"type": "array", "items": ref("expression")})
	b.defs["any"] = anyOf(
		ref("template"), node{"type": "array", "items": ref("any")}, node{"type": "object", "additionalProperties": ref("any")},
	)
	b.defs["count"] = anyOf(node{"type": "integer", "minimum": 1}, node{"type": "string", "pattern": "^[0-9]+$"})
	b.defs["duration"] = node{"type": []string{"string", "number"}, "description": "90s, 15m, 24h, 7d, 2w", "pattern": `^-?([0-9.]+(ms|[smhdw])|0)+$`}
	b.defs["id"] = node{"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}
	b.defs["name"] = node{"type": "string"}
	b.defs["steps"] = node{"type": "array", "items": ref("step")}
	var types []string
	for _, k := range kind.Scalars() {
		types = append(types, string(k))
	}
	types = append(types, kind.Handles()...)
	b.defs["type"] = node{"type": "string", "anyOf": []node{{"enum": types}, {"pattern": `^(list|map)\s*<.+>$`}, {"pattern": "^[a-z][a-z0-9_]*$"}}}
}

// shape is the schema of a place.
func (b *builder) shape(s *ast.Shape) node {
	switch s.Form {
	case ast.Word:
		return b.word(s)
	case ast.Template:
		return ref("template")
	case ast.Expression:
		return ref("expression")
	case ast.Any:
		return ref("any")
	case ast.Words:
		return ref("words")
	case ast.Expressions:
		return ref("expressions")
	case ast.Open:
		out := node{"type": "object", "additionalProperties": b.shape(s.Each)}
		if s.Hint != "" {
			out["propertyNames"] = b.word(s)
		}
		return out
	case ast.List:
		return node{"type": "array", "items": b.shape(s.Each)}
	case ast.Steps:
		return ref("steps")
	default: // other forms
	}
	properties, required := node{}, []string{}
	for _, k := range s.Keys {
		p := b.shape(k.Shape)
		if k.Doc != "" {
			p["description"] = k.Doc
		}
		properties[k.Name] = p
		if k.Required {
			required = append(required, k.Name)
		}
	}
	out := node{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	if _, ok := s.Key("of"); ok { // a choice names what is chosen from
		out["if"] = node{"properties": node{"type": node{"pattern": "choice"}}, "required": []string{"type"}}
		out["then"] = node{"required": []string{"of"}}
	}
	return out
}

func (b *builder) word(s *ast.Shape) node {
	switch {
	case len(s.Of) > 0:
		words := []any{}
		for _, w := range s.Of {
			words = append(words, w)
			switch w { // as YAML reads it without quotes
			case "1":
				words = append(words, 1)
			case "true", "false":
				words = append(words, w == "true")
			}
		}
		return node{"enum": words}
	case s.Hint == "action":
		names := []string{}
		for _, a := range b.actions {
			names = append(names, a.Name)
		}
		return node{"enum": names}
	case s.Hint != "":
		return ref(s.Hint)
	}
	return ref("word")
}

// kinds defines a step: one of its kinds, each with its keys.
func (b *builder) kinds() {
	var steps []node
	for _, k := range ast.Kinds() {
		step := b.shape(ast.StepShape(k))
		if k == "uses" {
			step["allOf"] = []node{ref("inputs")}
		}
		if with, ok := step["properties"].(node)["undo_with"].(node); ok {
			with["allOf"] = []node{ref("inputs")}
		}
		b.defs["step-"+k] = step
		steps = append(steps, ref("step-"+k))
	}
	b.defs["step"] = node{"type": "object", "oneOf": steps}
	var inputs []node
	for _, a := range b.actions {
		with := b.fields(a.Inputs)
		then := node{"properties": node{"uses": node{"description": about(a)}, "with": with}}
		if _, ok := with["required"]; ok {
			then["required"] = []string{"with"}
		}
		inputs = append(inputs, node{
			"if":   node{"properties": node{"uses": node{"const": a.Name}}, "required": []string{"uses"}},
			"then": then,
		})
	}
	b.defs["inputs"] = node{"allOf": inputs}
	if len(inputs) == 0 {
		b.defs["inputs"] = node{}
	}
}

func about(a spec.Action) string {
	out := a.Title
	if a.Doc != "" {
		out += ". " + a.Doc
	}
	return strings.TrimPrefix(out, ". ")
}

// fields is a map with the inputs of an action.
func (b *builder) fields(fields []kind.Field) node {
	properties, required := node{}, []string{}
	for _, f := range fields {
		p := b.value(f.Type)
		doc := f.Type.String()
		if f.Doc != "" {
			doc += ": " + f.Doc
		}
		p["description"] = doc
		properties[f.Name] = p
		if !f.Optional {
			required = append(required, f.Name)
		}
	}
	out := node{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// value is a value of a type, written out or as an expression.
func (b *builder) value(t kind.Type) node {
	written := node{"type": "string", "pattern": braces}
	switch t.Kind {
	case kind.List:
		return anyOf(written, node{"type": "array", "items": b.value(elem(t))})
	case kind.Map:
		return anyOf(written, node{"type": "object", "additionalProperties": b.value(elem(t))})
	case kind.Record:
		return anyOf(written, b.fields(t.Fields))
	case kind.Handled, kind.Secret:
		return written
	case kind.Choice:
		return anyOf(node{"enum": t.Of}, written)
	case kind.Boolean:
		return anyOf(node{"type": "boolean"}, node{"enum": []string{"true", "false"}}, written)
	case kind.Int:
		return anyOf(node{"type": "integer"}, node{"type": "string", "pattern": "^-?[0-9]+$|" + braces})
	case kind.Double:
		return anyOf(node{"type": "number"}, node{"type": "string", "pattern": `^-?[0-9.eE+-]+$|` + braces})
	case "":
		return ref("any")
	default: // other types
	}
	return ref("template")
}

func elem(t kind.Type) kind.Type {
	if t.Elem == nil {
		return kind.Type{}
	}
	return *t.Elem
}
