package rehearse

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// field is one typed answer as a request carries it.
type field struct {
	Name    string          `json:"name"`
	Type    kind.Type       `json:"type"`
	Pattern string          `json:"pattern"`
	Among   json.RawMessage `json:"among"`
	Default json.RawMessage `json:"default"`
}

// option is one value of a field, as JSON, and how people read it.
type option struct {
	raw   json.RawMessage
	label string
}

// mostOptions bounds how many values of one field are tried.
const mostOptions = 6

// answersTo are the answers to a question: what is assumed of every field, and then
// each field's other values in turn.
func answersTo(r *Request, add func(string, Said)) {
	var fields []field
	if len(r.Fields) > 0 && json.Unmarshal(r.Fields, &fields) != nil {
		return
	}
	if len(fields) == 0 {
		add("done", Said{Approve: true, Answer: json.RawMessage(`{"done":true}`)})
		add("not done", Said{Reason: "not done"})
		return
	}
	base := map[string]json.RawMessage{}
	var words []string
	all := map[string][]option{}
	for _, f := range fields {
		all[f.Name] = f.options(r.At)
		if len(all[f.Name]) == 0 {
			if len(f.Default) == 0 {
				return // nothing can be imagined: silence is what is left
			}
			continue
		}
		base[f.Name] = all[f.Name][0].raw
		words = append(words, f.Name+": "+all[f.Name][0].label)
	}
	say := func(label string, m map[string]json.RawMessage) {
		if raw, err := json.Marshal(m); err == nil {
			add(label, Said{Approve: true, Answer: raw})
		}
	}
	say(strings.Join(words, ", "), base)
	for _, f := range fields {
		for _, o := range all[f.Name][min(1, len(all[f.Name])):] {
			m := maps.Clone(base)
			m[f.Name] = o.raw
			say(f.Name+": "+o.label, m)
		}
	}
}

// options are the values that a field can have, as far as they can be listed. What
// is assumed comes first: of choices the first, of a list all, of a yes or no yes.
func (f field) options(at string) []option {
	var choices []json.RawMessage
	if len(f.Among) > 0 {
		if json.Unmarshal(f.Among, &choices) != nil {
			return nil
		}
		if f.Type.Kind == kind.List {
			out := []option{{f.Among, "all of " + fmt.Sprint(len(choices))}}
			if len(choices) > 0 {
				out = append(out, option{json.RawMessage("[]"), "none"})
			}
			return out
		}
		var out []option
		for _, c := range choices[:min(len(choices), mostOptions)] {
			out = append(out, option{c, labelOf(c)})
		}
		return out
	}
	if names, ok := f.Type.Enum(); ok {
		var out []option
		for _, n := range names {
			if raw, err := json.Marshal(n); err == nil {
				out = append(out, option{raw, n})
			}
		}
		return out
	}
	if f.Type.Kind == kind.Boolean {
		return []option{{json.RawMessage("true"), "yes"}, {json.RawMessage("false"), "no"}}
	}
	if len(f.Default) > 0 {
		return []option{{f.Default, labelOf(f.Default)}}
	}
	return f.imagined(at)
}

// imagined is a stand-in where any value will do.
func (f field) imagined(at string) []option {
	v := standIn(f.Type, "", at)
	if v == nil {
		return nil
	}
	text, isText := v.(string)
	if f.Pattern != "" {
		form, err := regexp.Compile(`\A(?:` + f.Pattern + `)\z`)
		if err != nil || (isText && !form.MatchString(text)) {
			return nil
		}
	}
	raw, err := kind.Canonical(v)
	if err != nil {
		return nil
	}
	return []option{{raw, "any"}}
}

// labelOf is a value as people read it.
func labelOf(raw json.RawMessage) string {
	var h struct {
		Label string `json:"label"`
	}
	if json.Unmarshal(raw, &h) == nil && h.Label != "" {
		return h.Label
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	const most = 40
	if text := string(raw); len(text) <= most {
		return text
	}
	return string(raw[:most]) + "…"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
