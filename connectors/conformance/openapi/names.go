package openapi

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// unknown yields the places in a value where a field stands that its schema does
// not name. A description rarely forbids them, and a misspelt field would pass
// every other check. Names with "@" are notes of OData and belong to no schema.
func unknown(s *openapi3.Schema, v any, at string) iter.Seq[string] {
	return func(yield func(string) bool) { walk(s, v, at, 0, yield) }
}

// deepest is how deep bodies are looked into.
const deepest = 32

func walk(s *openapi3.Schema, v any, at string, depth int, yield func(string) bool) bool {
	if s == nil || depth > deepest {
		return true
	}
	switch x := v.(type) {
	case []any:
		item := items(s)
		for _, e := range x {
			if !walk(item, e, at+"[]", depth+1, yield) {
				return false
			}
		}
	case map[string]any:
		fields, open := properties(s, 0)
		for _, name := range slices.Sorted(maps.Keys(x)) {
			inner, ok := fields[name]
			place := strings.TrimPrefix(at+"."+name, ".")
			switch {
			case ok:
				if !walk(inner, x[name], place, depth+1, yield) {
					return false
				}
			case open || strings.Contains(name, "@"):
			case !yield(place):
				return false
			}
		}
	}
	return true
}

func items(s *openapi3.Schema) *openapi3.Schema {
	if s.Items != nil {
		return s.Items.Value
	}
	for _, part := range parts(s) {
		if found := items(part); found != nil {
			return found
		}
	}
	return nil
}

// properties are the fields that a schema names, itself or by what it is made
// of. open says that it leaves its fields to the reader.
func properties(s *openapi3.Schema, depth int) (fields map[string]*openapi3.Schema, open bool) {
	fields = map[string]*openapi3.Schema{}
	if depth > deepest {
		return fields, true
	}
	for name, ref := range s.Properties {
		fields[name] = ref.Value
	}
	// A map: its schema says what every field's value is like.
	if s.AdditionalProperties.Schema != nil {
		return fields, true
	}
	for _, part := range parts(s) {
		inner, _ := properties(part, depth+1)
		maps.Copy(fields, inner)
	}
	return fields, len(fields) == 0
}

func parts(s *openapi3.Schema) []*openapi3.Schema {
	var out []*openapi3.Schema
	for _, refs := range []openapi3.SchemaRefs{s.AllOf, s.AnyOf, s.OneOf} {
		for _, r := range refs {
			out = append(out, r.Value)
		}
	}
	return out
}
