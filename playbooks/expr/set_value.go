package expr

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// Value makes a plan's value: a literal, an expression, a template, a list or a
// map, checked against its type where that is known. Errors of expressions are
// *EvalError.
func (s *Set) Value(v plan.Value, sc Scope) (any, error) {
	switch {
	case v.Literal != nil:
		return literal(v)
	case v.Expr != nil:
		out, err := s.Eval(*v.Expr, sc)
		if err != nil {
			return nil, err
		}
		return s.typed(v.Type, out, *v.Expr)
	case v.Template != nil:
		return s.template(v, sc)
	case v.Map != nil || v.Type.Kind == kind.Record || v.Type.Kind == kind.Map:
		out := make(map[string]any, len(v.Map))
		for _, nv := range v.Map {
			e, err := s.Value(nv.Value, sc)
			if err != nil {
				return nil, err
			}
			if e != nil {
				out[nv.Name] = e
			}
		}
		return out, nil
	}
	out := make([]any, 0, len(v.List))
	for _, e := range v.List {
		x, err := s.Value(e, sc)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func literal(v plan.Value) (any, error) {
	if v.Type.Kind != "" {
		return kind.Decode(v.Type, v.Literal)
	}
	var out any
	dec := json.NewDecoder(strings.NewReader(string(v.Literal)))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		return nil, fmt.Errorf("literal: %w", err)
	}
	return fromVal(fromJSON(out))
}

func (s *Set) typed(t kind.Type, v any, e plan.ExprRef) (any, error) {
	out, err := coerce(t, v)
	if err != nil {
		return nil, s.failed(e, err)
	}
	return out, nil
}

func (s *Set) template(v plan.Value, sc Scope) (any, error) {
	var b strings.Builder
	for _, part := range v.Template {
		if part.Expr == nil {
			b.WriteString(part.Text)
			continue
		}
		x, err := s.Eval(*part.Expr, sc)
		if err != nil {
			return nil, err
		}
		b.WriteString(Text(x))
		if b.Len() > kind.MaxText {
			return nil, s.failed(*part.Expr, fmt.Errorf("the text is longer than %d bytes", kind.MaxText))
		}
	}
	out, err := coerce(v.Type, b.String())
	if err != nil {
		for _, part := range v.Template {
			if part.Expr != nil {
				return nil, s.failed(*part.Expr, err)
			}
		}
		return nil, err
	}
	return out, nil
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

var recordName = regexp.MustCompile(`quell\.record\.(root\.([a-z]+)|[0-9]+)`)

// cleanMessage takes inner names out of a message of CEL.
func cleanMessage(m string) string {
	return recordName.ReplaceAllStringFunc(m, func(s string) string {
		if root, ok := cutRoot(s); ok {
			return root
		}
		return "record"
	})
}

// costs says what the library's own calls cost: the size of what they go over.
type costs struct{}

// CallCost implements cost.ActualCostEstimator.
func (costs) CallCost(_, overload string, args []ref.Val, _ ref.Val) *uint64 {
	if !strings.HasPrefix(overload, "list_") && !strings.HasPrefix(overload, "string_") && overload != "json_parse_string" {
		return nil
	}
	units := uint64(1)
	for _, a := range args {
		switch x := a.(type) {
		case types.String:
			units += uint64(len(x)) / 10
		case traits.Sizer:
			if n, ok := x.Size().(types.Int); ok && n > 0 {
				units += uint64(n)
			}
		}
	}
	return &units
}

var (
	_ cost.ActualCostEstimator = costs{}
	_ cel.Activation           = activation{}
)
