package splunk

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// encode writes a value so that it means nothing in a search's text: bytes that
// are no letter, digit, dot, hyphen or underscore become %XX. Elements of a list
// are joined with commas.
func encode(v any) string {
	switch x := v.(type) {
	case []any:
		parts := make([]string, len(x))
		for i, e := range x {
			parts[i] = encode(e)
		}
		return strings.Join(parts, ",")
	case time.Time:
		return fmt.Sprintf("%d.%03d", x.Unix(), x.Nanosecond()/int(time.Millisecond))
	}
	text := plain(v)
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// plain writes a value as text of its kind.
func plain(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

// plainText makes a vendor's text one short line.
func plainText(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}

// found collects the rows of a search.
type found struct {
	rows       []any
	truncated  bool
	unreadable int64
}

func (f found) reply() spec.Reply {
	if f.rows == nil {
		f.rows = []any{}
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"rows": f.rows, "truncated": f.truncated, "unreadable": f.unreadable}}
}

// add takes a row, or counts it as unreadable where a cell does not fit: whoever
// can write a line into a log must not be able to end a search by it.
func (f *found) add(columns []kind.Field, row map[string]json.RawMessage) {
	out := make(map[string]any, len(columns))
	for _, c := range columns {
		text, ok := cell(row[c.Name])
		if ok && text == "" && c.Optional {
			continue
		}
		v, err := cast(c.Type, text)
		if !ok || err != nil {
			f.unreadable++
			return
		}
		out[c.Name] = v
	}
	f.rows = append(f.rows, out)
}

// complete demands that the columns are there: without them the search is
// another than the one that was meant.
func (q saved) complete(fields []field) error {
	for _, c := range q.columns {
		there := slices.ContainsFunc(fields, func(f field) bool { return f.Name == c.Name })
		if !there && (q.all || !c.Optional) {
			return spec.Errorf(spec.Invalid, "the saved search %q gives no column %s (%s); end it with | table and the columns that are expected", q.name, c.Name, c.Type)
		}
	}
	return nil
}

// cell reads a cell: text, or a list of one. A cell that is not there is empty.
func cell(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 {
		return "", true
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return strings.TrimSpace(text), true
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil && len(list) == 1 {
		return strings.TrimSpace(list[0]), true
	}
	return "", false
}

// cast reads a cell's text as a kind. Splunk gives all as text: times in seconds
// since 1970 or as RFC 3339, truth in many words.
func cast(t kind.Type, text string) (any, error) {
	switch t.Kind {
	case kind.Boolean:
		switch strings.ToLower(text) {
		case "true", "t", "1", "yes", "y":
			return true, nil
		case "false", "f", "0", "no", "n":
			return false, nil
		}
	case kind.Timestamp:
		if s, err := strconv.ParseFloat(text, 64); err == nil {
			if math.IsNaN(s) || s < 0 || s > 1e11 {
				return nil, fmt.Errorf("%q is no time", text)
			}
			return time.UnixMilli(int64(math.Round(s * 1000))).UTC(), nil
		}
	}
	return kind.Parse(t, text)
}
