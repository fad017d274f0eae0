package expr

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// object is a record, or a root such as steps, as CEL sees it. Fields become
// CEL values only when they are read.
type object struct {
	reg    *registry
	rec    *recordType
	values map[string]any
}

// ConvertToNative implements ref.Val.
func (o *object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a record does not become a %v", t)
}

// ConvertToType implements ref.Val.
func (o *object) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("a record does not become a %s", t.TypeName())
}

// Equal implements ref.Val: records are equal where their canonical bytes are.
func (o *object) Equal(other ref.Val) ref.Val {
	p, ok := other.(*object)
	if !ok {
		return types.False
	}
	a, errA := kind.Canonical(o.values)
	b, errB := kind.Canonical(p.values)
	return types.Bool(errA == nil && errB == nil && string(a) == string(b))
}

// Type implements ref.Val.
func (o *object) Type() ref.Type { return o.rec.cel }

// Value implements ref.Val.
func (o *object) Value() any { return o.values }

// Get implements traits.Indexer.
func (o *object) Get(index ref.Val) ref.Val {
	name, ok := index.(types.String)
	if !ok {
		return types.NewErr("a field's name must be a text")
	}
	if _, ok := o.rec.fields[string(name)]; !ok {
		return types.NewErr("%s has no field %s", o.rec.label, name)
	}
	v, ok := o.values[string(name)]
	if !ok || v == nil {
		return types.NewErr("%s.%s is absent", o.rec.label, name)
	}
	return o.reg.toVal(o.rec.shapes[string(name)], v)
}

// IsSet implements traits.FieldTester.
func (o *object) IsSet(field ref.Val) ref.Val {
	name, ok := field.(types.String)
	if !ok {
		return types.NewErr("a field's name must be a text")
	}
	v, ok := o.values[string(name)]
	return types.Bool(ok && v != nil)
}

var (
	_ traits.Indexer     = (*object)(nil)
	_ traits.FieldTester = (*object)(nil)
	_ traits.Indexer     = handleVal{}
	_ traits.FieldTester = handleVal{}
)

// enum is a severity or criticality: it compares by rank and prints as its name.
type enum struct {
	typ  *types.Type
	name string
	rank int
}

// ConvertToNative implements ref.Val.
func (e enum) ConvertToNative(t reflect.Type) (any, error) {
	if t.Kind() == reflect.String {
		return e.name, nil
	}
	return nil, fmt.Errorf("a %s does not become a %v", e.typ.TypeName(), t)
}

// ConvertToType implements ref.Val.
func (e enum) ConvertToType(t ref.Type) ref.Val {
	if t == types.StringType {
		return types.String(e.name)
	}
	return types.NewErr("a %s does not become a %s", e.typ.TypeName(), t.TypeName())
}

// Equal implements ref.Val.
func (e enum) Equal(other ref.Val) ref.Val {
	o, ok := other.(enum)
	return types.Bool(ok && o.typ == e.typ && o.name == e.name)
}

// Compare implements traits.Comparer.
func (e enum) Compare(other ref.Val) ref.Val {
	o, ok := other.(enum)
	if !ok || o.typ != e.typ {
		return types.MaybeNoSuchOverloadErr(other)
	}
	switch {
	case e.rank < o.rank:
		return types.IntNegOne
	case e.rank > o.rank:
		return types.IntOne
	}
	return types.IntZero
}

// Type implements ref.Val.
func (e enum) Type() ref.Type { return e.typ }

// Value implements ref.Val.
func (e enum) Value() any { return e.name }

// handleVal is a handle: it can be passed on and compared, and its facts, where
// it has some, can be read.
type handleVal struct {
	typ *types.Type
	h   kind.Handle
	reg *registry
	rec *recordType // of the facts; nil where there are none
}

// newHandle wraps a handle.
func (r *registry) newHandle(h kind.Handle) ref.Val {
	v := handleVal{typ: types.NewOpaqueType(h.Name), h: h, reg: r, rec: r.records[handlePrefix+h.Name]}
	if v.rec != nil {
		v.typ = v.rec.cel
	}
	return v
}

// facts is the record that a selection reads.
func (v handleVal) facts() (*object, error) {
	if v.rec == nil {
		return nil, fmt.Errorf("nothing is read of a %s", v.h.Name)
	}
	values, err := v.h.ReadFacts()
	return &object{reg: v.reg, rec: v.rec, values: values}, err
}

// Get implements traits.Indexer.
func (v handleVal) Get(field ref.Val) ref.Val {
	o, err := v.facts()
	if err != nil {
		return types.NewErr("%v", err)
	}
	return o.Get(field)
}

// IsSet implements traits.FieldTester.
func (v handleVal) IsSet(field ref.Val) ref.Val {
	o, err := v.facts()
	if err != nil {
		return types.NewErr("%v", err)
	}
	return o.IsSet(field)
}

