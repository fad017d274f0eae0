package kind

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"strconv"
	"time"
)

// ValueError says which part of a value does not fit its type.
type ValueError struct {
	// Path is the place within the value: "", "files[3]", "user.name".
	Path string
	// Want is the type that was asked for.
	Want string
	// Problem says what is wrong, without quoting a secret.
	Problem string
}

func (e *ValueError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("not a %s: %s", e.Want, e.Problem)
	}
	return fmt.Sprintf("%s: not a %s: %s", e.Path, e.Want, e.Problem)
}

// Canonical writes any canonical value as JSON with sorted keys and without
// HTML escapes: one byte form for one value. It fails on Go types that are not
// canonical and on NaN and infinities.
func Canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := write(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Digest is the SHA-256 of a value's canonical bytes, in hex.
func Digest(v any) (string, error) {
	raw, err := Canonical(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

func write(b *bytes.Buffer, v any) error {
	switch x := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(x))
	case int64:
		b.WriteString(strconv.FormatInt(x, 10))
	case int:
		b.WriteString(strconv.Itoa(x))
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("a double must be finite")
		}
		raw, err := json.Marshal(x)
		if err != nil {
			return err
		}
		b.Write(raw)
		if !bytes.ContainsAny(raw, ".eE") {
			b.WriteString(".0")
		}
	case string:
		return writeText(b, x)
	case time.Time:
		return writeText(b, x.UTC().Format(time.RFC3339Nano))
	case time.Duration:
		return writeText(b, FormatDuration(x))
	case Handle:
		return writeHandle(b, x)
	case []any:
		b.WriteByte('[')
		for i, e := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, e); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	case map[string]any:
		return writeMap(b, x)
	default:
		return fmt.Errorf("%T is not a canonical value", v)
	}
	return nil
}

func writeMap(b *bytes.Buffer, m map[string]any) error {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	b.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := writeText(b, k); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := write(b, m[k]); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func writeText(b *bytes.Buffer, s string) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}

// Encode checks v against t and writes its canonical JSON.
func Encode(t Type, v any) ([]byte, error) {
	if err := Check(t, v); err != nil {
		return nil, err
	}
	return Canonical(v)
}

// Decode reads JSON as a value of t. It refuses unknown and missing fields,
// wrong types, texts that the kind does not accept, and trailing bytes. null
// stands for absent and is accepted only in an optional field.
func Decode(t Type, raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, &ValueError{Want: t.String(), Problem: "not valid JSON"}
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, &ValueError{Want: t.String(), Problem: "more than one JSON value"}
	}
	return FromJSON(t, v)
}

// FromJSON turns what encoding/json gives (with UseNumber, or float64) into a
// canonical value of t.
func FromJSON(t Type, v any) (any, error) { return fromJSON(t, v, "") }

func fromJSON(t Type, v any, path string) (any, error) {
	bad := func(problem string) (any, error) {
		return nil, &ValueError{Path: path, Want: t.String(), Problem: problem}
	}
	switch t.Kind {
	case List:
		l, ok := v.([]any)
		if !ok {
			return bad("found " + jsonName(v))
		}
		out := make([]any, len(l))
		for i, e := range l {
			c, err := fromJSON(t.elem(), e, fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return nil, err
			}
			out[i] = c
		}
		return out, nil
	case Map:
		m, ok := v.(map[string]any)
		if !ok {
			return bad("found " + jsonName(v))
		}
		out := make(map[string]any, len(m))
		for _, k := range sortedKeys(m) {
			c, err := fromJSON(t.elem(), m[k], join(path, k))
			if err != nil {
				return nil, err
			}
			out[k] = c
		}
		return out, nil
	case Record:
		m, ok := v.(map[string]any)
		if !ok {
			return bad("found " + jsonName(v))
		}
		return recordFromJSON(t, m, path)
	case Handled:
		return handleFromJSON(t, v, path)
	case Int, Double:
		return numberFromJSON(t, v, path)
	case Boolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return bad("found " + jsonName(v))
	}
	s, ok := v.(string)
	if !ok {
		return bad("found " + jsonName(v))
	}
	c, err := Parse(t, s)
	if ve, is := err.(*ValueError); is { //nolint:errorlint // Parse returns it unwrapped
		ve.Path = path
	}
	return c, err
}

