package fakefalcon

import (
	"fmt"
	"strings"
)

// term is one field:'value' of a filter.
type term struct{ field, value string }

// parseFilter reads the part of Falcon's query language that is needed here:
// field:'value' joined by "+". Within the quotes a backslash escapes.
func parseFilter(s string) ([]term, error) {
	var out []term
	for s != "" {
		field, rest, ok := strings.Cut(s, ":'")
		if !ok || field == "" || strings.ContainsAny(field, "'\\+, ") {
			return nil, fmt.Errorf("invalid filter at %q", s)
		}
		value, tail, ok := quoted(rest)
		if !ok {
			return nil, fmt.Errorf("unclosed quote in filter")
		}
		out = append(out, term{field, value})
		if tail == "" {
			return out, nil
		}
		if s, ok = strings.CutPrefix(tail, "+"); !ok || s == "" {
			return nil, fmt.Errorf("invalid filter at %q", tail)
		}
	}
	return out, nil
}

// quoted reads up to the closing quote.
func quoted(s string) (value, tail string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\'':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// all reports whether every term holds; a field that get does not know fails.
func all(terms []term, get func(field string) ([]string, bool)) (bool, error) {
	for _, t := range terms {
		values, ok := get(t.field)
		if !ok {
			return false, fmt.Errorf("unknown filter field %q", t.field)
		}
		hit := false
		for _, v := range values {
			hit = hit || strings.EqualFold(v, t.value)
		}
		if !hit {
			return false, nil
		}
	}
	return true, nil
}