// ConvertToNative implements ref.Val.
func (v handleVal) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a handle does not become a %v", t)
}

// ConvertToType implements ref.Val.
func (v handleVal) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("a handle does not become a %s", t.TypeName())
}

// Equal implements ref.Val; the label is only what people call the thing.
func (v handleVal) Equal(other ref.Val) ref.Val {
	o, ok := other.(handleVal)
	return types.Bool(ok && o.h.Name == v.h.Name && o.h.Instance == v.h.Instance && o.h.ID == v.h.ID)
}

// Type implements ref.Val.
func (v handleVal) Type() ref.Type { return v.typ }

// Value implements ref.Val.
func (v handleVal) Value() any { return v.h }

// secretVal is a secret: it can be handed to an input that is a secret's sink.
type secretVal struct{ text string }

// ConvertToNative implements ref.Val.
func (secretVal) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a secret does not become a %v", t)
}

// ConvertToType implements ref.Val.
func (secretVal) ConvertToType(ref.Type) ref.Val { return types.NewErr("a secret is not converted") }

// Equal implements ref.Val; secrets are not compared.
func (secretVal) Equal(ref.Val) ref.Val { return types.NewErr("secrets are not compared") }

// Type implements ref.Val.
func (secretVal) Type() ref.Type { return secretType }

// Value implements ref.Val.
func (secretVal) Value() any { return "" }

// toVal wraps a canonical value; where its shape is not known the value's own
// Go type decides.
func (r *registry) toVal(sh *shape, v any) ref.Val {
	switch x := v.(type) {
	case nil:
		return types.NullValue
	case bool:
		return types.Bool(x)
	case int64:
		if sh != nil && sh.typ.Kind == kind.Double {
			return types.Double(x)
		}
		return types.Int(x)
	case int:
		return types.Int(x)
	case float64:
		return types.Double(x)
	case string:
		return textVal(sh, x)
	case time.Time:
		return types.Timestamp{Time: x.UTC()}
	case time.Duration:
		return types.Duration{Duration: x}
	case kind.Handle:
		return r.newHandle(x)
	case []any:
		elem := sh.of()
		vals := make([]ref.Val, len(x))
		for i, e := range x {
			vals[i] = r.toVal(elem, e)
		}
		return types.NewRefValList(r, vals)
	case map[string]any:
		if sh != nil && sh.rec != nil {
			return &object{reg: r, rec: sh.rec, values: x}
		}
		return newTextMap(r, sh.of(), x)
	}
	return types.NewErr("%T is not a value of a playbook", v)
}

// of is the shape of the elements.
func (s *shape) of() *shape {
	if s == nil {
		return nil
	}
	return s.elem
}

func textVal(sh *shape, s string) ref.Val {
	if sh == nil {
		return types.String(s)
	}
	switch sh.typ.Kind {
	case kind.Severity:
		return enum{typ: severityType, name: s, rank: sh.typ.Rank(s)}
	case kind.Criticality:
		return enum{typ: criticalityType, name: s, rank: sh.typ.Rank(s)}
	case kind.Secret:
		return secretVal{s}
	default: // other types
	}
	return types.String(s)
}

// NativeToValue implements types.Adapter.
func (r *registry) NativeToValue(v any) ref.Val {
	switch x := v.(type) {
	case ref.Val:
		return x
	case map[ref.Val]ref.Val:
		return newOrderedMap(x)
	case kind.Handle, []any, map[string]any, time.Time:
		return r.toVal(nil, x)
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

// fromVal turns a CEL value into a canonical one; an empty optional is nil.
func fromVal(v ref.Val) (any, error) {
	switch x := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(x), nil
	case types.Int:
		return int64(x), nil
	case types.Uint:
		if uint64(x) > math.MaxInt64 {
			return nil, fmt.Errorf("the number %d is too large", uint64(x))
		}
		return int64(x), nil //nolint:gosec // it was just compared
	case types.Double:
		return float64(x), nil
	case types.String:
		return string(x), nil
	case types.Timestamp:
		return x.UTC(), nil
	case types.Duration:
		return x.Duration, nil
	case enum:
		return x.name, nil
	case handleVal:
		return x.h, nil
	case secretVal:
		return x.text, nil
	case *object:
		return x.values, nil
	case *types.Optional:
		if !x.HasValue() {
			return nil, nil
		}
		return fromVal(x.GetValue())
	case *orderedMap:
		return x.canonical()
	case *types.Err:
		return nil, x
	case traits.Lister:
		return fromList(x)
	}
	return nil, fmt.Errorf("a %s is not a value of a playbook", v.Type().TypeName())
}

func fromList(l traits.Lister) (any, error) {
	n, ok := l.Size().(types.Int)
	if !ok {
		return nil, fmt.Errorf("a list without a length")
	}
	out := make([]any, 0, int(n))
	for i := range n {
		v, err := fromVal(l.Get(i))
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
