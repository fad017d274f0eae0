package config

import (
	"encoding"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/internal/secrets"
	"github.com/quell-soar/quell/playbooks/diag"
)

// maxDepth bounds values of any shape.
const maxDepth = 16

// reader fills Go values from YAML nodes by their type, and keeps where each
// value stands under its dotted path.
type reader struct {
	problems
	places map[string]Place
}

func place(n *yaml.Node) Place { return Place{Line: n.Line, Column: n.Column} }

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0
}

func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// called names a path in messages.
func called(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}

// read fills v; what does not fit is reported and left as it was.
func (r *reader) read(n *yaml.Node, v reflect.Value, path string) {
	r.places[path] = place(n)
	if !r.plain(n, path) {
		return
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		if s, ok := r.text(n, path); ok {
			r.unmarshal(n, u, s, path)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.object(n, v, path)
	case reflect.Map:
		r.named(n, v, path)
	case reflect.Slice:
		r.list(n, v, path)
	case reflect.Pointer:
		to := reflect.New(v.Type().Elem())
		r.read(n, to.Elem(), path)
		v.Set(to)
	case reflect.Interface:
		if value := r.value(n, path, 0); value != nil {
			v.Set(reflect.ValueOf(value))
		}
	default:
		r.scalar(n, v, path)
	}
}

// plain refuses what makes YAML more than data.
func (r *reader) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.add(place(n), "write the value out", "%s uses an anchor or an alias; they are not read here", called(path))
	case n.Style&yaml.TaggedStyle != 0:
		r.add(place(n), "remove it", "%s has a tag; tags are not read here", called(path))
	case isNull(n):
		r.add(place(n), "give it a value or remove the key", "%s is empty", called(path))
	default:
		return true
	}
	return false
}

func (r *reader) unmarshal(n *yaml.Node, u encoding.TextUnmarshaler, s, path string) {
	err := u.UnmarshalText([]byte(s))
	if err == nil {
		return
	}
	switch u.(type) {
	case *secrets.Ref:
		r.add(place(n), "", "%s: %v", path, err)
	case *time.Time:
		r.add(place(n), "", "%s must be a time such as 2026-01-31T17:00:00Z (RFC 3339)", path)
	default:
		r.add(place(n), "", "%s: %v", path, errors.Unwrap(err))
	}
}

// object reads a map of known keys.
func (r *reader) object(n *yaml.Node, v reflect.Value, path string) {
	var known []string
	fields := map[string]int{}
	for i := range v.NumField() {
		if key := v.Type().Field(i).Tag.Get("yaml"); key != "" {
			known, fields[key] = append(known, key), i
		}
	}
	r.pairs(n, path, func(k, val *yaml.Node) {
		i, ok := fields[k.Value]
		if !ok {
			help := ""
			if near := diag.Near(k.Value, known); near != "" {
				help = "did you mean " + near + "?"
			} else if slices.Sort(known); len(known) > 0 {
				help = "there are " + strings.Join(known, ", ")
			}
			r.add(place(k), help, "%s has no key %s", called(path), short(k.Value))
			return
		}
		r.read(val, v.Field(i), under(path, k.Value))
	})
}

// named reads a map whose keys the operator chose.
func (r *reader) named(n *yaml.Node, v reflect.Value, path string) {
	m := reflect.MakeMap(v.Type())
	r.pairs(n, path, func(k, val *yaml.Node) {
		e := reflect.New(v.Type().Elem()).Elem()
		r.read(val, e, under(path, k.Value))
		m.SetMapIndex(reflect.ValueOf(k.Value), e)
	})
	v.Set(m)
}

// pairs calls f for each key that stands once.
func (r *reader) pairs(n *yaml.Node, path string, f func(k, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.add(place(n), "", "%s must be a map of keys and values; found %s", called(path), shape(n))
		return
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch first := seen[k.Value]; {
		case k.Kind != yaml.ScalarNode || k.Value == "" || k.Tag == "!!merge" || k.Anchor != "" || k.Style&yaml.TaggedStyle != 0:
			r.add(place(k), "", "a key of %s must be a plain name", called(path))
		case first != nil:
			r.add(place(k), "keep one of the two", "the key %s stands twice in %s, first in line %d", short(k.Value), called(path), first.Line)
		default:
			seen[k.Value] = k
			f(k, v)
		}
	}
}

func (r *reader) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		r.add(place(n), "write it as a list: [ … ]", "%s must be a list; found %s", called(path), shape(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		r.read(c, out.Index(i), under(path, strconv.Itoa(i)))
	}
	v.Set(out)
}

// text gives a scalar's text.
func (r *reader) text(n *yaml.Node, path string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		help := ""
		if strings.HasPrefix(path, "connectors.") {
			help = "write a list or a map as JSON in quotes"
		}
		r.add(place(n), help, "%s must be a text; found %s", called(path), shape(n))
		return "", false
	}
	return n.Value, true
}

func (r *reader) scalar(n *yaml.Node, v reflect.Value, path string) {
	s, ok := r.text(n, path)
	if !ok {
		return
	}
	switch v.Kind() {
	case reflect.Int:
		i, err := strconv.Atoi(s)
		if err != nil {
			r.add(place(n), "", "%s must be a whole number; found %s", path, short(s))
			return
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f != f {
			r.add(place(n), "", "%s must be a number; found %s", path, short(s))
			return
		}
		v.SetFloat(f)
	default:
		v.SetString(s)
	}
}

// value reads a tree of texts.
func (r *reader) value(n *yaml.Node, path string, depth int) any {
	r.places[path] = place(n)
	if depth > 0 && !r.plain(n, path) {
		return nil
	}
	if depth > maxDepth {
		r.add(place(n), "", "%s is nested more than %d deep", path, maxDepth)
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, c := range n.Content {
			out = append(out, r.value(c, under(path, strconv.Itoa(i)), depth+1))
		}
		return out
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		r.pairs(n, path, func(k, v *yaml.Node) { out[k.Value] = r.value(v, under(path, k.Value), depth+1) })
		return out
	default: // plain let scalars through only
		return n.Value
	}
}

func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a text"
	}
}

// short quotes a text of the file within bounds.
func short(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}
