package expr

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"cel.dev/cel-go/interpreter"
)

// orderedMap is the only map that expressions see. Its keys stand sorted, so
// that a comprehension over it visits them in one order, always: stock CEL
// follows Go's map order, and a replayed workflow would take another path.
type orderedMap struct {
	keys []ref.Val
	// at finds a key's value; Go keys are the primitive behind each CEL key.
	at map[any]ref.Val
}

// newOrderedMap orders the entries of a map literal.
func newOrderedMap(m map[ref.Val]ref.Val) *orderedMap {
	o := &orderedMap{keys: make([]ref.Val, 0, len(m)), at: make(map[any]ref.Val, len(m))}
	for k, v := range m {
		o.keys = append(o.keys, k)
		o.at[primitive(k)] = v
	}
	slices.SortFunc(o.keys, compareKeys)
	return o
}

// newTextMap orders a canonical map.
func newTextMap(r *registry, elem *shape, m map[string]any) *orderedMap {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	o := &orderedMap{keys: make([]ref.Val, len(names)), at: make(map[any]ref.Val, len(m))}
	for i, k := range names {
		o.keys[i] = types.String(k)
		o.at[k] = r.toVal(elem, m[k])
	}
	return o
}

// primitive is what a key is found by. Whole numbers are one key whichever
// numeric type they have, as in stock CEL.
func primitive(k ref.Val) any {
	switch x := k.(type) {
	case types.String:
		return string(x)
	case types.Int:
		return int64(x)
	case types.Uint:
		if uint64(x) <= math.MaxInt64 {
			return int64(x) //nolint:gosec // it was just compared
		}
	case types.Double:
		if n := int64(x); types.Double(n) == x {
			return n
		}
	}
	return k.Value()
}

// compareKeys orders by type name first, so that keys of several types have an
// order too.
func compareKeys(a, b ref.Val) int {
	if c := strings.Compare(a.Type().TypeName(), b.Type().TypeName()); c != 0 {
		return c
	}
	if x, ok := a.(traits.Comparer); ok {
		if n, ok := x.Compare(b).(types.Int); ok {
			return int(n)
		}
	}
	return strings.Compare(fmt.Sprint(a.Value()), fmt.Sprint(b.Value()))
}

// ConvertToNative implements ref.Val.
func (o *orderedMap) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a map does not become a %v", t)
}

// ConvertToType implements ref.Val.
func (o *orderedMap) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return o
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("a map does not become a %s", t.TypeName())
}

// Equal implements ref.Val.
func (o *orderedMap) Equal(other ref.Val) ref.Val {
	p, ok := other.(traits.Mapper)
	if !ok || p.Size() != o.Size() {
		return types.False
	}
	for _, k := range o.keys {
		v, found := p.Find(k)
		if !found || types.Equal(o.at[primitive(k)], v) != types.True {
			return types.False
		}
	}
	return types.True
}

// Type implements ref.Val.
func (o *orderedMap) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (o *orderedMap) Value() any { return o.at }

// Contains implements traits.Container.
func (o *orderedMap) Contains(k ref.Val) ref.Val {
	_, ok := o.Find(k)
	return types.Bool(ok)
}

// Find implements traits.Mapper.
func (o *orderedMap) Find(k ref.Val) (ref.Val, bool) {
	if types.IsUnknownOrError(k) {
		return k, false
	}
	v, ok := o.at[primitive(k)]
	return v, ok
}

// Get implements traits.Indexer.
func (o *orderedMap) Get(k ref.Val) ref.Val {
	if v, ok := o.Find(k); ok {
		return v
	}
	return types.NewErr("the map has no key %v", k.Value())
}

// Size implements traits.Sizer.
func (o *orderedMap) Size() ref.Val { return types.Int(len(o.keys)) }

// Iterator implements traits.Iterable, in key order.
func (o *orderedMap) Iterator() traits.Iterator {
	return types.NewRefValList(types.DefaultTypeAdapter, o.keys).Iterator()
}

// Fold implements traits.Foldable, in key order.
func (o *orderedMap) Fold(f traits.Folder) {
	for _, k := range o.keys {
		if !f.FoldEntry(k, o.at[primitive(k)]) {
			return
		}
	}
}

// canonical gives the map back as a canonical value; its keys must be text.
func (o *orderedMap) canonical() (any, error) {
	out := make(map[string]any, len(o.keys))
	for _, k := range o.keys {
		name, ok := k.(types.String)
		if !ok {
			return nil, fmt.Errorf("a map's keys must be texts; found %s", k.Type().TypeName())
		}
		v, err := fromVal(o.at[primitive(k)])
		if err != nil {
			return nil, err
		}
		out[string(name)] = v
	}
	return out, nil
}

// orderLiterals is a plan decorator of CEL: a map literal gives an orderedMap.
func orderLiterals(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	if c, ok := i.(interpreter.InterpretableConstructor); ok && c.Type() == types.MapType {
		return orderedLiteral{c}, nil
	}
	return i, nil
}

// orderedLiteral evaluates a map literal, whose entries CEL takes in their
// written order, and hands it on in key order.
type orderedLiteral struct {
	interpreter.InterpretableConstructor
}

// Exec implements interpreter.InterpretableV2.
func (l orderedLiteral) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return ordered(l.InterpretableConstructor.Exec(frame))
}

// Eval implements interpreter.Interpretable.
func (l orderedLiteral) Eval(ctx interpreter.Activation) ref.Val {
	return ordered(l.InterpretableConstructor.Eval(ctx))
}

func ordered(v ref.Val) ref.Val {
	m, ok := v.(traits.Mapper)
	if !ok {
		return v
	}
	entries := map[ref.Val]ref.Val{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		k := it.Next()
		e, _ := m.Find(k)
		entries[k] = e
	}
	return newOrderedMap(entries)
}

var (
	_ traits.Mapper   = (*orderedMap)(nil)
	_ traits.Foldable = (*orderedMap)(nil)
)
