package workflows

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// frozen is one value as it travels from one execution of a run to the next. It
// needs no type to be read, so that also values travel that a plan's types only
// describe in part: exactly one field is set; none is nothing.
type frozen struct {
	Text *string        `json:"s,omitempty"`
	Bool *bool          `json:"b,omitempty"`
	Int  string         `json:"i,omitempty"`
	Num  *float64       `json:"f,omitempty"`
	Time *time.Time     `json:"t,omitempty"`
	Span *time.Duration `json:"d,omitempty"`
	Hand *kind.Handle   `json:"h,omitempty"`
	List *[]frozen      `json:"l,omitempty"`
	Map  *[]frozenField `json:"m,omitempty"`
}

// frozenField is a field of a map; they stand in the order of their names.
type frozenField struct {
	Name  string `json:"n"`
	Value frozen `json:"v"`
}

func freeze(v any) (frozen, error) {
	switch x := v.(type) {
	case nil:
		return frozen{}, nil
	case string:
		return frozen{Text: &x}, nil
	case bool:
		return frozen{Bool: &x}, nil
	case int64:
		return frozen{Int: strconv.FormatInt(x, 10)}, nil
	case float64:
		return frozen{Num: &x}, nil
	case time.Time:
		return frozen{Time: &x}, nil
	case time.Duration:
		return frozen{Span: &x}, nil
	case kind.Handle:
		return frozen{Hand: &x}, nil
	case []any:
		list := make([]frozen, len(x))
		for i, e := range x {
			var err error
			if list[i], err = freeze(e); err != nil {
				return frozen{}, err
			}
		}
		return frozen{List: &list}, nil
	case map[string]any:
		fields := make([]frozenField, 0, len(x))
		for _, name := range sortedNames(x) {
			f, err := freeze(x[name])
			if err != nil {
				return frozen{}, fmt.Errorf("%s: %w", name, err)
			}
			fields = append(fields, frozenField{name, f})
		}
		return frozen{Map: &fields}, nil
	}
	return frozen{}, fmt.Errorf("a %T does not travel", v)
}

func thaw(f frozen) (any, error) {
	switch {
	case f.Text != nil:
		return *f.Text, nil
	case f.Bool != nil:
		return *f.Bool, nil
	case f.Int != "":
		return strconv.ParseInt(f.Int, 10, 64)
	case f.Num != nil:
		return *f.Num, nil
	case f.Time != nil:
		return f.Time.UTC(), nil
	case f.Span != nil:
		return *f.Span, nil
	case f.Hand != nil:
		return *f.Hand, nil
	case f.List != nil:
		list := make([]any, len(*f.List))
		for i, e := range *f.List {
			var err error
			if list[i], err = thaw(e); err != nil {
				return nil, err
			}
		}
		return list, nil
	case f.Map != nil:
		out := make(map[string]any, len(*f.Map))
		for _, e := range *f.Map {
			v, err := thaw(e.Value)
			if err != nil {
				return nil, err
			}
			out[e.Name] = v
		}
		return out, nil
	}
	return nil, nil
}

// freezeAll writes a map of values.
func freezeAll(m map[string]any) (json.RawMessage, error) {
	f, err := freeze(m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(f)
}

// thawAll reads what freezeAll wrote.
func thawAll(raw json.RawMessage) (map[string]any, error) {
	out := map[string]any{}
	if len(raw) == 0 {
		return out, nil
	}
	var f frozen
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	v, err := thaw(f)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return out, nil
	}
	return m, nil
}