func recordFromJSON(t Type, m map[string]any, path string) (any, error) {
	out := make(map[string]any, len(m))
	for _, f := range t.Fields {
		v, ok := m[f.Name]
		if !ok || v == nil {
			if !f.Optional {
				return nil, &ValueError{Path: join(path, f.Name), Want: f.Type.String(), Problem: "it is missing"}
			}
			continue
		}
		c, err := fromJSON(f.Type, v, join(path, f.Name))
		if err != nil {
			return nil, err
		}
		out[f.Name] = c
	}
	for _, k := range sortedKeys(m) {
		if _, ok := t.Field(k); !ok {
			return nil, &ValueError{Path: join(path, k), Want: "known field", Problem: "the type has no such field"}
		}
	}
	return out, nil
}

func numberFromJSON(t Type, v any, path string) (any, error) {
	var text string
	switch n := v.(type) {
	case json.Number:
		text = n.String()
	case float64:
		text = strconv.FormatFloat(n, 'g', -1, 64)
	case int64:
		text = strconv.FormatInt(n, 10)
	case int:
		text = strconv.Itoa(n)
	default:
		return nil, &ValueError{Path: path, Want: t.String(), Problem: "found " + jsonName(v)}
	}
	c, err := Parse(t, text)
	if ve, is := err.(*ValueError); is { //nolint:errorlint // Parse returns it unwrapped
		ve.Path = path
	}
	return c, err
}

// Check reports whether v is a canonical value of t.
func Check(t Type, v any) error { return check(t, v, "") }

func check(t Type, v any, path string) error {
	bad := func() error {
		return &ValueError{Path: path, Want: t.String(), Problem: fmt.Sprintf("found %s", goName(v))}
	}
	switch x := v.(type) {
	case string:
		if !t.Text() && t.Kind != Severity && t.Kind != Criticality && t.Kind != Choice {
			return bad()
		}
		_, err := Parse(t, x)
		if ve, is := err.(*ValueError); is { //nolint:errorlint // Parse returns it unwrapped
			ve.Path = path
		}
		return err
	case int64:
		if t.Kind != Int {
			return bad()
		}
	case float64:
		if t.Kind != Double || math.IsNaN(x) || math.IsInf(x, 0) {
			return bad()
		}
	case bool:
		if t.Kind != Boolean {
			return bad()
		}
	case time.Time:
		if t.Kind != Timestamp {
			return bad()
		}
	case time.Duration:
		if t.Kind != Duration {
			return bad()
		}
	case Handle:
		return checkHandle(t, x, path)
	case []any:
		if t.Kind != List {
			return bad()
		}
		for i, e := range x {
			if err := check(t.elem(), e, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		return checkMap(t, x, path)
	default:
		return bad()
	}
	return nil
}

func checkMap(t Type, m map[string]any, path string) error {
	if t.Kind == Map {
		for _, k := range sortedKeys(m) {
			if err := check(t.elem(), m[k], join(path, k)); err != nil {
				return err
			}
		}
		return nil
	}
	if t.Kind != Record {
		return &ValueError{Path: path, Want: t.String(), Problem: "found a map"}
	}
	for _, k := range sortedKeys(m) {
		if _, ok := t.Field(k); !ok {
			return &ValueError{Path: join(path, k), Want: "known field", Problem: "the type has no such field"}
		}
	}
	for _, f := range t.Fields {
		v, ok := m[f.Name]
		if !ok || v == nil {
			if !f.Optional {
				return &ValueError{Path: join(path, f.Name), Want: f.Type.String(), Problem: "it is missing"}
			}
			continue
		}
		if err := check(f.Type, v, join(path, f.Name)); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func jsonName(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a boolean"
	case string:
		return "a text"
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	}
	return "a number"
}

func goName(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case Handle:
		return "a handle"
	case time.Time:
		return "a timestamp"
	case time.Duration:
		return "a duration"
	}
	return jsonName(v)
}
