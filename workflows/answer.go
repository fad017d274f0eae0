package workflows

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// answer reads what a person said, by the fields of the question. The API has
// checked it when the vote was cast; what counts is checked here again, against
// the choices as they are for the run.
func (it *interp) answer(f frame, fields []plan.AskField, raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	if len(fields) == 0 { // a task: whoever says nothing else has done it
		return taskDone(raw)
	}
	rec := make([]kind.Field, 0, len(fields))
	for _, fd := range fields {
		rec = append(rec, kind.Field{Name: fd.Name, Type: fd.Type, Optional: fd.Default != nil})
	}
	v, err := kind.Decode(kind.RecordOf(rec...), raw)
	if err != nil {
		return nil, failed("invalid", "answer: %v", err)
	}
	out := v.(map[string]any)
	for _, fd := range fields {
		given, ok := out[fd.Name]
		if !ok {
			if out[fd.Name], err = it.value(f, *fd.Default); err != nil {
				return nil, err
			}
			continue
		}
		if err := it.fits(f, fd, given); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func taskDone(raw json.RawMessage) (any, error) {
	v, err := kind.Decode(kind.RecordOf(
		kind.Field{Name: "done", Type: kind.Of(kind.Boolean), Optional: true},
		kind.Field{Name: "why", Type: kind.Of(kind.String), Optional: true}), raw)
	if err != nil {
		return nil, failed("invalid", "answer: %v", err)
	}
	out := v.(map[string]any)
	if _, ok := out["done"]; !ok {
		out["done"] = true
	}
	return out, nil
}

// fits holds one answer against its field: length, form, and the values among
// which it must be. So a handle in an answer is one that the run found itself.
func (it *interp) fits(f frame, fd plan.AskField, given any) error {
	list, many := given.([]any)
	if !many {
		list = []any{given}
	}
	if n := length(given); fd.Max > 0 && n > fd.Max {
		return failed("invalid", "answer: %s is longer than %d", fd.Name, fd.Max)
	}
	if fd.Pattern != "" {
		form, err := regexp.Compile(`\A(?:` + fd.Pattern + `)\z`)
		if err != nil {
			return failed("internal", "the pattern of %s: %v", fd.Name, err)
		}
		for _, e := range list {
			if !form.MatchString(fmt.Sprint(e)) {
				return failed("invalid", "answer: %s has not the form that is asked for", fd.Name)
			}
		}
	}
	if fd.Among == nil {
		return nil
	}
	v, err := it.eval(f, *fd.Among)
	if err != nil {
		return err
	}
	choices, _ := v.([]any)
	var known []string
	for _, c := range choices {
		raw, err := kind.Canonical(c)
		if err != nil {
			return asFailure(err)
		}
		known = append(known, string(raw))
	}
	for _, e := range list {
		raw, err := kind.Canonical(e)
		if err != nil {
			return asFailure(err)
		}
		if !slices.Contains(known, string(raw)) {
			return failed("invalid", "answer: %s names what was not among the choices", fd.Name)
		}
	}
	return nil
}

func length(v any) int {
	switch x := v.(type) {
	case []any:
		return len(x)
	case string:
		return utf8.RuneCountInString(x)
	}
	return 0
}
